#!/usr/bin/env python3
"""Training steps of transformers' Llama with random weights on one GPU, beside training_benchmark.

usage: device_train.py --shape 135m|0.5b|1.5b --rows N --length N [--how amp|fsdp2|compiled] [--steps N]

  amp       fp32 weights under autocast to bf16
  fsdp2     FSDP2 over one rank: fp32 masters, bf16 gathered weights, each layer and the rest a group
  compiled  the same, each layer by torch.compile

All with fused AdamW, clipping to 1.0, bf16 attention by scaled_dot_product_attention, and all tokens as targets.
Prints a row of the table that training_benchmark prints: median of the steps after three warm-ups.
"""
import argparse
import os
import statistics
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

# width, inner, layers, heads, key heads, vocabulary; as training_benchmark.cc has them
SHAPES = {
    "135m": (576, 1536, 30, 9, 3, 49152),
    "0.5b": (896, 4864, 24, 14, 2, 151936),
    "1.5b": (1536, 8960, 28, 12, 2, 151936),
}


def build(shape):
    width, inner, layers, heads, key_heads, vocabulary = SHAPES[shape]
    config = LlamaConfig(hidden_size=width, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
                         num_key_value_heads=key_heads, vocab_size=vocabulary, tie_word_embeddings=True,
                         max_position_embeddings=8192, attn_implementation="sdpa", use_cache=False)
    torch.manual_seed(0)
    with torch.device("cuda"):
        return LlamaForCausalLM(config).train(), config


def shard(model):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29511")
    torch.distributed.init_process_group("nccl", rank=0, world_size=1)
    mesh = init_device_mesh("cuda", (1,))
    policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32)
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--how", choices=("amp", "fsdp2", "compiled"), default="amp")
    parser.add_argument("--steps", type=int, default=5)
    arguments = parser.parse_args()
    model, config = build(arguments.shape)
    if arguments.how == "compiled":
        for layer in model.model.layers:
            layer.compile()
    if arguments.how != "amp":
        shard(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    tokens = torch.randint(0, config.vocab_size, (arguments.rows, arguments.length), device="cuda")
    seconds = []
    for step in range(3 + arguments.steps):
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16, enabled=arguments.how == "amp"):
            loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        torch.cuda.synchronize()
        if step >= 3:
            seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    peak = torch.cuda.max_memory_allocated() / 1e9
    print(f"| {arguments.shape} | transformers, {arguments.how} | bf16 | {arguments.rows} × {arguments.length} | "
          f"{1e3 * median:.1f} ms | {arguments.rows * arguments.length / median:.0f} tokens/s | {peak:.2f} GB |")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


main()
