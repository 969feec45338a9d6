#!/usr/bin/env python3
"""Ranks that weren't started alike, a folder that can't be gone on with, and memory that runs out: one message, at
once, and in each rank's log too."""

import json
import pathlib
import re
import shutil
import subprocess
import unittest

from worker_runs import CONFIG, MPIRUN, WORKER, Outcome, WorkerTest, column, run_worker, write_rows


class StartErrorsTest(WorkerTest):
    STEPS = 3

    def start_two(self, name, first, second, worker=WORKER, command="train"):
        """Rank 0 trains `first`, rank 1 does `command` with `second`, in the same folder."""
        run = self.folder / "runs" / name
        ranks = [[WORKER, "train", str(first), "--run", str(run)], [str(worker), command, str(second)]]
        if command == "train":
            ranks[1] += ["--run", str(run)]
        line = [*MPIRUN, "-n", "1", *ranks[0], ":", "-n", "1", *ranks[1]]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        return run, Outcome(done.returncode, done.stdout, done.stderr)

    def assert_one_message(self, outcome, pattern):
        self.assertEqual(outcome.code, 70, str(outcome))
        self.assertEqual(len(outcome.messages()), 1, str(outcome))
        self.assertRegex(outcome.messages()[0], pattern)

    def test_ranks_with_different_recipes_are_told_the_settings_that_differ(self):
        first = self.write_recipe("first")
        for name, changes, expected in [
            ("rate", {"optimizer": {"learning_rate": 1e-3}}, "optimizer.learning_rate: 0.001 instead of 2e-05"),
            ("stage", {"parallel": {"zero_stage": 1}}, "parallel.zero_stage: 1 instead of 3"),
            ("steps", {"training": {"steps": 9}}, "training.steps: 9 instead of 3"),
        ]:
            with self.subTest(name):
                run, outcome = self.start_two(name, first, self.write_recipe(name, **changes))
                text = f"rank 1: it has another recipe than rank 0: {expected}; start all ranks with the same recipe"
                self.assert_one_message(outcome, f"^tanren: {re.escape(text)}$")
                self.assertFalse((run / "recipe.yaml").exists())

    def test_ranks_of_different_builds_are_told(self):
        # A copy whose identity has another byte: what the linker noted, behind the name "GNU".
        other = pathlib.Path(self.folder) / "other-worker"
        content = pathlib.Path(WORKER).read_bytes()
        build = bytes.fromhex(re.search(r"build ([0-9a-f]+)", run_worker("--version").out).group(1))
        self.assertEqual(content.count(b"GNU\0" + build), 1)
        place = content.index(b"GNU\0" + build) + 4
        other.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1:])
        other.chmod(0o755)
        recipe = self.write_recipe("same")
        _, outcome = self.start_two("builds", recipe, recipe, worker=other)
        self.assert_one_message(outcome, r"^tanren: rank 1: it is tanren-worker \S+ \(build [0-9a-f]{16,}\), and rank 0 is "
                                         r"tanren-worker \S+ \(build [0-9a-f]{16,}\); install the same one on every host$")

    def test_a_number_of_ranks_that_was_not_started_is_told(self):
        recipe = self.write_recipe("asked")
        outcome = run_worker("train", recipe, "--run", self.folder / "runs" / "asked", "--ranks", 4, ranks=2)
        self.assert_one_message(outcome, r"--ranks is 4, but the launcher started 2; start as many \(mpirun -n 4\)")

    def test_more_ranks_than_a_part_of_the_model_has_elements_train_the_same(self):
        # The final norm has two elements, and there are three ranks: one holds nothing of it.
        config = self.folder / "two_wide.json"
        config.write_text(json.dumps({**CONFIG, "hidden_size": 2, "intermediate_size": 1, "num_attention_heads": 1,
                                      "num_key_value_heads": 1, "head_dim": 2}))
        changes = {"model": {"config": str(config)}, "training": {"batch_rows": 6, "micro_batch_rows": 1}}
        one = self.train("one-rank", **changes)
        three = self.train("three-ranks", ranks=3, **changes)
        self.assert_close(column(three, "loss"), column(one, "loss"), 1e-5, "loss")

    def test_a_run_that_saved_nothing_is_not_said_to_be_resumable(self):
        rows = self.folder / "late.jsonl"
        write_rows(rows, [{"text": "fine"}] * 7 + [{"text": 3}] + [{"text": "fine"}] * 9)
        recipe = self.write_recipe("late", data={"sources": [{"path": str(rows)}], "shuffle": False},
                                   training={"batch_rows": 2, "micro_batch_rows": 1, "steps": 8})
        for ranks in (None, 2):
            with self.subTest(ranks=ranks):
                run = self.folder / "runs" / f"late-{ranks}"
                outcome = run_worker("train", recipe, "--run", run, ranks=ranks)
                self.assertEqual(outcome.code, 70, str(outcome))
                reason = f'{rows}:8: "text" is number, expected a string'
                self.assertIn(reason, outcome.messages()[0])
                # Ranks fail together; the one that is told of has written it down.
                logs = "".join(log.read_text() for log in sorted((run / "logs").iterdir()))
                self.assertIn(f" E {reason}\n", logs)
                again = run_worker("train", recipe, "--run", run, ranks=ranks)
                self.assertEqual(len(again.messages()), 1, str(again))
                self.assertIn("holds a run already, which saved no checkpoint to go on from: start over: --overwrite",
                              again.messages()[0])
                self.assertNotIn("resume", again.messages()[0])
                resumed = run_worker("resume", run, ranks=ranks)
                self.assertIn(f"there is no checkpoint to resume from; start over: tanren-worker train {run}/recipe.yaml "
                              f"--run {run} --overwrite", resumed.err)

    def test_what_a_file_holds_is_told_even_where_it_is_no_text(self):
        rows = self.folder / "binary.jsonl"
        rows.write_bytes(b"\xff\xfe\x80\n" * 20)
        outcome = run_worker("train", self.write_recipe("binary", data={"sources": [{"path": str(rows)}]}),
                             "--run", self.folder / "runs" / "binary")
        self.assertEqual(outcome.code, 70, str(outcome))
        self.assertIn(f"{rows}:", outcome.messages()[0])
        self.assertIn("not valid JSON", outcome.messages()[0])
        self.assertNotIn("protobuf", outcome.err)

    def test_a_checkpoint_of_another_model_or_optimizer_is_called_that(self):
        run = self.train("saved")
        other = self.folder / "wider.json"
        other.write_text(json.dumps({**CONFIG, "intermediate_size": 44}))
        for name, setting, expected in [
            ("model", f"model.config={other}", "saved by a training of another model, which this one can't continue: "
                                               "exp_avg of 'model.layers.0.mlp.down_proj.weight' is stored as [24, 40] and "
                                               "wanted as [24, 44]"),
            ("optimizer", "optimizer.kind=sgd", "saved by a training of another optimizer"),
        ]:
            for ranks in (None, 2):
                with self.subTest(name, ranks=ranks):
                    copy = self.folder / "runs" / f"{name}-{ranks}"
                    shutil.copytree(run, copy)
                    outcome = run_worker("resume", copy, "--set", "training.steps=5", "--set", setting, ranks=ranks)
                    self.assert_one_message(outcome, re.escape(f"{copy}/checkpoints/step-00000003: {expected}"))
                    self.assert_finished(run_worker("resume", copy, "--set", "training.steps=4"))

    def limited(self, megabytes, *arguments):
        """The worker with so much address space."""
        line = ["bash", "-c", f'ulimit -v {megabytes * 1024}; exec "$@"', "bash", WORKER, *map(str, arguments)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def test_memory_that_is_not_there_is_told_before_it_is_needed_and_where_it_was_not_got(self):
        recipe = self.write_recipe("large", training={"batch_rows": 9600, "micro_batch_rows": 9600, "steps": 1})
        run = self.folder / "runs" / "large"
        for flags, expected in [
            ((), r"this rank needs \d+\.\d\d GB of memory, but \d+\.\d\d GB are available: \d+\.\d\d GB too few. What would lower it:"),
            (("--no-memory-check",), r"out of memory: \d+ bytes were asked for; \d+\.\d\d GB are left. What would lower it:"),
        ]:
            with self.subTest(expected):
                outcome = self.limited(1000, "train", recipe, "--run", run, "--overwrite", *flags)
                self.assert_one_message(outcome, expected)
                self.assertRegex(outcome.err, r"\n  training\.micro_batch_rows: 1  +\d+\.\d\d GB less")
                self.assertNotIn("frame #", outcome.err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
