#!/usr/bin/env python3
"""Reads the event files of a run with TensorBoard's own reader and prints what it found.

usage: tests/golden/tensorboard_peer.py RUN

Peer: tensorboard 2.21.0. Checks the curves against <RUN>/metrics.jsonl: the same steps and, as floats, the same values,
so also that a resumed run's repeated steps are there once.
"""

import json
import math
import pathlib
import struct
import sys

from tensorboard.backend.event_processing import event_accumulator


def as_float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def main():
    run = pathlib.Path(sys.argv[1])
    read = event_accumulator.EventAccumulator(str(run / "tensorboard"), size_guidance={event_accumulator.SCALARS: 0})
    read.Reload()
    expected = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        values = json.loads(line)
        step = values.pop("step")
        for name, value in values.items():
            expected.setdefault(name, {})[step] = math.nan if value is None else as_float32(value)
    tags = read.Tags()["scalars"]
    assert sorted(tags) == sorted(expected), (tags, sorted(expected))
    for tag in tags:
        found = read.Scalars(tag)
        assert [event.step for event in found] == sorted(expected[tag]), (tag, found)
        for event in found:
            value = expected[tag][event.step]
            assert event.value == value or (math.isnan(value) and math.isnan(event.value)), (tag, event, value)
        print(f"{tag}: steps {found[0].step} to {found[-1].step}, {len(found)} values, last {found[-1].value:.6g}")
    print(len(list((run / "tensorboard").iterdir())), "files, equal to metrics.jsonl")


if __name__ == "__main__":
    main()
