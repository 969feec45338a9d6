#!/usr/bin/env python3
"""The quickstart's data: the same whenever it is made, right, and held out where it says so."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "deploy/data/make_quickstart_data.py"
VERSIONS = ("direct", "reasoning")


def make(folder, *arguments):
    subprocess.run([sys.executable, SCRIPT, "--output", folder, *arguments], check=True)
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


def digits_of(row):
    return "".join(c for c in row["messages"][0]["content"] if c.isascii() and c.isdigit())


class QuickstartDataTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            cls.files = make(folder)

    def rows(self, name):
        return [json.loads(line) for line in self.files[name].decode("utf-8").splitlines()]

    def test_the_same_seed_makes_the_same_bytes_and_another_one_others(self):
        with tempfile.TemporaryDirectory() as again, tempfile.TemporaryDirectory() as other:
            self.assertEqual(self.files, make(again))
            self.assertNotEqual(self.files, make(other, "--seed", "1"))

    def test_every_answer_is_right(self):
        for version in VERSIONS:
            for part in ("train", "validation"):
                for row in self.rows(f"{part}_{version}.jsonl"):
                    question, reply = row["messages"]
                    self.assertEqual((question["role"], reply["role"]), ("user", "assistant"))
                    answer = reply["content"].split("Answer: ")[-1]
                    self.assertEqual(answer, "".join(sorted(digits_of(row))))
            for row in self.rows(f"questions_{version}.jsonl"):
                self.assertEqual(len(row["messages"]), 1)
                self.assertEqual(row["answer"], "".join(sorted(digits_of(row))))

    def test_every_step_of_the_reasoning_takes_the_smallest_of_what_is_left(self):
        for row in self.rows("train_reasoning.jsonl"):
            left = digits_of(row)
            steps = row["messages"][1]["content"].split(". Answer: ")[0].split(", ")
            for step in steps:
                self.assertEqual(step, f"{min(left)} of {left}")
                left = left.replace(min(left), "")
            self.assertEqual(left, "")

    def test_held_out_questions_share_no_set_of_digits_with_training_or_each_other(self):
        sets = {part: {frozenset(digits_of(row)) for row in self.rows(f"{part}_direct.jsonl")}
                for part in ("train", "validation", "questions")}
        self.assertFalse(sets["train"] & sets["validation"])
        self.assertFalse(sets["train"] & sets["questions"])
        self.assertFalse(sets["validation"] & sets["questions"])

    def test_no_question_is_its_own_answer_or_comes_twice(self):
        for part in ("train", "validation", "questions"):
            digits = [digits_of(row) for row in self.rows(f"{part}_direct.jsonl")]
            self.assertEqual(len(digits), len(set(digits)))
            for one in digits:
                self.assertNotEqual(list(one), sorted(one))

    def test_both_versions_ask_the_same(self):
        for part in ("train", "validation", "questions"):
            direct, reasoning = (self.rows(f"{part}_{version}.jsonl") for version in VERSIONS)
            self.assertEqual([row["messages"][0] for row in direct],
                             [row["messages"][0] for row in reasoning])

    def test_both_languages_are_everywhere_and_the_samples_ask_something_general_too(self):
        for name in ("train_direct.jsonl", "questions_direct.jsonl", "samples.jsonl"):
            texts = [row["messages"][0]["content"] for row in self.rows(name)]
            self.assertTrue(any(text.isascii() for text in texts))
            self.assertTrue(any(not text.isascii() for text in texts))
        self.assertTrue(any(not digits_of(row) for row in self.rows("samples.jsonl")))

    def test_held_out_general_questions_are_asked_nowhere_in_training_and_have_one_right_choice(self):
        trained = {row["messages"][0]["content"] for name in ("train_direct.jsonl", "general.jsonl")
                   for row in self.rows(name)}
        places = set()
        rows = self.rows("general_choices.jsonl")
        for row in rows:
            self.assertNotIn(row["messages"][0]["content"], trained)
            self.assertEqual(len(set(row["choices"])), 4, row)
            places.add(row["choices"].index(row["answer"]))
        self.assertEqual(places, {0, 1, 2, 3}, "the place says nothing")
        self.assertEqual(len({row["messages"][0]["content"] for row in rows}), len(rows))
        samples = {row["messages"][0]["content"] for row in self.rows("samples.jsonl")}
        self.assertFalse(samples & trained)


if __name__ == "__main__":
    unittest.main()
