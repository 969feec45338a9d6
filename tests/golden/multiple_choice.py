#!/usr/bin/env python3
"""Log-likelihoods of choices under SmolLM2 in fp32 from transformers, by lm-evaluation-harness's rule.

Made with transformers 5.23.0, torch 2.11.0, gguf 0.19.0.

usage: tests/golden/multiple_choice.py MODEL.gguf    (writes tests/golden/multiple_choice/smollm2.jsonl)

The harness encodes the context alone and with the continuation behind it, and scores the tokens of the second beyond
the count of the first; white space at the context's end goes to the continuation first (lm_eval/models: encode_pair).
The context of "messages" is the prompt that the chat template makes of them. (Where a token holds bytes of both sides
that count is wrong, and no case here has such a token.)
"""

import json
import pathlib
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = pathlib.Path(__file__).parent / "multiple_choice"
QUESTIONS = [
    {"prompt": "The capital of France is", "choices": [" London", " Paris", " Rome", " Marseille, of course"]},
    {"prompt": "Water freezes at zero degrees", "choices": [" Celsius", " Fahrenheit and sometimes other units"]},
    # White space at the end, which the choices' first tokens take in.
    {"prompt": "Two and two are ", "choices": ["four", "five"]},
    {"prompt": "Question: What is frozen water?\nAnswer:", "choices": [" ice", " steam", " 水"]},
    {"messages": [{"role": "user", "content": "What is the capital of Japan?"}],
     "choices": ["The capital of Japan is Tokyo.", "The capital of Japan is Kyoto.", "東京"]},
    {"messages": [{"role": "system", "content": "Answer in one word."}, {"role": "user", "content": "Is the sun hot?"}],
     "choices": ["Yes", "No"]},
]


def main(gguf):
    assert transformers.__version__ == "5.23.0", transformers.__version__
    path = pathlib.Path(gguf)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)

    def encode(text):
        return tokenizer(text, add_special_tokens=False).input_ids

    def log_likelihood(context, continuation):
        spaces = len(context) - len(context.rstrip(" "))
        context, continuation = context[:len(context) - spaces], " " * spaces + continuation
        alone, whole = encode(context), encode(context + continuation)
        assert whole[:len(alone)] == alone, (context, continuation)
        with torch.no_grad():
            logprobs = torch.log_softmax(model(torch.tensor([whole])).logits[0].double(), -1)
        return sum(logprobs[i - 1, whole[i]].item() for i in range(len(alone), len(whole)))

    HERE.mkdir(exist_ok=True)
    with open(HERE / "smollm2.jsonl", "w") as file:
        for question in QUESTIONS:
            context = question.get("prompt") or tokenizer.apply_chat_template(
                question["messages"], tokenize=False, add_generation_prompt=True)
            sums = [log_likelihood(context, choice) for choice in question["choices"]]
            file.write(json.dumps({**question, "answer": 0, "logprobs": sums}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
