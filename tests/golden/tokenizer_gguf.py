"""Golden ids for the tokenizer inside a GGUF: what two peers make of texts with the real model's vocabulary.

Peers: tokenizers 0.23.3 over the file's vocabulary and merges, with the steps of the model's published tokenizer.json
(digits one by one, then GPT-2's byte level); llama-cpp-python 0.3.36, which reads the file itself. The ids are those of
`tokenizers`; "llama.cpp" is there where it gives others.

    python tests/golden/tokenizer_gguf.py SmolLM2-135M-Instruct.Q4_1.gguf [--count 100000 --out /some/dir]

Writes smollm2-gguf.samples.jsonl, in the format of tokenizer.py.
"""

import argparse
import json
import pathlib

import gguf
import llama_cpp
import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tokenizer import make_samples, sample

CONTROL = 3  # a token type


def read_tokenizer(path):
    fields = gguf.GGUFReader(path).fields
    read = lambda key: fields[f"tokenizer.ggml.{key}"].contents()
    assert read("model") == "gpt2" and read("pre") == "smollm"
    tokens = read("tokens")
    merges = [tuple(merge.split(" ")) for merge in read("merges")]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([
        AddedToken(token, special=True, normalized=False)
        for token, kind in zip(tokens, read("token_type")) if kind == CONTROL
    ])
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=250)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "tokenizer")
    arguments = parser.parse_args()
    tokenizer = read_tokenizer(arguments.gguf)
    llama = llama_cpp.Llama(str(arguments.gguf), vocab_only=True, verbose=False)
    others = 0
    with (arguments.out / "smollm2-gguf.samples.jsonl").open("w") as file:
        for raw in make_samples("smollm2-gguf", arguments.count):
            row = sample(tokenizer, raw, with_offsets=False)
            if "text" in row:
                for key, special in (("ids", True), ("plain", False)):
                    ids = llama.tokenize(raw, add_bos=False, special=special) if raw else []
                    if ids != row.get(key, row["ids"]):
                        row.setdefault("llama.cpp", {})[key] = ids
                others += "llama.cpp" in row
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"tokenizers {tokenizers.__version__}, llama-cpp-python {llama_cpp.__version__}: "
          f"{others} of {arguments.count} texts have other ids in llama.cpp")


if __name__ == "__main__":
    main()
