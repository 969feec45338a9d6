#!/usr/bin/env python3
"""evaluate says how good a model is, with intervals and as JSON; data show says what a model will see."""

import json
import math
import re
import unittest

from worker_runs import WorkerTest, metrics_of, run_worker, write_rows

QUESTIONS = ["the sea", "a boat", "so we go", "it may hold", "wide and", "see what"]
RIGHT = 2  # of the questions, whose answer is what the model says


class EvaluateTest(WorkerTest):
    STEPS = 6
    CHANGES = {
        "optimizer": {"learning_rate": 3e-3},
        "data": {"validation_fraction": 0.2},
        "generation": {"max_new_tokens": 8, "batch_size": 4},
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_folder = cls("train").train("tuned", ranks=2, **cls.CHANGES)
        cls.write_questions()

    @classmethod
    def write_questions(cls):
        stdin = "".join(json.dumps({"prompt": text}) + "\n" for text in QUESTIONS)
        outcome = run_worker("generate", "--model", cls.run_folder, "--dtype", "fp32", "--max-new-tokens", "8", stdin=stdin)
        cls.texts = [json.loads(line)["text"] for line in outcome.out.splitlines()]
        answers = [text.strip() for text in cls.texts[:RIGHT]] + ["something else"] * (len(QUESTIONS) - RIGHT)
        cls.questions = cls.folder / "questions.jsonl"
        write_rows(cls.questions, [{"prompt": prompt, "answer": answer} for prompt, answer in zip(QUESTIONS, answers)])

    def evaluate(self, model, *arguments, **changes):
        recipe = self.write_recipe("evaluated", **{**self.CHANGES, **changes})
        output = self.folder / "results" / "evaluation.json"
        output.unlink(missing_ok=True)
        outcome = run_worker("evaluate", recipe, "--model", model, "--dtype", "fp32", "--output", output, *arguments)
        self.assert_finished(outcome)
        return json.loads(output.read_text()), outcome

    def test_the_held_out_loss_is_that_of_the_training_with_its_interval(self):
        during = [line["validation_loss"] for line in metrics_of(self.run_folder) if "validation_loss" in line]
        for model in (self.run_folder, self.run_folder / "model", self.run_folder / "checkpoints" / "step-00000006"):
            with self.subTest(str(model)):
                result, outcome = self.evaluate(model)
                held_out = result["held_out"]
                self.assertEqual(result["model"], str(model))
                self.assert_close([held_out["loss"]], [during[-1]], 1e-5, "held-out loss")
                low, high = held_out["loss_interval"]
                self.assertTrue(low < held_out["loss"] < high < 1.5 * held_out["loss"], held_out)
                self.assert_close([held_out["perplexity"]], [math.exp(held_out["loss"])], 1e-9, "perplexity")
                self.assert_close(held_out["perplexity_interval"], [math.exp(low), math.exp(high)], 1e-9, "interval")
                self.assertGreater(held_out["documents"], 5)
                self.assertGreater(held_out["targets"], held_out["documents"])
                self.assertIsNone(result["exact_match"])
                self.assertIn(f"{held_out['loss']:.4f}", outcome.out)

    def test_exact_match_counts_what_the_model_answers_with_its_interval(self):
        result, outcome = self.evaluate(self.run_folder, evaluation={"questions": str(self.questions)})
        match = result["exact_match"]
        self.assertEqual((match["right"], match["questions"]), (RIGHT, len(QUESTIONS)))
        self.assertAlmostEqual(match["share"], RIGHT / len(QUESTIONS))
        low, high = match["share_interval"]
        self.assertTrue(0 < low < match["share"] < high < 1, match)
        self.assertEqual([answer["text"] for answer in match["answers"]], self.texts)
        self.assertEqual([answer["right"] for answer in match["answers"]],
                         [True] * RIGHT + [False] * (len(QUESTIONS) - RIGHT))
        self.assertIn(f"{RIGHT} of {len(QUESTIONS)}", outcome.out)

    def score(self, texts):
        """log p of each text's tokens given those before."""
        stdin = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        outcome = run_worker("score", "--model", self.run_folder, "--dtype", "fp32", stdin=stdin)
        self.assertEqual(outcome.code, 0, str(outcome))
        return [json.loads(line)["logprobs"] for line in outcome.out.splitlines()]

    def test_multiple_choice_takes_what_the_model_finds_likeliest_in_sum_and_a_byte(self):
        pairs = [(" a", " the boat and the sea"), (" so we go on", " zq#"), (" see", " what it may hold")]
        rows, expected = [], []
        for prompt, texts in zip(QUESTIONS, pairs * 2):
            whole, [alone] = self.score([prompt + text for text in texts]), self.score([prompt])
            sums = [sum(logprobs[len(alone):]) for logprobs in whole]
            means = [value / len(text.strip()) for value, text in zip(sums, texts)]
            expected.append({"sums": sums, "chosen": sums.index(max(sums)), "chosen_norm": means.index(max(means))})
            # The right one is given by its text or its index, and is what the model takes or not.
            right = expected[-1]["chosen"] if len(rows) < 4 else 1 - expected[-1]["chosen"]
            answer = right if len(rows) % 2 else texts[right]
            rows.append({"prompt": prompt, "choices": list(texts), "answer": answer})
            expected[-1]["right"] = right
        # (Else the two ways to choose aren't told apart.)
        self.assertTrue(any(one["chosen"] != one["chosen_norm"] for one in expected), expected)
        choices = self.folder / "choices.jsonl"
        write_rows(choices, rows)
        result, outcome = self.evaluate(self.run_folder, evaluation={"choices": str(choices)})
        found = result["multiple_choice"]
        self.assertEqual(found["questions"], len(rows))
        for answer, one, row in zip(found["answers"], expected, rows, strict=True):
            self.assert_close(answer["logprobs"], one["sums"], 1e-5, "log-likelihoods")
            self.assertEqual({key: answer[key] for key in ("chosen", "chosen_norm", "answer")},
                             {"chosen": one["chosen"], "chosen_norm": one["chosen_norm"], "answer": one["right"]})
            self.assertEqual((answer["question"], answer["choices"]), (row["prompt"], row["choices"]))
        for name, chosen in (("acc", "chosen"), ("acc_norm", "chosen_norm")):
            right = sum(one[chosen] == one["right"] for one in expected)
            self.assertAlmostEqual(found[name], right / len(rows))
            low, high = found[name + "_interval"]
            self.assertTrue(0 <= low <= found[name] <= high <= 1 and low < high, found)
            self.assertRegex(outcome.out, rf"(?m)^{name} +{right} of {len(rows)}: ")
        self.assertAlmostEqual(found["acc"], 4 / len(rows))
        self.assertIsNone(result["exact_match"])
        limited, _ = self.evaluate(self.run_folder, evaluation={"choices": str(choices), "max_choices": 2})
        self.assertEqual(limited["multiple_choice"]["answers"], found["answers"][:2])

    def test_a_conversations_choice_is_the_assistants_answer_without_its_end(self):
        choices = self.folder / "chat_choices.jsonl"
        messages = [{"role": "user", "content": "Where?"}]
        write_rows(choices, [{"messages": messages, "choices": ["the sea", "a boat"], "answer": 0}])
        result, _ = self.evaluate(self.run_folder, evaluation={"choices": str(choices)})
        stdin = json.dumps({"messages": messages, "add_generation_prompt": True}) + "\n"
        rendered = json.loads(run_worker("render", "--model", self.run_folder, stdin=stdin).out)
        whole = self.score([rendered["text"] + text for text in ("the sea", "a boat")])
        [alone] = self.score([rendered["text"]])
        self.assert_close(result["multiple_choice"]["answers"][0]["logprobs"],
                          [sum(logprobs[len(alone):]) for logprobs in whole], 1e-5, "log-likelihoods")

    def test_a_bad_choice_is_named_and_nothing_is_written(self):
        bad = self.folder / "bad_choices.jsonl"
        write_rows(bad, [{"prompt": "x", "choices": ["a", "b"], "answer": 0},
                         {"prompt": "x", "choices": ["a", "b"], "answer": "c"}])
        recipe = self.write_recipe("bad-choices", evaluation={"choices": str(bad)})
        output = self.folder / "none.json"
        outcome = run_worker("evaluate", recipe, "--model", self.run_folder, "--output", output)
        self.assertEqual(outcome.code, 1)
        self.assertEqual(outcome.messages(), [f'tanren-worker: {bad}:2: "answer" is "c", expected the text of a choice or '
                                              'its index, 0 to 1'])
        self.assertFalse(output.exists())

    def test_a_question_without_an_answer_is_named_and_nothing_is_written(self):
        bad = self.folder / "bad_questions.jsonl"
        write_rows(bad, [{"prompt": "x", "answer": "y"}, {"prompt": "x"}])
        recipe = self.write_recipe("bad-questions", **self.CHANGES, evaluation={"questions": str(bad)})
        output = self.folder / "none.json"
        outcome = run_worker("evaluate", recipe, "--model", self.run_folder, "--output", output)
        self.assertEqual(outcome.code, 1)
        self.assertEqual(outcome.messages(), [f'tanren-worker: {bad}:2: expected "answer", a string'])
        self.assertFalse(output.exists())

    def test_a_recipe_that_holds_nothing_out_has_nothing_to_evaluate(self):
        recipe = self.write_recipe("nothing")
        outcome = run_worker("evaluate", recipe, "--model", self.run_folder)
        self.assertEqual(outcome.code, 1)
        self.assertEqual(len(outcome.messages()), 1)
        self.assertIn("there is nothing to evaluate", outcome.messages()[0])


class DataShowTest(WorkerTest):
    def show(self, rows, *arguments, **data):
        path = self.folder / "shown.jsonl"
        write_rows(path, rows)
        recipe = self.write_recipe("shown", data={"sources": [{"path": str(path)}], "shuffle": False, **data})
        outcome = run_worker("data", "show", recipe, *arguments)
        self.assertEqual(outcome.code, 0, str(outcome))
        return path, outcome.out

    def test_it_shows_documents_with_what_is_trained_on_and_counts_all(self):
        chat = {"messages": [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "There."}]}
        path, out = self.show([{"prompt": "one ", "completion": "two"}, chat, {"text": "long " * 30}, {"text": "plain"}],
                              "-n", "2", sequence_length=100, bad_rows="skip")
        self.assertIn(f"{path}:1  7 tokens, 3 targets", out)
        self.assertIn(f"{path}:2", out)
        self.assertNotIn(f"{path}:3", out)
        # In green on a terminal, in brackets elsewhere.
        self.assertNotIn("\x1b", out)
        self.assertRegex(out, r"one \S+two\S+")
        self.assertRegex(re.sub(r"\s+", " ", out), r"documents 4 .*truncated 1 .*bad rows 0 ")
        _, colored = self.show([{"prompt": "one ", "completion": "two"}], "--color", "yes")
        self.assertRegex(colored, "one \x1b\\[[0-9;]+mtwo\x1b\\[")

    def test_it_names_bad_rows(self):
        path, out = self.show([{"text": "fine"}, {"text": 3}], bad_rows="skip")
        self.assertIn(f'{path}:2: "text" is number, expected a string', out)
        recipe = self.folder / "shown.yaml"
        outcome = run_worker("data", "show", recipe, "--set", "data.bad_rows=stop")
        self.assertEqual(outcome.code, 1)
        self.assertEqual(outcome.messages(), [f'tanren-worker: {path}:2: "text" is number, expected a string'])


if __name__ == "__main__":
    unittest.main(verbosity=2)
