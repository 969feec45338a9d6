#!/usr/bin/env python3
"""What transformers' logits processors and warpers leave of random logits: which tokens, and how probable each is.

Made with transformers 5.23.0, torch 2.11.0.

usage: tests/golden/sampling.py    (writes tests/golden/sampling/cases.json)

Each case has a row of logits, the tokens seen before, the options as recipes and requests name them, and the result:
`kept` (token ids) with `log_probabilities` (of the softmax over what is left). The processors are those that
model.generate() makes of a GenerationConfig, in its order.
"""

import json
import pathlib

import torch
import transformers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, LogitsProcessorList

HERE = pathlib.Path(__file__).parent / "sampling"
VOCABULARY = 40
SEEN = 15
OPTIONS = [
    {"temperature": 0.7},
    {"temperature": 1.0, "min_p": 0.1},
    {"temperature": 1.7, "min_p": 0.1},
    {"temperature": 1.0, "min_p": 1.0},
    {"temperature": 1.0, "repetition_penalty": 1.3},
    {"temperature": 1.0, "repetition_penalty": 0.6},
    {"temperature": 1.0, "logit_bias": {"3": 4.5, "17": -2.0, "39": 1.25}},
    {"temperature": 1.0, "logit_bias": {"0": -1e9, "1": -1e9}},
    # The bias comes before the penalty, which may turn what it does to a logit.
    {"temperature": 1.0, "logit_bias": {"5": 6.0, "6": -6.0}, "repetition_penalty": 2.0},
    {"temperature": 0.9, "top_k": 12, "top_p": 0.8, "min_p": 0.05},
    # min_p is of what top_p leaves, and takes most of it away.
    {"temperature": 1.5, "top_p": 0.95, "min_p": 0.3},
    {"temperature": 1.2, "top_k": 20, "top_p": 0.9, "min_p": 0.02, "repetition_penalty": 1.2,
     "logit_bias": {"7": 3.0, "8": -3.0}},
]


def processors(options, model):
    bias = options.get("logit_bias")
    config = GenerationConfig(
        do_sample=True, temperature=options["temperature"], top_k=options.get("top_k", 0),
        top_p=options.get("top_p", 1.0), min_p=options.get("min_p"),
        repetition_penalty=options.get("repetition_penalty", 1.0),
        sequence_bias=[[[int(token)], value] for token, value in bias.items()] if bias else None)
    return model._get_logits_processor(generation_config=config, input_ids_seq_length=SEEN,
                                       logits_processor=LogitsProcessorList())


def main():
    assert transformers.__version__ == "5.23.0", transformers.__version__
    generator = torch.Generator().manual_seed(5)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                                         num_attention_heads=1))
    cases = []
    for options in OPTIONS:
        for spread in (1.5, 4.0):
            logits = torch.randn(1, VOCABULARY, generator=generator) * spread
            seen = torch.randint(VOCABULARY, (1, SEEN), generator=generator)
            seen[0, :3] = torch.tensor([5, 6, 5])
            scores = processors(options, model)(seen, logits.clone())
            log_probabilities = torch.log_softmax(scores[0].double(), dim=-1)
            kept = torch.nonzero(log_probabilities > -1e6).flatten().tolist()
            cases.append({"options": options, "logits": logits[0].tolist(), "seen": seen[0].tolist(), "kept": kept,
                          "log_probabilities": [log_probabilities[token].item() for token in kept]})
    HERE.mkdir(exist_ok=True)
    with open(HERE / "cases.json", "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
