"""Texts and tokenizers for benchmarks/tokenizers_against_peer.py.

usage: tokenizers_inputs.py FOLDER --smollm2 MODEL_DIR [--rust-docs FOLDER] [--packages FOLDER]

Writes FOLDER/texts/KIND.jsonl, a document a line as a JSON string:

    code           the sources of this repository
    markdown       the descriptions of Python packages (METADATA files), by default of this interpreter's
    japanese       the Japanese "Rust by Example", with its code, from the rust-docs component of a Rust toolchain
    conversations  paragraphs of the last two as {"messages": […]} objects

and FOLDER/tokenizers/KIND.json: smollm2 as MODEL_DIR has it (`tanren-worker convert` writes one), and two trained here
on these texts, as large as they yield, with the pre-tokenizers and options that Llama 3 and Qwen 2 and 3 ship with.
"""

import argparse
import html
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import sysconfig

from tokenizers import pre_tokenizers, trainers

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden"))
from tokenizer import build  # noqa: E402: the kinds that the golden files are about

LIMIT = 3_000_000  # bytes of each kind


def code():
    names = subprocess.run(["git", "ls-files", "*.cc", "*.h", "*.py", "*.sh", "*.cu"], cwd=ROOT, check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split()
    return [(ROOT / name).read_text() for name in names]


def markdown(packages):
    texts = [path.read_text(errors="replace") for path in sorted(packages.glob("*.dist-info/METADATA"))]
    return [text.split("\n\n", 1)[1] for text in texts if "\n\n" in text]


def japanese(rust_docs):
    texts = []
    for path in sorted((rust_docs / "rust-by-example/ja").rglob("*.html")):
        main = re.search(r"<main>(.*?)</main>", path.read_text(), re.DOTALL)
        if main and path.name != "print.html":
            texts.append(html.unescape(re.sub(r"<[^>]*>", "", main[1])).strip())
    return texts


def conversations(texts):
    paragraphs = [p.strip() for text in texts for p in text.split("\n\n") if len(p.strip()) > 20]
    generator = random.Random(0)
    generator.shuffle(paragraphs)
    made = []
    while paragraphs:
        turns = [paragraphs.pop() for _ in range(min(len(paragraphs), generator.choice([2, 4, 6])))]
        made.append(json.dumps({"messages": [
            {"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(turns)
        ]}, ensure_ascii=False))
    return made


def limited(texts):
    """Distinct documents up to LIMIT, the same ones each time."""
    texts = sorted(set(texts))
    random.Random(0).shuffle(texts)
    kept, size = [], 0
    for text in texts:
        if size < LIMIT:
            kept.append(text)
            size += len(text.encode())
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--smollm2", type=pathlib.Path, required=True, help="a folder with its tokenizer.json")
    parser.add_argument("--rust-docs", type=pathlib.Path, help="default: of `rustc`")
    parser.add_argument("--packages", type=pathlib.Path, default=sysconfig.get_path("purelib"))
    arguments = parser.parse_args()
    if arguments.rust_docs is None:
        sysroot = subprocess.run(["rustc", "--print", "sysroot"], check=True, stdout=subprocess.PIPE, text=True).stdout
        arguments.rust_docs = pathlib.Path(sysroot.strip()) / "share/doc/rust/html"
    texts = {"code": code(), "markdown": markdown(arguments.packages), "japanese": japanese(arguments.rust_docs)}
    texts["conversations"] = conversations(texts["markdown"] + texts["japanese"])
    (arguments.folder / "texts").mkdir(parents=True, exist_ok=True)
    (arguments.folder / "tokenizers").mkdir(exist_ok=True)
    everything = []
    for kind, documents in texts.items():
        kept = limited(documents)
        everything += kept
        lines = "".join(json.dumps(text, ensure_ascii=False) + "\n" for text in kept)
        (arguments.folder / f"texts/{kind}.jsonl").write_text(lines)
        print(f"{kind}: {len(kept)} documents, {sum(len(text.encode()) for text in kept) / 1e6:.1f} MB")
    shutil.copy(arguments.smollm2 / "tokenizer.json", arguments.folder / "tokenizers/smollm2.json")
    for kind in ("llama3", "qwen"):
        tokenizer, added = build(kind)
        tokenizer.train_from_iterator(everything, trainers.BpeTrainer(
            vocab_size=128_000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
        tokenizer.add_tokens(added)
        tokenizer.save(str(arguments.folder / f"tokenizers/{kind}.json"))
        print(f"{kind}: {tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
