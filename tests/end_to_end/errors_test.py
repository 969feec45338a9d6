#!/usr/bin/env python3
"""What is wrong with a recipe, its model or its data is said once, on one rank or on two, with its place; the
exit code tells it too, and nothing is left that keeps the mended recipe from running."""

import json
import unittest

from worker_runs import CONFIG, WorkerTest, column, run_worker, steps_of, write_rows


class ErrorsTest(WorkerTest):
    STEPS = 3

    def broken(self, **changes):
        return self.write_recipe("broken", **changes)

    def yaml(self, text):
        """A recipe by hand, for places in it."""
        path = self.folder / "by-hand.yaml"
        path.write_text(text)
        return path

    def test_an_unknown_key_is_named_with_its_line_and_the_nearest_one(self):
        recipe = self.yaml("name: misspelt\n"
                           "training:\n"
                           "  steps: 3\n"
                           "  batchrows: 8\n")
        self.assert_refused(recipe, f'{recipe}:4:3: unknown key "batchrows" in training; did you mean "batch_rows"?')

    def test_a_wrong_type_and_a_value_out_of_range_are_named_with_their_lines(self):
        recipe = self.yaml("training:\n  steps: soon\n")
        self.assert_refused(recipe, f"{recipe}:2:", "steps", '"soon"')
        recipe = self.yaml("training: {steps: 3}\nparallel:\n  zero_stage: 4\n")
        self.assert_refused(recipe, f"{recipe}:3:", "zero_stage")

    def test_a_wrong_override_is_named(self):
        recipe = self.write_recipe("fine")
        self.assert_refused(recipe, '--set optimizer.learningrate=1: unknown key "learningrate"', '"learning_rate"?',
                            arguments=["--set", "optimizer.learningrate=1"])

    def test_a_recipe_that_is_not_there_is_named(self):
        self.assert_refused(self.folder / "absent.yaml", "absent.yaml: can't open: No such file or directory")

    def test_a_bad_row_is_named_with_file_and_line(self):
        rows = self.folder / "bad.jsonl"
        write_rows(rows, [{"text": "fine"}, {"text": "fine"}, {"text": 3}, {"text": "fine"}])
        # Counted before training where it lasts for epochs; with steps each row is read at its turn.
        recipe = self.broken(data={"sources": [{"path": str(rows)}]}, training={"steps": 0, "epochs": 1})
        self.assert_refused(recipe, f'{rows}:3: "text" is number, expected a string')
        rows.write_text('{"text": "fine"}\n\n{"text": \n')
        self.assert_refused(recipe, f"{rows}:3: not valid JSON")

    def test_bad_rows_that_are_left_out_are_named_and_counted(self):
        rows = self.folder / "some-bad.jsonl"
        write_rows(rows, [{"text": "fine"}, {"text": 3}, {"text": "good"}, {"text": "long " * 20}])
        recipe = self.write_recipe("skipping", data={"sources": [{"path": str(rows)}], "bad_rows": "skip"})
        run = self.folder / "runs" / "skipping"
        outcome = run_worker("train", recipe, "--run", run, ranks=2)
        self.assert_finished(outcome)
        self.assertEqual(column(run, "step"), [1, 2, 3])
        for said in (outcome.err, (run / "logs" / "rank-0.log").read_text()):
            self.assertEqual(said.count(f'left out: {rows}:2: "text" is number, expected a string'), 1, said)
            self.assertEqual(said.count("rows of the training data: 1 bad and left out, 1 cut to "
                                        "data.sequence_length; 3 documents"), 1, said)

    def test_data_without_a_flaw_get_no_warning(self):
        outcome = run_worker("train", self.write_recipe("flawless"), "--run", self.folder / "runs" / "flawless")
        self.assert_finished(outcome)
        self.assertNotIn("left out", outcome.err)
        self.assertNotIn("rows of the", outcome.err)

    def test_a_missing_model_is_named(self):
        recipe = self.write_recipe("no-model")
        whole = json.loads(recipe.read_text())
        for model, expected in [
            ({"path": str(self.folder / "nowhere")}, ["nowhere: there is no such file or folder"]),
            ({**whole["model"], "config": str(self.folder / "no.json")}, ["no.json: can't open: No such file"]),
            ({**whole["model"], "tokenizer": str(self.folder / "no.gguf")}, ["no.gguf: there is no such file"]),
            ({"path": str(self.folder / "model")}, [f"{self.folder / 'model'}: there is neither model.safetensors"]),
        ]:
            with self.subTest(str(model)):
                recipe.write_text(json.dumps({**whole, "model": model}))
                self.assert_refused(recipe, *expected)

    def test_a_config_that_no_tokenizer_fits_is_named(self):
        config = self.folder / "small_vocabulary.json"
        config.write_text(json.dumps({**CONFIG, "vocab_size": 256}))
        self.assert_refused(self.broken(model={"config": str(config)}), str(config), "ids up to 258",
                            "a vocabulary of 256")

    def test_missing_data_are_named(self):
        absent = self.folder / "absent.jsonl"
        self.assert_refused(self.broken(data={"sources": [{"path": str(absent)}]}),
                            f"{absent}: can't open: No such file or directory")
        recipe = self.broken(data={"sources": []})
        self.assert_refused(recipe, f"{recipe}:9:3: data.sources is missing, expected a list with at least one path")

    def test_data_with_nothing_to_train_on_are_named(self):
        rows = self.folder / "no_target.jsonl"
        write_rows(rows, [{"prompt": "nothing follows", "completion": ""}] * 4)
        recipe = self.broken(data={"sources": [{"path": str(rows)}]}, training={"steps": 0, "epochs": 1})
        self.assert_refused(recipe, f"{rows}:1: nothing to train on: none of its 15 tokens is a target")

    def test_rows_too_long_for_the_model_and_ranks_that_share_no_step_are_named(self):
        self.assert_refused(self.broken(data={"sequence_length": 1000}),
                            "data.sequence_length is 1000, but the model has 256 positions")
        outcome = run_worker("train", self.broken(training={"batch_rows": 7}), "--run",
                             self.folder / "runs" / "seven", ranks=2)
        self.assertNotEqual(outcome.code, 0)
        self.assertEqual(len(outcome.messages()), 1, str(outcome))
        self.assertIn("training.batch_rows is 7, which 2 ranks can't share equally; 6 or 8 would do",
                      outcome.messages()[0])

    def test_a_mended_recipe_runs_in_the_folder_where_it_failed(self):
        run = self.assert_refused(self.broken(data={"sources": [{"path": "absent.jsonl"}]}), "absent.jsonl", run="mended")
        recipe = self.write_recipe("mended")
        self.assert_finished(run_worker("train", recipe, "--run", run, ranks=2))
        self.assertEqual(len(steps_of(run)), 3)

    def test_resuming_what_is_no_run_is_refused(self):
        outcome = run_worker("resume", self.folder / "runs" / "never", ranks=2)
        self.assertNotEqual(outcome.code, 0)
        self.assertEqual(len(outcome.messages()), 1, str(outcome))
        self.assertIn("never/recipe.yaml: can't open: No such file or directory", outcome.messages()[0])
        self.assertFalse((self.folder / "runs" / "never").exists())

    def test_a_tokenizer_folder_without_weights_serves_pre_training(self):
        # And its tokenizer_config.json says what ends a text.
        model = self.folder / "model"
        (model / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}))
        run = self.train("tokenizer-folder", model={"tokenizer": str(model)}, data={"append_eos": True})
        self.assertEqual(column(run, "step"), [1, 2, 3])


if __name__ == "__main__":
    unittest.main(verbosity=2)
