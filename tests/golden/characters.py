"""Golden file for single characters: what Hugging Face's `tokenizers` takes every one of Unicode for.

Peer: tokenizers 0.23.3. Writes characters.json: by name, the characters of a class as ranges "41-5A 5F …".

    Lu, Ll, …   \\p{Lu} and the other general categories in a pattern; and \\p{Han}, \\s and \\w
    digits      cut off by the pre-tokenizer Digits
    word        may not stand beside an added token with `single_word`
    mark        moves, or makes another move, in NFC, where it stands beside one of three marks

    python tests/golden/characters.py
"""

import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

EVERY = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()
MARKS = "\u0300\u0334\u0345"


def ranges(characters):
    found = []
    for c in map(ord, characters):
        if found and found[-1][1] == c - 1:
            found[-1][1] = c
        else:
            found.append([c, c])
    return " ".join(f"{first:X}" if first == last else f"{first:X}-{last:X}" for first, last in found)


def matched_by(pattern):
    removed = pre_tokenizers.Split(Regex(pattern), "removed")
    kept = set()
    for _, (begin, end) in removed.pre_tokenize_str("".join(EVERY)):
        kept.update(range(begin, end))
    return [c for i, c in enumerate(EVERY) if i not in kept]


def digits():
    step = pre_tokenizers.Digits(individual_digits=False)
    return [c for c in EVERY if len(step.pre_tokenize_str("a" + c)) == 2]


def words():
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.add_tokens([AddedToken("token", single_word=True, normalized=False)])
    found = tokenizer.token_to_id("token")
    return [c for c in EVERY if found not in tokenizer.encode(c + "token").ids]


def marks():
    nfc = normalizers.NFC()
    moves = lambda text: nfc.normalize_str(text) != text
    return [c for c in EVERY if any(moves("q" + c + m) or moves("q" + m + c) for m in MARKS)]


def main():
    classes = {category: ranges(matched_by(rf"\p{{{category}}}")) for category in CATEGORIES}
    classes |= {"Han": ranges(matched_by(r"\p{Han}")), "s": ranges(matched_by(r"\s")), "w": ranges(matched_by(r"\w"))}
    classes |= {"digits": ranges(digits()), "word": ranges(words()), "mark": ranges(marks())}
    path = pathlib.Path(__file__).parent / "characters.json"
    path.write_text(json.dumps(classes, indent=0) + "\n")


if __name__ == "__main__":
    main()
