"""Full fine-tuning speed of PyTorch FSDP2 over gloo.

usage: torchrun --nproc-per-node 2 fsdp2_train.py MODEL_DIR fp32|bf16
Batch 2 x 512 on each rank, one thread a rank, AdamW (fused), clip 1.0.
"""
import json
import resource
import sys
import time

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from transformers import AutoModelForCausalLM

path, mode = sys.argv[1:3]
torch.set_num_threads(1)
dist.init_process_group("gloo")
world = dist.get_world_size()
model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
model.train()
mesh = init_device_mesh("cpu", (world,))
policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if mode == "bf16" else MixedPrecisionPolicy()
for layer in model.model.layers:
    fully_shard(layer, mesh=mesh, mp_policy=policy)
fully_shard(model, mesh=mesh, mp_policy=policy)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
batch, length = 2, 512
tokens = torch.randint(0, model.config.vocab_size, (batch, length))
seconds = []
for _ in range(5):
    start = time.time()
    model(tokens, labels=tokens).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    seconds.append(time.time() - start)
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
if dist.get_rank() == 0:
    speed = world * batch * length / sorted(seconds[1:])[2]
    print(json.dumps({"tokens_per_second": speed, "peak_mb": rss}), flush=True)
dist.destroy_process_group()
