"""Full fine-tuning speed of transformers on one process.  usage: transformers_train.py MODEL_DIR fp32|amp|bf16

Prints tokens/s (median of four steps after one warm-up), batch 4 x 512, AdamW (fused), clip 1.0.
"""
import json
import resource
import sys
import time

import torch
from transformers import AutoModelForCausalLM

path, mode = sys.argv[1:3]
torch.manual_seed(0)
model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16 if mode == "bf16" else torch.float32)
model.train()
batch, length = 4, 512
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
tokens = torch.randint(0, model.config.vocab_size, (batch, length))
seconds = []
for _ in range(5):
    start = time.time()
    with torch.autocast("cpu", torch.bfloat16, enabled=mode == "amp"):
        loss = model(tokens, labels=tokens).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    seconds.append(time.time() - start)
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"tokens_per_second": batch * length / sorted(seconds[1:])[2], "peak_mb": rss}))
