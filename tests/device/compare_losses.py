#!/usr/bin/env python3
"""Lays the loss curves of two runs of one recipe side by side, as a Markdown table.

usage: compare_losses.py RUN OTHER_RUN

Ends with 1 if a step's losses differ by more than TOLERANCE: both computed in fp32, and differences of
rounding grow with each step.
"""

import json
import pathlib
import sys

TOLERANCE = 2e-3


def losses(run):
    lines = (pathlib.Path(run) / "metrics.jsonl").read_text().splitlines()
    return {row["step"]: row["loss"] for row in map(json.loads, lines) if "loss" in row}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    ours, theirs = map(losses, sys.argv[1:])
    if not ours or ours.keys() != theirs.keys():
        sys.exit(f"the runs have other steps: {sorted(ours)} and {sorted(theirs)}")
    names = [pathlib.Path(run).name for run in sys.argv[1:]]
    print(f"\n| step | loss on {names[0]} | loss on {names[1]} | relative difference |")
    print("|---|---|---|---|")
    worst = 0.0
    for step in sorted(ours):
        difference = abs(ours[step] - theirs[step]) / theirs[step]
        worst = max(worst, difference)
        print(f"| {step} | {ours[step]:.6f} | {theirs[step]:.6f} | {difference:.1e} |")
    if worst > TOLERANCE:
        sys.exit(f"the losses differ by {worst:.1e}, more than {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
