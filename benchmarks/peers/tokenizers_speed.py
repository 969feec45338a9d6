"""Speed of Hugging Face's `tokenizers` on one thread.  usage: tokenizers_speed.py tokenizer.json TEXTS.jsonl...

What benchmarks/tokenizer_benchmark.cc does, by the peer's fastest way: a call of encode_batch_fast, which leaves
offsets out, for all documents of a file.
"""
import json
import os
import pathlib
import sys
import time

os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1")

import tokenizers


def hash_of(documents):
    value = 14695981039346656037
    for ids in documents:
        for number in ids:
            value = ((value ^ number) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return value


for path in sys.argv[2:]:
    documents = [json.loads(line) for line in open(path, encoding="utf-8")]
    start = time.perf_counter()
    tokenizer = tokenizers.Tokenizer.from_file(sys.argv[1])
    load = time.perf_counter() - start
    start = time.perf_counter()
    encodings = tokenizer.encode_batch_fast(documents, add_special_tokens=False)
    encode = time.perf_counter() - start
    ids = [encoding.ids for encoding in encodings]
    start = time.perf_counter()
    tokenizer.decode_batch(ids, skip_special_tokens=False)
    decode = time.perf_counter() - start
    megabytes = sum(len(text.encode()) for text in documents) / 1e6
    print(json.dumps({"texts": pathlib.Path(path).stem, "megabytes": megabytes, "tokens": sum(map(len, ids)),
                      "ids_hash": hash_of(ids), "load_seconds": load, "encode": megabytes / encode,
                      "decode": megabytes / decode, "version": tokenizers.__version__}))
