#!/usr/bin/env python3
"""Golden files for the GGUF writer of runtime/formats: what a writer of the same values must write, byte for byte.

usage: tests/golden/gguf_written.py

Peers: gguf 0.19.0 (its writer, and its quantiser, which is bit for bit that of ggml-quants.c), numpy 2.4.6.
Writes into tests/golden/gguf/:
  written.gguf   metadata of every type, tensors of every type that is written
  written.json   the tensors' values, as bits of fp32, in the file's order
"""

import json
import pathlib

import gguf
import numpy

OUT = pathlib.Path(__file__).parent / "gguf"
GGML = gguf.GGMLQuantizationType


def blocks():
    """Blocks of 32 on which a quantiser goes wrong."""
    random = numpy.random.default_rng(6)
    ties = numpy.arange(32, dtype=numpy.float32) - 15.5  # halves, with a scale of exactly 1
    ties[0] = -127
    just_below = numpy.nextafter(ties, numpy.float32(0))
    just_below[0] = 127
    large = random.standard_normal(32, dtype=numpy.float32) * 1e6
    large[7] = -127 * 65504
    rows = [ties, just_below, numpy.zeros(32, numpy.float32), large,
            numpy.full(32, -0.1, numpy.float32),
            random.standard_normal(32, dtype=numpy.float32) * 1e-7]  # the scale is 0 in fp16
    while len(rows) < 10:  # where the product with the scale's inverse is rounded otherwise than the quotient
        row = random.standard_normal(32, dtype=numpy.float32)
        scale = abs(row).max() / numpy.float32(127)
        if (numpy.round(row * (1 / scale)) != numpy.round(row / scale)).any():
            rows.append(row)
    rows += list(random.standard_normal((6, 32), dtype=numpy.float32) * 0.02)
    return numpy.stack(rows).astype(numpy.float32).reshape(4, 128)


def main():
    OUT.mkdir(exist_ok=True)
    random = numpy.random.default_rng(5)
    normal = lambda *shape: random.standard_normal(shape, dtype=numpy.float32)
    tensors = [("norm.weight", "F32", normal(5)), ("cube", "F32", normal(2, 3, 4)),
               ("half", "F16", normal(3, 7)), ("brain", "BF16", normal(4, 3)),
               ("quants", "Q8_0", blocks()), ("more quants", "Q8_0", normal(2, 2, 32)),
               ("empty", "F32", normal(0, 4)), ("重み", "F16", normal(1))]

    writer = gguf.GGUFWriter(OUT / "written.gguf", "test")
    writer.add_bool("yes", True)
    writer.add_bool("no", False)
    writer.add_uint32("uint32", 4000000000)
    writer.add_int32("int32", -2000000000)
    writer.add_uint64("uint64", 2**62)
    writer.add_int64("int64", -2**62)
    writer.add_float32("float32", 1e-5)
    writer.add_float64("float64", 1e-5)
    writer.add_string("text", "字 and a \"quote\"")
    writer.add_array("integers", [1, -2, 3])
    writer.add_array("floats", [0.5, -2.0])
    writer.add_array("strings", ["a", "", "日本"])
    for name, dtype, values in tensors:
        data = gguf.quants.quantize(values, GGML[dtype])
        # quantize() gives bytes where numpy has no such type; then the shape is worked out from them.
        writer.add_tensor(name, data, raw_dtype=GGML[dtype])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    rows = [{"name": name, "dtype": dtype, "shape": list(values.shape),
             "bits": values.reshape(-1).view(numpy.uint32).tolist()} for name, dtype, values in tensors]
    (OUT / "written.json").write_text(json.dumps(rows, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
