"""Golden files for the tokenizers: small vocabularies and what Hugging Face's `tokenizers` makes of texts.

Peer: tokenizers 0.23.3. Writes for each kind of tokenizer

    <kind>.tokenizer.json   about 600 tokens, trained here
    <kind>.samples.jsonl    one text a line, with the ids and the decodings

    python tests/golden/tokenizer.py                                 # the files in the tree
    python tests/golden/tokenizer.py --count 100000 --out /some/dir  # a large corpus

The large corpus is compared by `TANREN_TOKENIZER_CORPUS=/some/dir tokenizer_test --gtest_filter=TokenizerGolden*`.

A sample has "text", or "bytes" in hexadecimal where the text is broken UTF-8 (which the peer gets with U+FFFD for each
maximal subpart), "ids" with special tokens parsed, "plain" with their text as ordinary characters where that differs,
"offsets" in characters where the tokenizer doesn't normalise, "decoded", and "decoded_skip" without special tokens
where that differs.
"""

import argparse
import json
import pathlib
import random

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = (
    CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

# Pieces that the samples are put together from, by kind.
PIECES = {
    "words": "the of and to in is that it was for on are with as his they at be this from have or by one had not but "
    "what all were when we there can an your which their said if do will each about how up out them then she many some "
    "so these would other into has more her two like him see time could no make than first been its who now people "
    "don't I'm you're we've she'll he'd it's DON'T It'S they'Re O'Neill's naïve café Straße ŒUVRE İstanbul ﬁne".split(),
    "code": [
        "for (int i = 0; i < n; ++i) {\n    sum += x[i];\n}\n",
        "def f(x: int) -> int:\n\treturn x ** 2  # square\n",
        '{"key": [1, 2.5e-3, null], "s": "a\\n"}',
        "#include <vector>\r\n\r\nint main() { return 0; }\r\n",
        "SELECT * FROM t WHERE a>=1 AND b!='x';",
        "https://example.org/a?b=c&d=%20#e",
        "if(!(a&&b)||c==nullptr)throw;",
        "</div><p class='x'>",
        "x=y;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;z",
        "________________________________________________________________",
        "        return;", "\t\t\tbreak;", "$HOME/.cache", "a_b-c.d@e", "...", "--", "!!!", "?!",
    ],
    "numbers": ["0", "7", "42", "123", "1234", "12345678901234567890", "3.14159", "-1e-05", "0xDEADBEEF", "1,000,000",
                "٣٤٥", "१२३", "１２３", "½", "²³", "Ⅻ", "①②", "〇一二", "𝟘𝟙", "12th", "v2.0", "2024-02-30"],
    "emoji": ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇯🇵🇩🇪", "❤️", "☃", "1️⃣", "🧑🏿‍🚀", "\u200d", "\ufe0f"],
    "control": ["\x00", "\x01", "\x07", "\x08", "\x0b", "\x0c", "\x1b[0m", "\x1c", "\x1f", "\x7f", "\x85", "\x9f",
                "\u200b", "\u200e", "\u2028", "\u2029", "\ufeff", "\u2060", "\u00ad", "\ufffd", "\ufffe", "\uffff",
                "\U0010ffff", "\ue000", "\u180e"],
    "japanese": ["日本語", "こんにちは、世界。", "カタカナ", "ｶﾀｶﾅ", "がぎぐ", "か\u3099", "東京都は日本の首都です。",
                 "「学習」", "々", "ー", "　全角　空白　", "ﾊﾟ", "葛\U000e0100", "𠮷野家"],
    "arabic": ["السلام عليكم", "مُحَمَّد", "لا", "قهوة٪", "שָׁלוֹם", "עברית", "فارسی\u200cزبان", "\u202bנכון\u202c"],
    "other": ["Привет", "Ελληνικά", "हिन्दी", "ภาษาไทย", "한국어", "\u1112\u1161\u11ab\u1100\u116e\u11a8", "中文字符",
              "Tiếng Việt", "ქართული", "አማርኛ", "ខ្មែរ", "ᏣᎳᎩ", "𝕬𝖇", "Ⓐⓑ", "ﷺ", "ǅ", "ʰ", "ª"],
    "combining": ["e\u0301", "é", "a\u0323\u0307", "a\u0307\u0323", "q\u0307\u0323", "\u212b", "\u2126", "n\u0303o",
                  "\u0301", "Z\u0351\u036b\u0343\u032a", "\u0344", "\u0958", "\u0915\u093c", "\uac00\u11a8", "ὰ\u0345",
                  "\U0001d15e", "\u0f73", "\u2adc"],
    "space": [" ", "  ", "   ", "        ", "\n", "\n\n", "\n\n\n", "\r\n", "\r", "\t", "\t ", " \t\n ", "\u00a0", "\u3000",
              "\u2003", "\u1680", " \n", "\n ", "\u202f\u205f"],
    "special": ["<|endoftext|>", "<|begin_of_text|>", "<|im_start|>", "<|im_end|>", "<|im_start|>user\n", "<|eot_id|>",
                "<think>", "</think>", "<tool_call>", "<|im_", "<|end<|endoftext|>", "<|endoftext", "|>", "<s>", "</s>",
                "[MASK]", "word", "words", "wōrd", "wo\u0304rd", "<pad id>"],
}
BROKEN = [b"\xff", b"\xc0\xaf", b"\xe3\x81", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\x80", b"\xf4\x90\x80\x80", b"\xc3"]

# What the peer's tables of characters, which are of several versions of Unicode, take in their own way: ideographs,
# digits and letters of Unicode 15 to 17, marks and a composition that NFC leaves alone. tests/golden/characters.py has
# all of them.
LATE = ["a\U00031350\U0002ebf0b", "\U0001e4f0\U00016d70x", "\U00011de0\U00016ff4", "\U00011bc0 \U00010d50", "q\u0345\u0897",
        "q\u0345\u08ca\u0301", "q\u1ac1\u0323\u0301", "\U00011935\U00011930", "\U00011f34\U00011f41", "\U0001171e"]
SCRIPTS = {"Latin": "A\u024f", "Greek and Cyrillic": "\u0370\u052f", "Hebrew": "\u0591\u05f4", "Arabic": "\u0600\u06ff",
           "Devanagari": "\u0900\u097f", "Tamil": "\u0b80\u0bff", "Thai": "\u0e01\u0e5b", "Tibetan": "\u0f00\u0fda",
           "jamo": "\u1100\u11ff", "Hangul": "\uac00\ud7a3", "kana": "\u3041\u30ff", "Han": "\u4e00\u9fff",
           "rare Han": "\U00020000\U0003347f", "emoji": "\U0001f300\U0001faff", "flags": "\U0001f1e6\U0001f1ff",
           "marks": "\u0300\u036f", "more marks": "\u1ab0\u1aff", "digits": "09", "ASCII": "\x00\x7f", "Latin-1": "\x80\xff",
           "punctuation": "\u2000\u206f", "anything": "\x00\U0010ffff"}
EMOJI_JOINERS = ["\u200d", "\ufe0f", "\u20e3", "\U0001f3fb", "\U0001f3ff", "\U000e0067\U000e007f", ""]


def any_character(rng):
    """An assigned character; new scripts are left out, because Unicode versions differ there."""
    import unicodedata

    while True:
        c = chr(rng.choice([rng.randrange(0x3000), rng.randrange(0x10000), rng.randrange(0x20000)]))
        if unicodedata.ucd_3_2_0.category(c) not in ("Cn", "Cs"):
            return c


def make_text(rng):
    kinds = list(PIECES)
    mood = rng.choice(kinds)  # most pieces of a text are of one kind
    text = ""
    for _ in range(rng.choice([1, 2, 3, 5, 8, 12])):
        kind = mood if rng.random() < 0.6 else rng.choice(kinds)
        text += any_character(rng) if rng.random() < 0.05 else rng.choice(PIECES[kind])
        if rng.random() < 0.4:
            text += " "
    return text


def any_of(rng, script):
    first, last = map(ord, SCRIPTS[script])
    while True:
        c = rng.randint(first, last)
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def make_wild_text(rng):
    """Bytes that nobody would write: long words, marks in any order, joined emoji, pieces of special tokens, noise."""
    kind = rng.randrange(6)
    if kind == 0:  # one long word, or a run of one character
        script = rng.choice(list(SCRIPTS))
        size = rng.choice([50, 200, 1000])
        word = "".join(any_of(rng, script) for _ in range(rng.choice([1, 3, size])))
        return (word * size)[:size].encode()
    if kind == 1:  # words of one script, with another's between them
        scripts = rng.choices(list(SCRIPTS), k=2)
        words = ["".join(any_of(rng, scripts[rng.random() < 0.2]) for _ in range(rng.randint(1, 8))) for _ in range(6)]
        return rng.choice(["", " ", " ", "\n", "\u3000"]).join(words).encode()
    if kind == 2:
        marks = ["marks", "marks", "more marks", "Devanagari", "Hebrew", "jamo", "Thai"]
        return "".join(rng.choice("aeoqZ 日ー가") + "".join(any_of(rng, rng.choice(marks)) for _ in range(rng.randrange(5)))
                       for _ in range(4)).encode()
    if kind == 3:
        return "".join(any_of(rng, rng.choice(["emoji", "emoji", "flags"])) + rng.choice(EMOJI_JOINERS)
                       for _ in range(rng.randint(1, 8))).encode()
    if kind == 4:
        pieces = rng.choices(PIECES["special"], k=4)
        return "".join(piece[rng.randrange(len(piece)):] + rng.choice(["", " ", "x", "\n"]) + piece[:rng.randrange(9)]
                       for piece in pieces).encode()
    return bytes(rng.randrange(256) for _ in range(rng.randint(1, 30)))


def special(content, **flags):
    return AddedToken(content, special=True, normalized=False, **flags)


def plain(content, **flags):
    return AddedToken(content, special=False, **flags)


def build(kind):
    """An untrained tokenizer and the tokens to be added to it."""
    model = models.BPE(ignore_merges=kind == "llama3")
    tokenizer = Tokenizer(model)
    split = lambda pattern: pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    added = [special("<|endoftext|>"), special("<|im_start|>"), special("<|im_end|>")]
    if kind == "gpt2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        added = [special("<|endoftext|>")]
    elif kind == "llama3":
        tokenizer.pre_tokenizer = split(LLAMA3)
        added = [special("<|begin_of_text|>"), special("<|eot_id|>")]
    elif kind == "qwen":
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = split(QWEN)
        added += [plain(text, normalized=False) for text in ("<think>", "</think>", "<tool_call>")]
    elif kind == "smollm":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    elif kind == "flags":  # what added tokens can ask for
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split("--", "merged_with_previous"), pre_tokenizers.Digits(),
             pre_tokenizers.ByteLevel(add_prefix_space=True)]
        )
        # Letters outside the byte alphabet: one like "wórd" the peer's decoder takes for bytes, and breaks it.
        added = [special("<s>", lstrip=True), special("</s>", rstrip=True), special("[MASK]", lstrip=True, rstrip=True),
                 plain("word", single_word=True, normalized=True), plain("wōrd", normalized=True),
                 plain("wo\u0304rd", normalized=False), plain("<pad id>", normalized=True, lstrip=True),
                 plain("世界", normalized=True), AddedToken("<think>", special=True, normalized=True)]
    return tokenizer, added


def train(kind):
    rng = random.Random(f"training {kind}")
    tokenizer, added = build(kind)
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([make_text(rng) for _ in range(3000)], trainer)
    tokenizer.add_tokens(added)
    if kind == "llama3":
        bos = tokenizer.token_to_id("<|begin_of_text|>")
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=True),
            processors.TemplateProcessing(
                single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|> $B",
                special_tokens=[("<|begin_of_text|>", bos)]),
        ])
    return tokenizer


def encode(tokenizer, text, plain_text):
    tokenizer.encode_special_tokens = plain_text
    return tokenizer.encode(text, add_special_tokens=False)


def sample(tokenizer, raw, with_offsets):
    text = raw.decode("utf-8", errors="replace")
    row = {"text": text} if text.encode() == raw else {"bytes": raw.hex()}
    parsed = encode(tokenizer, text, False)
    row["ids"] = parsed.ids
    plain_ids = encode(tokenizer, text, True).ids
    if plain_ids != parsed.ids:
        row["plain"] = plain_ids
    if with_offsets:
        row["offsets"] = [list(pair) for pair in parsed.offsets]
    row["decoded"] = tokenizer.decode(parsed.ids, skip_special_tokens=False)
    if row["decoded"] == row.get("text"):
        del row["decoded"]
    skipped = tokenizer.decode(parsed.ids, skip_special_tokens=True)
    if skipped != row.get("decoded", row.get("text")):
        row["decoded_skip"] = skipped
    return row


def make_samples(kind, count):
    rng = random.Random(f"samples {kind}")
    fixed = ["", *LATE]
    if count >= 1000:
        fixed += [piece for pieces in PIECES.values() for piece in pieces]
    yield from (text.encode() for text in fixed)
    for i in range(count - len(fixed)):
        raw = make_wild_text(rng) if i % 3 == 0 else make_text(rng).encode()
        if i % 15 == 0:  # broken in the middle, at any byte
            at = rng.randrange(len(raw) + 1)
            raw = raw[:at] + rng.choice(BROKEN) + raw[at:]
        yield raw


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=250, help="texts for each tokenizer")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "tokenizer")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for kind in ("gpt2", "llama3", "qwen", "smollm", "flags"):
        tokenizer = train(kind)
        document = tokenizer.to_str()
        (arguments.out / f"{kind}.tokenizer.json").write_text(document + "\n")
        # The post-processor would trim white space from offsets: it is left out.
        bare = json.loads(document)
        bare["post_processor"] = None
        bare = Tokenizer.from_str(json.dumps(bare))
        with (arguments.out / f"{kind}.samples.jsonl").open("w") as file:
            for raw in make_samples(kind, arguments.count):
                row = sample(bare, raw, with_offsets=bare.normalizer is None)
                file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"tokenizers {tokenizers.__version__}: {arguments.count} texts for each kind in {arguments.out}")


if __name__ == "__main__":
    main()
