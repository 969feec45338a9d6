"""Generation speed of transformers in bf16.  usage: transformers_generate.py MODEL_DIR BATCH

64 new tokens behind prompts of 64; after one warm-up.
"""
import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM

path, batch = sys.argv[1], int(sys.argv[2])
model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16)
prompt = torch.randint(0, model.config.vocab_size, (batch, 64))


def generate(count):
    start = time.time()
    model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=count, min_new_tokens=count,
                   do_sample=True)
    return time.time() - start


generate(4)
print(json.dumps({"tokens_per_second": batch * 64 / generate(64)}))
