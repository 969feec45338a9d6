#!/usr/bin/env python3
"""`--ranks N` is the same as starting the worker under mpirun."""

import unittest

from worker_runs import WorkerTest, column, run_worker

COLUMNS = ("step", "loss", "gradient_norm", "learning_rate", "targets", "tokens", "documents")
STEPS = 6


class RanksFlagTest(WorkerTest):
    def train_with(self, name, *flags, ranks=None):
        run = self.folder / "runs" / name
        recipe = self.write_recipe("two-ranks", training={"steps": STEPS}, checkpoint={"every_steps": 3})
        self.assert_finished(run_worker("train", recipe, "--run", run, *flags, ranks=ranks))
        return run

    def assert_identical(self, run, other):
        for name in COLUMNS:
            self.assertEqual(column(run, name), column(other, name), name)
        self.assertEqual((run / "model/model.safetensors").read_bytes(),
                         (other / "model/model.safetensors").read_bytes())

    def ranks_of(self, run):
        return sorted(path.name for path in (run / "logs").iterdir())

    def test_training_and_its_flags(self):
        flags = ["--set", "optimizer.learning_rate=2e-3", "--set", "parallel.zero_stage=2"]
        under_mpirun = self.train_with("mpirun", *flags, ranks=2)
        by_flag = self.train_with("flag", *flags, "--ranks", "2")
        self.assertEqual(self.ranks_of(by_flag), ["rank-0.log", "rank-1.log"])
        self.assert_identical(by_flag, under_mpirun)
        self.assertIn("learning_rate: 0.002", (by_flag / "recipe.yaml").read_text())
        # Written together, and before what it is about.
        recipe = self.folder / "two-ranks.yaml"
        joined = self.folder / "runs" / "joined"
        self.assert_finished(run_worker("train", "--ranks=2", recipe, *flags, f"--run={joined}", "--overwrite"))
        self.assert_identical(joined, under_mpirun)

    def test_resuming_and_its_flags(self):
        runs = []
        for name, ranks, flags in [("resumed-flag", None, ["--ranks", "2"]), ("resumed-mpirun", 2, [])]:
            run = self.train_with(name, ranks=2)
            changes = ["--set", f"training.steps={STEPS + 2}"]
            self.assert_finished(run_worker("resume", run, *changes, *flags, ranks=ranks))
            self.assertEqual(column(run, "step"), list(range(1, STEPS + 3)))
            runs.append(run)
        self.assert_identical(*runs)

    def test_under_mpirun_the_flag_starts_no_further_mpirun(self):
        run = self.train_with("both", "--ranks", "2", ranks=2)
        self.assertEqual(self.ranks_of(run), ["rank-0.log", "rank-1.log"])
        self.assertEqual(column(run, "step"), list(range(1, STEPS + 1)))

    def test_the_exit_code_and_the_message_come_through(self):
        recipe = self.write_recipe("no-data", data={"sources": [{"path": str(self.folder / "absent.jsonl")}]})
        outcome = run_worker("train", recipe, "--run", self.folder / "runs" / "no-data", "--ranks", "2")
        self.assertNotEqual(outcome.code, 0)
        self.assertEqual(len(outcome.messages()), 1, str(outcome))
        self.assertIn("absent.jsonl", outcome.messages()[0])

    def test_without_mpirun_it_says_what_is_missing(self):
        recipe = self.write_recipe("no-mpirun")
        outcome = run_worker("train", recipe, "--ranks", "2", environment={"PATH": "/nonexistent"})
        self.assertNotEqual(outcome.code, 0)
        self.assertEqual(outcome.messages(), [
            "tanren-worker: --ranks needs mpirun, which is not in PATH: install openmpi-bin"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
