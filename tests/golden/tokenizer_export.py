"""Checks that Hugging Face's libraries load the tokenizers that Tanren writes, and that they behave alike.

Peers: tokenizers 0.23.3, transformers 5.23.0. The files tests/golden/tokenizer_export/<kind>/{tokenizer.json,
tokenizer_config.json} are written by Tokenizer::ToJson and ToConfigJson from tests/golden/tokenizer/<kind>.tokenizer.json:

    TANREN_TOKENIZER_EXPORT=tests/golden/tokenizer_export tokenizer_test --gtest_filter='*WhatIsWrittenIsWhatThePeersLoad*'
    python tests/golden/tokenizer_export.py

The test compares what it writes with the files in the tree; this script compares ids and texts with the samples of
tokenizer.py, and writes what it has checked to tests/golden/tokenizer_export/checked.json.
"""

import hashlib
import json
import pathlib

import tokenizers
import transformers
from tokenizers import Tokenizer
from transformers import AutoTokenizer

HERE = pathlib.Path(__file__).parent
EXPORTS = HERE / "tokenizer_export"
ROLES = {"bos_token": "<|begin_of_text|>", "eos_token": "<|endoftext|>", "pad_token": "<|im_end|>"}


def read_samples(kind):
    for line in (HERE / "tokenizer" / f"{kind}.samples.jsonl").open(newline="\n"):
        row = json.loads(line)
        row["text"] = row.get("text", bytes.fromhex(row.get("bytes", "")).decode("utf-8", errors="replace"))
        row.setdefault("plain", row["ids"])
        row.setdefault("decoded", row["text"])
        row.setdefault("decoded_skip", row["decoded"])
        yield row


def check_tokenizers(folder, row, tokenizer):
    for key, plain in (("ids", False), ("plain", True)):
        tokenizer.encode_special_tokens = plain
        ids = tokenizer.encode(row["text"], add_special_tokens=False).ids
        assert ids == row[key], (folder, row, ids)
    assert tokenizer.decode(row["ids"], skip_special_tokens=False) == row["decoded"], (folder, row)


def check_transformers(folder, row, tokenizer):
    ids = tokenizer.encode(row["text"], add_special_tokens=False)
    assert ids == row["ids"], (folder, row, ids)
    assert tokenizer.decode(row["ids"]) == row["decoded"], (folder, row)
    assert tokenizer.decode(row["ids"], skip_special_tokens=True) == row["decoded_skip"], (folder, row)


def check(folder):
    low = Tokenizer.from_file(str(folder / "tokenizer.json"))
    high = AutoTokenizer.from_pretrained(folder)
    original = Tokenizer.from_file(str(HERE / "tokenizer" / f"{folder.name}.tokenizer.json"))
    assert low.encode("a b").ids == original.encode("a b").ids == high("a b").input_ids
    assert low.get_vocab() == original.get_vocab()
    texts = 0
    for row in read_samples(folder.name):
        check_tokenizers(folder, row, low)
        check_transformers(folder, row, high)
        texts += 1
    for role, token in ROLES.items():
        expected = token if original.token_to_id(token) is not None else None
        assert getattr(high, role) == expected, (folder, role, getattr(high, role))
    assert high.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False) == "hi"
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("tokenizer*.json"))}
    return {"texts": texts, "class": type(high).__name__, "sha256": sums}


def main():
    checked = {folder.name: check(folder) for folder in sorted(EXPORTS.iterdir()) if folder.is_dir()}
    result = {"tokenizers": tokenizers.__version__, "transformers": transformers.__version__, "checked": checked}
    (EXPORTS / "checked.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
