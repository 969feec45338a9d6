#!/usr/bin/env python3
"""Fails on an #include that climbs: a folder may include headers of itself and of folders below it.

usage: deploy/check_layering.py [FOLDER]    (the source tree; default: the one this file is in)

CONTRIBUTING.md draws the map; CMake targets say the same. Prints one line for each
include that breaks it: file:line, the include, and the rule.
"""

import pathlib
import re
import sys

# For each folder, the folders directly below it; what those may include is allowed too.
BELOW = {
    "proto": [],
    "runtime/base": ["proto"],
    "runtime/formats": ["runtime/base"],
    "runtime/text": ["runtime/formats"],
    "runtime/config": ["runtime/base"],
    "runtime/telemetry": ["runtime/base"],
    "runtime/device": ["runtime/base"],
    "runtime/comm": ["runtime/telemetry", "runtime/config", "runtime/device"],
    "runtime/kernels": ["runtime/telemetry", "runtime/formats", "runtime/device"],
    "runtime/cuda": ["runtime/comm", "runtime/kernels"],
    "parallel/layout": ["runtime/comm", "runtime/kernels", "runtime/text"],
    "parallel/engine": ["parallel/layout"],
    "parallel/optimizer": ["parallel/engine"],
    "parallel/checkpoint": ["parallel/optimizer"],
    "trainer/model": ["parallel/checkpoint"],
    "trainer/data": ["trainer/model"],
    "trainer/objective": ["trainer/data"],
    "trainer/rollout": ["trainer/objective"],
    "trainer/loop": ["trainer/rollout"],
    "trainer/report": ["trainer/loop"],
    "trainer": ["trainer/report"],
    "benchmarks": ["trainer"],
    "benchmarks/coordinator": ["coordinator"],
    "coordinator/wire": ["runtime/telemetry", "runtime/config"],
    "coordinator/store": ["runtime/telemetry", "runtime/config"],
    "coordinator/state": ["coordinator/store"],
    "coordinator/launch": ["coordinator/state"],
    "coordinator/launch/local": ["coordinator/launch"],
    "coordinator/launch/slurm": ["coordinator/launch"],
    "coordinator/agent": ["coordinator/launch/local", "coordinator/launch/slurm",
                          "coordinator/wire"],
    "coordinator/server": ["coordinator/launch", "coordinator/wire"],
    "coordinator/client": ["coordinator/launch", "coordinator/wire"],
    "coordinator": ["coordinator/server", "coordinator/agent", "coordinator/client"],
}

# Folders whose targets build without libtorch.
WITHOUT_TORCH = ("proto", "runtime/base", "runtime/formats", "runtime/text", "runtime/config",
                 "runtime/telemetry", "coordinator")
TORCH_HEADER = re.compile(r"^(torch|ATen|c10|caffe2|THC)/")
SOURCE_SUFFIXES = {".h", ".cc", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Names of folders that hold sources of ours: an include of one must be found in the map.
TOP_FOLDERS = {name.split("/")[0] for name in BELOW} | {"tests"}


def folder_of(path):
    """The longest folder of the map that holds `path` (with / between names), or None."""
    parts = path.split("/")[:-1]
    for length in range(len(parts), 0, -1):
        if "/".join(parts[:length]) in BELOW:
            return "/".join(parts[:length])
    return None


def reachable(folder):
    """The folder itself and all folders below it."""
    found, waiting = set(), [folder]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(BELOW[name])
    return found


def without_torch(path):
    return any(path.startswith(name + "/") for name in WITHOUT_TORCH)


def check_include(path, header, quoted):
    """The broken rule in words, or None."""
    if TORCH_HEADER.match(header):
        if without_torch(path):
            return f"{folder_of(path) or path} builds without libtorch"
        return None
    if path.startswith("tests/"):
        return None
    if quoted and (header.startswith("../") or "/../" in header):
        return "includes are written from the root of the tree"
    top = header.split("/")[0]
    if "/" not in header or top not in TOP_FOLDERS:
        return None
    if top == "tests":
        return "only tests include tests"
    source, target = folder_of(path), folder_of(header)
    if source is None or target is None:
        return f"{path if source is None else header} is in no folder that the map knows"
    if target not in reachable(source):
        return f"{target} is not below {source}"
    return None


def check_file(root, path):
    complaints = []
    text = path.read_text(encoding="utf-8", errors="replace")
    relative = path.relative_to(root).as_posix()
    for number, line in enumerate(text.splitlines(), start=1):
        match = INCLUDE.match(line)
        if not match:
            continue
        rule = check_include(relative, match[2], quoted=match[1] == '"')
        if rule:
            complaints.append(f"{relative}:{number}: {line.strip()}: {rule}")
    return complaints


def sources(root):
    for top in sorted(TOP_FOLDERS):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SOURCE_SUFFIXES and path.is_file():
                yield path


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    root = root.resolve()
    count, complaints = 0, []
    for path in sources(root):
        count += 1
        complaints += check_file(root, path)
    for complaint in complaints:
        print(complaint)
    if count == 0:
        print(f"{root}: no sources found")
        return 1
    print(f"layering: {count} files, {len(complaints)} includes that climb")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
