#!/usr/bin/env python3
"""Logits and all gradients of tiny random Llama models, and SmolLM2's logits on real text, from transformers in fp32.

Made with transformers 5.23.0, torch 2.11.0, safetensors 0.8.0, gguf 0.19.0.

usage: tests/golden/llama.py [MODEL.gguf]    (writes tests/golden/llama/; without a model only the tiny ones)

Each tiny model (qwen.py makes more of them) is a Hugging Face directory without tokenizer; reference.safetensors beside it holds:
  tokens [T], offsets [N + 1]   as fp32: documents one after another; each was run by itself, so
                                that nothing leaks by construction
  logits [T, V]
  loss_sum                      sum over documents of -log p(token t + 1), t from 0
  grad.<parameter>              its derivative by each parameter
"""

import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).parent / "llama"

TINY = dict(vocab_size=61, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, initializer_range=0.3,
            bos_token_id=0, eos_token_id=1)
MODELS = {
    # Tied embeddings and grouped keys, as in SmolLM2.
    "tied": dict(tie_word_embeddings=True, rope_theta=100000.0),
    # As in Llama 2: its own head, every query head with its own keys.
    "untied": dict(tie_word_embeddings=False, num_key_value_heads=4, rope_theta=10000.0),
    # As in Llama 3.x: scaled rotary frequencies, a head size that isn't hidden / heads; and biases.
    "llama3_rope": dict(tie_word_embeddings=False, head_dim=16, attention_bias=True, mlp_bias=True,
                        rope_theta=500000.0, max_position_embeddings=256,
                        rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                                          high_freq_factor=4.0, original_max_position_embeddings=32)),
}
DOCUMENT_LENGTHS = [5, 1, 17]


def reference(model, vocabulary, generator):
    tokens = [torch.randint(vocabulary, (length,), generator=generator) for length in DOCUMENT_LENGTHS]
    logits, loss_sum = [], torch.zeros((), dtype=torch.float32)
    for document in tokens:
        out = model(document[None]).logits[0]
        logits.append(out.detach())
        if len(document) > 1:
            loss_sum = loss_sum + torch.nn.functional.cross_entropy(out[:-1], document[1:], reduction="sum")
    loss_sum.backward()
    offsets = torch.tensor([0] + DOCUMENT_LENGTHS).cumsum(0)
    result = {"tokens": torch.cat(tokens).float(), "offsets": offsets.float(), "logits": torch.cat(logits),
              "loss_sum": loss_sum.detach().reshape(1)}
    for name, parameter in model.named_parameters():
        result["grad." + name] = parameter.grad.clone()
    return result


def save_tiny(folder, seed, model_class, config):
    """A random model in `folder`, with its reference; returns the model."""
    torch.manual_seed(seed)
    model = model_class(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:  # norms and biases: not the trivial ones and zeros
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    generator = torch.Generator().manual_seed(100 + seed)
    save_file(reference(model, config.vocab_size, generator), folder / "reference.safetensors")
    return model


def tiny_models():
    for seed, (name, settings) in enumerate(MODELS.items()):
        save_tiny(HERE / name, seed, LlamaForCausalLM, LlamaConfig(**(TINY | settings)))


TEXTS = ["The capital of France is Paris, and the capital of Japan is Tokyo.",
         "def add(a, b):\n    return a + b\n",
         "こんにちは、世界。今日はいい天気ですね。"]
QUESTIONS = ["What is the capital of France?", "Write one sentence about the sea.", "日本の首都はどこですか？"]


def smollm2(gguf):
    path = pathlib.Path(gguf)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    texts, answers = [], []
    with torch.no_grad():
        for text in TEXTS:
            ids = tokenizer(text, add_special_tokens=False).input_ids
            logits = model(torch.tensor([ids])).logits[0]
            logprobs = torch.log_softmax(logits, -1)
            last = torch.topk(logits[-1], 20)
            texts.append(dict(text=text, ids=ids, max_abs_logit=logits.abs().max().item(),
                              logprobs=[logprobs[i, t].item() for i, t in enumerate(ids[1:])],
                              last_top_ids=last.indices.tolist(), last_top_logits=last.values.tolist()))
        for question in QUESTIONS:
            messages = [{"role": "user", "content": question}]
            prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
            out = model.generate(torch.tensor([prompt]), max_new_tokens=32, do_sample=False)
            answers.append(dict(question=question, prompt=prompt, ids=out[0, len(prompt):].tolist()))
    (HERE / "smollm2.json").write_text(json.dumps(
        dict(transformers=transformers.__version__, texts=texts, answers=answers), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    tiny_models()
    if len(sys.argv) > 1:
        smollm2(sys.argv[1])
