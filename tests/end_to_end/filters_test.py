#!/usr/bin/env python3
"""tokenize, render, score and generate on a real model (TANREN_TEST_MODEL): JSON lines in, JSON lines out, in
order, with an error in the place of what can't be answered; in fp32 they give what transformers gives."""

import json
import math
import os
import pathlib
import subprocess
import unittest

from worker_runs import PATIENCE, WORKER, run_worker

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
MODEL = os.environ.get("TANREN_TEST_MODEL", "")
# Twice what logits may differ by: 1e-5 of the largest.
SCORE_TOLERANCE = 2e-5
VOCABULARY = 49152
END_OF_TURN = 2


def conversation(question):
    return {"messages": [{"role": "user", "content": question}]}


class FiltersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not WORKER or not os.path.exists(MODEL):
            raise RuntimeError(f"TANREN_WORKER and TANREN_TEST_MODEL must name what is tested: {WORKER!r}, {MODEL!r}")
        cls.golden = json.loads((GOLDEN / "llama" / "smollm2.json").read_text())

    def filter(self, command, lines, *arguments, code=0):
        """The answers to `lines`, which are objects or texts as they are."""
        stdin = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
        outcome = run_worker(command, "--model", MODEL, *arguments, stdin=stdin)
        self.assertEqual(outcome.code, code, str(outcome))
        self.assertEqual(outcome.err, "")
        return [json.loads(line) for line in outcome.out.splitlines()]

    def assert_error(self, answer, line, text):
        self.assertEqual(list(answer), ["error"])
        self.assertTrue(answer["error"].startswith(f"line {line}: "), answer)
        self.assertIn(text, answer["error"])

    # ---- tokenize

    def test_tokenize_gives_the_ids_that_its_peer_gives(self):
        lines = (GOLDEN / "tokenizer" / "smollm2-gguf.samples.jsonl").read_text(encoding="utf-8").split("\n")
        samples = [json.loads(line) for line in lines if line]
        samples = [sample for sample in samples if "text" in sample]
        self.assertGreater(len(samples), 100)
        answers = self.filter("tokenize", [{"text": sample["text"]} for sample in samples])
        self.assertEqual([answer["ids"] for answer in answers], [sample["ids"] for sample in samples])

    def test_tokenize_answers_in_order_with_errors_in_their_places(self):
        answers = self.filter("tokenize", [{"text": "Hi there"}, "", {"text": 3}, "not JSON", "[1]", {"text": ""},
                                           {"other": "x"}, {"text": "Hi there"}], code=1)
        self.assertEqual(len(answers), 7)  # a blank line asks nothing
        self.assertEqual(answers[0], {"ids": [26843, 665]})
        self.assert_error(answers[1], 3, "\"text\" is number, expected a string")
        self.assert_error(answers[2], 4, "not JSON")
        self.assert_error(answers[3], 5, "found array, expected an object")
        self.assertEqual(answers[4], {"ids": []})
        self.assert_error(answers[5], 7, "expected \"text\"")
        self.assertEqual(answers[6], answers[0])

    def test_a_filter_answers_each_line_before_the_next_is_there(self):
        with subprocess.Popen([WORKER, "tokenize", "--model", MODEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as worker:
            for text in ("one", "two", "three"):
                worker.stdin.write(json.dumps({"text": text}) + "\n")
                worker.stdin.flush()
                # (A filter that waits hangs here, and ctest ends it.)
                self.assertTrue(json.loads(worker.stdout.readline())["ids"])
            worker.stdin.close()
            self.assertEqual(worker.wait(PATIENCE), 0)

    def test_a_model_that_is_not_there_is_one_message(self):
        for command in ("tokenize", "render", "score", "generate"):
            outcome = run_worker(command, "--model", "/nowhere", stdin='{"text": "x"}\n')
            self.assertEqual(outcome.code, 1)
            self.assertEqual(outcome.out, "")
            self.assertEqual(outcome.err.count("\n"), 1)
            self.assertIn("/nowhere: there is no such file or folder", outcome.err)

    # ---- render

    def test_render_gives_the_prompts_that_transformers_gives(self):
        requests = [{**conversation(answer["question"]), "add_generation_prompt": True}
                    for answer in self.golden["answers"]]
        answers = self.filter("render", requests)
        self.assertEqual([answer["ids"] for answer in answers], [one["prompt"] for one in self.golden["answers"]])
        for answer, request in zip(answers, requests):
            self.assertTrue(answer["text"].endswith("<|im_start|>assistant\n"))
            self.assertIn(request["messages"][0]["content"], answer["text"])
            self.assertEqual(answer["mask"], [0] * len(answer["ids"]))

    def test_render_masks_exactly_what_the_assistant_writes(self):
        messages = [{"role": "user", "content": "Say a."}, {"role": "assistant", "content": "Apple"},
                    {"role": "user", "content": "Say b."}, {"role": "assistant", "content": "日本"}]
        [answer] = self.filter("render", [{"messages": messages}])
        trained = [[]]
        for token, mask in zip(answer["ids"], answer["mask"]):
            if mask:
                trained[-1].append(token)
            elif trained[-1]:
                trained.append([])
        expected = [one["ids"] for one in
                    self.filter("tokenize", [{"text": "Apple<|im_end|>"}, {"text": "日本<|im_end|>"}])]
        self.assertEqual(trained[:-1], expected)

    def test_render_names_what_is_wrong_with_a_conversation(self):
        answers = self.filter("render", [{}, {"messages": [{"role": "user"}]},
                                         {**conversation("x"), "add_generation_prompt": "yes"}, conversation("x")],
                              code=1)
        self.assert_error(answers[0], 1, "expected \"messages\"")
        self.assert_error(answers[1], 2, "content")
        self.assert_error(answers[2], 3, "\"add_generation_prompt\" must be true or false")
        self.assertIn("ids", answers[3])

    # ---- score

    def test_score_gives_the_log_probabilities_that_transformers_gives(self):
        texts = self.golden["texts"]
        answers = self.filter("score", [{"ids": one["ids"]} for one in texts] + [{"text": one["text"]} for one in texts],
                              "--dtype", "fp32")
        self.assertEqual(answers[:len(texts)], answers[len(texts):])
        for answer, one in zip(answers, texts):
            self.assertEqual(len(answer["logprobs"]), len(one["ids"]) - 1)
            for found, expected in zip(answer["logprobs"], one["logprobs"]):
                self.assertLess(found, 0)
                self.assertLessEqual(abs(found - expected), SCORE_TOLERANCE * one["max_abs_logit"])

    def test_score_in_bf16_is_near_and_its_errors_are_in_their_places(self):
        text = self.golden["texts"][0]
        answers = self.filter("score", [{"ids": text["ids"]}, {"ids": [1]}, {"ids": []}, {"ids": [VOCABULARY]},
                                        {"ids": [-1]}, {}], "--dtype", "bf16", code=1)
        self.assertTrue(all(math.isfinite(value) for value in answers[0]["logprobs"]))
        difference = sum(answers[0]["logprobs"]) - sum(text["logprobs"])
        self.assertNotEqual(difference, 0)
        self.assertLess(abs(difference) / len(text["logprobs"]), 0.05)
        self.assertEqual(answers[1], {"logprobs": []})
        self.assert_error(answers[2], 3, "there are no tokens to score")
        self.assert_error(answers[3], 4, f"\"ids\" holds {VOCABULARY}, expected integers from 0 to {VOCABULARY - 1}")
        self.assert_error(answers[4], 5, "\"ids\" holds -1")
        self.assert_error(answers[5], 6, "expected \"text\"")

    # ---- generate

    def test_generate_gives_the_answers_that_transformers_gives(self):
        # Side by side, of unequal lengths, with a request between them that can't be answered.
        lines = [conversation(one["question"]) for one in self.golden["answers"]]
        answers = self.filter("generate", [*lines[:2], {"prompt": ""}, *lines[2:]], "--dtype", "fp32",
                              "--max-new-tokens", "32", code=1)
        self.assert_error(answers.pop(2), 3, "the prompt has no tokens")
        self.assertEqual([answer["ids"] for answer in answers], [one["ids"] for one in self.golden["answers"]])
        self.assertEqual([answer["finish_reason"] for answer in answers],
                         ["stop" if one["ids"][-1] == END_OF_TURN else "length" for one in self.golden["answers"]])
        self.assertEqual({answer["finish_reason"] for answer in answers}, {"stop", "length"})
        self.assertEqual(answers[0]["text"], "The capital of France is Paris.")

    def test_generate_takes_its_settings_from_each_line(self):
        prompt = {"prompt": "The capital of France is"}
        drawn = {**prompt, "max_new_tokens": 6, "temperature": 1.5, "seed": 11}
        answers = self.filter("generate", [
            {**prompt, "max_new_tokens": 2}, {**prompt, "max_new_tokens": 8, "stop": "Paris"},
            {**drawn, "top_k": 1}, {**prompt, "max_new_tokens": 6}, {**prompt, "temperature": -1},
            {**prompt, "max_new_tokens": 1.5}, {"messages": "Hi"}], "--dtype", "fp32", code=1)
        self.assertEqual((len(answers[0]["ids"]), answers[0]["finish_reason"]), (2, "length"))
        self.assertEqual((answers[1]["text"], answers[1]["finish_reason"]), (" ", "stop"))
        self.assertEqual(answers[2]["ids"], answers[3]["ids"])  # of the likeliest one there is one choice
        self.assert_error(answers[4], 5, "\"temperature\" is -1, expected 0 or more")
        self.assert_error(answers[5], 6, "\"max_new_tokens\" is 1.5, expected an integer")
        self.assert_error(answers[6], 7, "")

    def test_generate_biases_penalises_and_filters_as_each_line_says(self):
        prompt = {"prompt": "The capital of France is", "max_new_tokens": 8}
        [plain] = self.filter("generate", [prompt], "--dtype", "fp32")
        first = plain["ids"][0]
        # One sentence again and again is what the penalty is for.
        again = {"prompt": "Yes, yes, yes, yes, yes, yes,", "max_new_tokens": 8}
        drawn = {**prompt, "temperature": 1.5, "seed": 3}
        banned, forced, repeated, penalised, likeliest, loose = self.filter("generate", [
            {**prompt, "logit_bias": {str(first): -1e9}}, {**prompt, "logit_bias": {"26843": 1e6}},
            again, {**again, "repetition_penalty": 1.5}, {**drawn, "min_p": 1}, drawn], "--dtype", "fp32")
        self.assertNotIn(first, banned["ids"])
        self.assertEqual(forced["ids"], [26843] * 8)
        self.assertLess(len(set(repeated["ids"])), len(set(penalised["ids"])))
        self.assertEqual(likeliest["ids"], plain["ids"])
        self.assertNotEqual(loose["ids"], plain["ids"])
        # As flags for all lines; a line's bias takes the place of the flags'.
        flags = ["--dtype", "fp32", "--repetition-penalty", "1.5", "--logit-bias", f"{first}=-1e9",
                 "--logit-bias", "26843=-1e9"]
        by_flag, by_line = self.filter("generate", [{**prompt, "repetition_penalty": 1},
                                                    {**again, "logit_bias": {}}], *flags)
        self.assertEqual((by_flag["ids"], by_line["ids"]), (banned["ids"], penalised["ids"]))

    def test_generate_says_what_of_a_setting_is_out_of_range(self):
        wrong = {
            "top_p": (0, "\"top_p\" is 0, expected above 0, at most 1"),
            "min_p": (1.5, "\"min_p\" is 1.5, expected 0 to 1"),
            "repetition_penalty": (0, "\"repetition_penalty\" is 0, expected 0.001 to 1000"),
            "logit_bias": ([1], "\"logit_bias\" is array, expected an object of token ids and numbers"),
        }
        biases = [({"x": 1}, "\"logit_bias\" has the key \"x\", expected the id of a token"),
                  ({"5": "no"}, "\"logit_bias\": \"5\" is string, expected a number"),
                  ({"5": 1e31}, "\"logit_bias\": \"5\" is 1e+31, expected -1e+30 to 1e+30"),
                  ({str(VOCABULARY): 1}, f"the logit bias is of token {VOCABULARY}, expected 0 to {VOCABULARY - 1}")]
        cases = [({key: value}, text) for key, (value, text) in wrong.items()]
        cases += [({"logit_bias": bias}, text) for bias, text in biases]
        answers = self.filter("generate", [{"prompt": "x", **settings} for settings, _ in cases], code=1)
        for number, (answer, (_, text)) in enumerate(zip(answers, cases), start=1):
            self.assert_error(answer, number, text)
        for flag, value, text in (("--top-p", "0", "found 0, expected above 0, at most 1"),
                                  ("--min-p", "2", "found 2, expected 0 to 1"),
                                  ("--repetition-penalty", "-1", "found -1, expected 0.001 to 1000"),
                                  ("--logit-bias", "5", "found \"5\", expected ID=VALUE"),
                                  ("--logit-bias", f"{VOCABULARY}=1", f"expected 0 to {VOCABULARY - 1}")):
            outcome = run_worker("generate", "--model", MODEL, flag, value, stdin="")
            self.assertNotEqual(outcome.code, 0)
            self.assertIn(text, outcome.err)

    def test_generate_draws_the_same_from_the_same_seed(self):
        line = {"prompt": "Once upon a time", "max_new_tokens": 12, "temperature": 1.0}
        first, again, other = [self.filter("generate", [line], "--dtype", "fp32", "--seed", seed)
                               for seed in ("5", "5", "6")]
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)


if __name__ == "__main__":
    unittest.main(verbosity=2)
