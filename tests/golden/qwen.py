#!/usr/bin/env python3
"""Logits and all gradients of tiny random Qwen 2 and Qwen 3 models, from transformers in fp32, and the models as GGUF.

Made with transformers 5.23.0, torch 2.11.0, safetensors 0.8.0, gguf 0.19.0.

usage: tests/golden/qwen.py    (writes tests/golden/qwen/)

The directories are as llama.py says. <name>.gguf is the same model as llama.cpp's converter lays it out (its names,
its keys, no permutation of rows); transformers reads the same model from it.
"""

import pathlib

import gguf
import torch
from llama import TINY, save_tiny
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

HERE = pathlib.Path(__file__).parent / "qwen"

SMALL = TINY | dict(hidden_size=24, intermediate_size=40, rms_norm_eps=1e-6, rope_theta=1000000.0, sliding_window=32,
                    use_sliding_window=False, max_window_layers=1)
MODELS = {
    # As Qwen 2.5 0.5B.
    "qwen2_tied": (Qwen2ForCausalLM, Qwen2Config(**SMALL, tie_word_embeddings=True)),
    # As Qwen 2.5 7B.
    "qwen2_untied": (Qwen2ForCausalLM, Qwen2Config(**SMALL, tie_word_embeddings=False)),
    # Heads together are wider than the hidden states, as in Qwen 3 0.6B.
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**SMALL, tie_word_embeddings=True, head_dim=10)),
}


def save_gguf(path, model):
    config = model.config
    writer = gguf.GGUFWriter(path, config.model_type)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if config.model_type == "qwen3":
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    architecture = {"qwen2": gguf.MODEL_ARCH.QWEN2, "qwen3": gguf.MODEL_ARCH.QWEN3}[config.model_type]
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    for name, tensor in model.named_parameters():
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), tensor.detach().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    # transformers doesn't ask a GGUF of Qwen 3 for its head size.
    given = {"config": config} if config.model_type == "qwen3" else {}
    back = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32, **given)
    tokens = torch.arange(20)[None]
    assert type(back) is type(model)
    assert torch.allclose(back(tokens).logits, model(tokens).logits, rtol=0, atol=1e-6)


def main():
    for seed, (name, (model_class, config)) in enumerate(MODELS.items()):
        model = save_tiny(HERE / name, 10 + seed, model_class, config)
        if name != "qwen2_untied":
            save_gguf(HERE / f"{name}.gguf", model)


if __name__ == "__main__":
    main()
