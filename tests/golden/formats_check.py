#!/usr/bin/env python3
"""Checks that the field's packages load a model directory that Tanren wrote.

usage: tests/golden/formats_check.py DIRECTORY [SAME]

Peers: safetensors 0.8.0, transformers 5.23.0, torch 2.11.0. With SAME, a directory that transformers wrote, the
parameters must be equal. To get a DIRECTORY:
TANREN_KEEP=DIRECTORY build/release/tests/runtime/formats/formats_test --gtest_filter=ModelDirectory.WhatIsWritten*
"""

import pathlib
import sys

import safetensors
import torch
import transformers


def load(directory):
    model, report = transformers.AutoModelForCausalLM.from_pretrained(directory, output_loading_info=True)
    for problem, names in report.items():
        assert not names, (problem, names)
    return model


def main():
    directory = pathlib.Path(sys.argv[1])
    files = sorted(directory.glob("*.safetensors"))
    assert files, directory
    for file in files:
        with safetensors.safe_open(file, "pt") as opened:
            assert opened.metadata() == {"format": "pt"}
            print(file.name, len(opened.keys()), "tensors")
    model = load(directory)
    print(model.config)
    if len(sys.argv) > 2:
        same = load(sys.argv[2]).state_dict()
        found = model.state_dict()
        assert found.keys() == same.keys()
        for name, tensor in found.items():
            assert torch.equal(tensor, same[name]), name
        tokens = torch.arange(20)[None]
        assert torch.equal(model(tokens).logits, load(sys.argv[2])(tokens).logits)
        print("equal to", sys.argv[2])


if __name__ == "__main__":
    main()
