#!/usr/bin/env python3
"""Speed of the tokenizers beside Hugging Face's `tokenizers`, one thread each, in one table.

usage: benchmarks/tokenizers_against_peer.py --peer-python PYTHON --inputs FOLDER [--pairs N] [--output FILE.md]

FOLDER is what benchmarks/peers/tokenizers_inputs.py writes. A pair is one process of ours and one of the peer's, each
of which loads the tokenizer and encodes and decodes each file once; medians over the pairs are shown. Different ids are
an error. PYTHON has the package `tokenizers`. Leave the machine alone meanwhile.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEER = ROOT / "benchmarks/peers/tokenizers_speed.py"


def measure(command):
    """The lines of one process, by the name of the texts."""
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return {line["texts"]: line for line in lines}


def check_ids(tokenizer, ours, theirs):
    for name, line in ours.items():
        if line["ids_hash"] != theirs[name]["ids_hash"]:
            raise SystemExit(f"{tokenizer}, {name}: the ids differ ({line['tokens']} and {theirs[name]['tokens']})")


def compare(ours, theirs, name, key):
    """(median of ours, median of theirs, ratios of the pairs)"""
    mine = [line[name][key] for line in ours]
    other = [line[name][key] for line in theirs]
    return statistics.median(mine), statistics.median(other), [a / b for a, b in zip(mine, other)]


def spread(ratios):
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f} … {max(ratios):.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--inputs", type=pathlib.Path, required=True)
    parser.add_argument("--binary", default=ROOT / "build/release/benchmarks/tokenizer_benchmark", type=pathlib.Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--output", type=pathlib.Path, help="a Markdown file to write as well")
    arguments = parser.parse_args()
    texts = sorted((arguments.inputs / "texts").glob("*.jsonl"))
    lines = ["| tokenizer | texts | MB | encode, MB/s | peer's | ratio (of pairs) | decode, MB/s | peer's | ratio |",
             "|---|---|---|---|---|---|---|---|---|"]
    loads = ["", "| tokenizer | load, s | peer's | ratio (ours by the peer's) |", "|---|---|---|---|"]
    for tokenizer in sorted((arguments.inputs / "tokenizers").glob("*.json")):
        ours, theirs = [], []
        for pair in range(arguments.pairs):
            ours.append(measure([arguments.binary, tokenizer, *texts]))
            theirs.append(measure([arguments.peer_python, PEER, tokenizer, *texts]))
            check_ids(tokenizer.stem, ours[-1], theirs[-1])
            print(f"{tokenizer.stem} {pair + 1}/{arguments.pairs}", file=sys.stderr, flush=True)
        for name in ours[0]:
            encode, peer_encode, encode_ratios = compare(ours, theirs, name, "encode")
            decode, peer_decode, decode_ratios = compare(ours, theirs, name, "decode")
            lines.append(f"| {tokenizer.stem} | {name} | {ours[0][name]['megabytes']:.1f} | {encode:.1f} | "
                         f"{peer_encode:.1f} | {spread(encode_ratios)} | {decode:.0f} | {peer_decode:.0f} | "
                         f"{statistics.median(decode_ratios):.1f} |")
        load, peer_load, load_ratios = compare(ours, theirs, next(iter(ours[0])), "load_seconds")
        loads.append(f"| {tokenizer.stem} | {load:.3f} | {peer_load:.3f} | {statistics.median(load_ratios):.2f} |")
    table = "\n".join(lines + loads) + "\n"
    print(table, end="")
    if arguments.output:
        arguments.output.write_text(table)


if __name__ == "__main__":
    main()
