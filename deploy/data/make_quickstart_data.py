#!/usr/bin/env python3
"""Makes the data of deploy/quickstart.sh: sorting digits, in English and Japanese, with and without reasoning.

usage: make_quickstart_data.py --output FOLDER [--seed N]

The task: "Sort the digits: 7294" wants 2479. A small model that was never tuned for it answers something
else. It comes in two versions with the same questions: `direct` trains the bare answer; `reasoning` trains
to take the smallest digit of what is left, again and again, and then to write the answer after a marker.
Texts are short, for a few minutes of training on two CPU cores; digits stand together, since each is then
one token of SmolLM2.

Writes, for VERSION in direct, reasoning:
  train_VERSION.jsonl       {"messages": [question, answer]}
  validation_VERSION.jsonl  the same, held out
  questions_VERSION.jsonl   {"messages": [question], "answer": "2479"}, held out, to be answered and scored
  samples.jsonl             {"messages": [question]}: a few to look at before and after training
and, so that what the model knew before is neither forgotten nor taken on trust (general_questions.py):
  general.jsonl             {"messages": [question, answer]}: general conversations to mix in
  general_choices.jsonl     {"messages": [question], "choices", "answer"}: others of their kinds, held out

Held-out questions have sets of digits that no training question has in any order, so what is scored can't
have been learnt by heart. The same seed gives the same files, byte for byte. Python's standard library is
enough.
"""

import argparse
import itertools
import json
import pathlib
import random

from general_questions import HELD_OUT, TRAINING

TRAINING_ORDERS, VALIDATION, QUESTIONS = 600, 40, 60
LENGTHS = (3, 4, 5)
JAPANESE_SHARE = 0.3
# The same in both languages, since a recipe has one `evaluation.answer_after`.
MARKER = "Answer:"
ENGLISH = "Sort the digits: {}"
JAPANESE = "数字を小さい順に: {}"


def sorted_digits(digits):
    return "".join(sorted(digits))


def direct(digits):
    return sorted_digits(digits)


def reasoning(digits):
    """For 7294: "2 of 7294, 4 of 794, 7 of 79, 9 of 9. Answer: 2479"."""
    left = digits
    steps = []
    for digit in sorted_digits(digits):
        steps.append(f"{digit} of {left}")
        left = left.replace(digit, "")
    return f"{', '.join(steps)}. {MARKER} {sorted_digits(digits)}"


VERSIONS = {"direct": direct, "reasoning": reasoning}


def shuffled(generator, digits):
    """The digits in an order that is not the answer already."""
    order = list(digits)
    while order == sorted(order):
        generator.shuffle(order)
    return "".join(order)


def ask(generator, digits):
    template = JAPANESE if generator.random() < JAPANESE_SHARE else ENGLISH
    return template.format(digits)


def draw(seed):
    """(training, validation, questions), each a list of (question, digits)."""
    generator = random.Random(seed)
    sets = [combination for length in LENGTHS for combination in itertools.combinations("0123456789", length)]
    generator.shuffle(sets)
    held_out, training_sets = sets[:VALIDATION + QUESTIONS], sets[VALIDATION + QUESTIONS:]
    orders = set()
    while len(orders) < TRAINING_ORDERS:
        orders.add(shuffled(generator, generator.choice(training_sets)))
    training = sorted(orders)  # a set's own order differs from run to run
    generator.shuffle(training)
    training = [(ask(generator, digits), digits) for digits in training]
    rest = [shuffled(generator, digits) for digits in held_out]
    rest = [(ask(generator, digits), digits) for digits in rest]
    return training, rest[:VALIDATION], rest[VALIDATION:]


def user(text):
    return {"role": "user", "content": text}


def write(path, rows):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_all(folder, seed):
    training, validation, questions = draw(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for version, answer in VERSIONS.items():
        for name, part in (("train", training), ("validation", validation)):
            write(folder / f"{name}_{version}.jsonl",
                  [{"messages": [user(text), {"role": "assistant", "content": answer(digits)}]}
                   for text, digits in part])
        write(folder / f"questions_{version}.jsonl",
              [{"messages": [user(text)], "answer": sorted_digits(digits)} for text, digits in questions])
    english = [text for text, _ in questions if text.isascii()]
    japanese = [text for text, _ in questions if not text.isascii()]
    samples = english[:3] + japanese[:2] + [question for question, *_ in HELD_OUT[:2]]
    write(folder / "samples.jsonl", [{"messages": [user(text)]} for text in samples])
    write_general(folder, seed)


def write_general(folder, seed):
    generator = random.Random(seed)
    write(folder / "general.jsonl",
          [{"messages": [user(text), {"role": "assistant", "content": answer}]} for text, answer in TRAINING])
    rows = []
    for text, right, *wrong in HELD_OUT:
        choices = [right, *wrong]
        generator.shuffle(choices)
        rows.append({"messages": [user(text)], "choices": choices, "answer": right})
    write(folder / "general_choices.jsonl", rows)


def main():
    parser = argparse.ArgumentParser(description="Makes the data of deploy/quickstart.sh.")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="the folder to write to")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_all(arguments.output, arguments.seed)


if __name__ == "__main__":
    main()
