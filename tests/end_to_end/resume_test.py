#!/usr/bin/env python3
"""A run that was stopped or killed anywhere and goes on gives, bit for bit, what it would have given."""

import signal
import unittest

from worker_runs import (SAVED, WorkerProcess, WorkerTest, column, kill, metrics_of, pids_of, run_worker, steps_of,
                         wait_until)

STEPS = 12
EVERY = 4  # steps between checkpoints
# Steps that take long enough to be caught in the middle of.
SLOW = {"steps": STEPS, "batch_rows": 576, "micro_batch_rows": 48}
TOLERANCE = 1e-5
RANKS = 2


class ResumeTest(WorkerTest):
    CHANGES = {
        "training": SLOW,
        "optimizer": {"learning_rate": 1e-3, "schedule": "cosine", "warmup_steps": 3},
        "checkpoint": {"every_steps": EVERY, "export_type": "fp32", "keep_last": 0},
        "data": {"validation_fraction": 0.05},
        "evaluation": {"every_steps": 5},
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.straight = cls("train").train("straight", ranks=RANKS, **cls.CHANGES)

    def start(self, name, ranks=RANKS, **changes):
        run = self.folder / "runs" / name
        recipe = self.write_recipe(name, **{**self.CHANGES, **changes})
        return run, WorkerProcess("train", recipe, "--run", run, ranks=ranks)

    def wait_for_step(self, run, process, step):
        wait_until(lambda: len(steps_of(run)) >= step or not process.running(), f"step {step}")
        self.assertTrue(process.running(), "the run ended before it could be stopped")

    def stop_after(self, name, step, ranks=RANKS):
        """A run that was asked to save behind `step`, and did."""
        run, process = self.start(name, ranks)
        self.wait_for_step(run, process, step)
        kill(process.pid, signal.SIGUSR1)
        outcome = process.outcome()
        self.assertEqual(outcome.code, SAVED, str(outcome))
        self.assertEqual(outcome.messages(), [], str(outcome))
        done = len(steps_of(run))
        self.assertTrue(step <= done < STEPS, f"stopped behind step {done}")
        self.assertFalse((run / "model").exists())
        return run, done

    def kill_after(self, name, step):
        """A run that was killed behind `step`, once a checkpoint, which is written beside the steps, was there."""
        run, process = self.start(name)
        self.wait_for_step(run, process, step)
        latest = run / "checkpoints" / "latest"
        wait_until(lambda: latest.exists() or not process.running(), "a checkpoint")
        for pid in pids_of(run):
            kill(pid, signal.SIGKILL)
        process.outcome()
        wait_until(lambda: not pids_of(run), "the processes' end")
        done = len(steps_of(run))
        self.assertTrue(step <= done < STEPS, f"killed behind step {done}")
        return run, done

    def finish(self, run, *arguments, ranks=RANKS):
        self.assert_finished(run_worker("resume", run, *arguments, ranks=ranks))

    def assert_identical(self, run):
        """Losses, norms and evaluations of every step, and the last checkpoint and the export's bytes."""
        self.assertEqual([line["step"] for line in metrics_of(run)],
                         [line["step"] for line in metrics_of(self.straight)])
        for name in ("loss", "gradient_norm", "learning_rate", "targets", "tokens", "documents"):
            self.assertEqual(column(run, name), column(self.straight, name), name)
        self.assertEqual([line.get("validation_loss") for line in metrics_of(run)],
                         [line.get("validation_loss") for line in metrics_of(self.straight)])
        for file in ("model.safetensors", "config.json", "tokenizer.json"):
            self.assertEqual((run / "model" / file).read_bytes(), (self.straight / "model" / file).read_bytes(), file)
        self.assertEqual(self.last_shards(run), self.last_shards(self.straight))

    def last_shards(self, run):
        """What the last checkpoint holds of each rank: parameters and the optimizer's state."""
        last = max(path for path in (run / "checkpoints").iterdir() if path.is_dir())
        shards = {path.name: path.read_bytes() for path in last.iterdir() if path.suffix != ".json"}
        self.assertGreater(len(shards), 0)
        return shards

    def assert_like_straight(self, run):
        self.assertEqual(column(run, "step"), list(range(1, STEPS + 1)))
        self.assert_close(column(run, "loss"), column(self.straight, "loss"), TOLERANCE, run.name)

    def test_stopped_by_a_signal_and_resumed(self):
        run, _ = self.stop_after("stopped", 3)
        self.finish(run)
        self.assert_identical(run)

    def test_stopped_twice_and_resumed(self):
        run, done = self.stop_after("stopped-twice", 2)
        process = WorkerProcess("resume", run, ranks=RANKS)
        self.wait_for_step(run, process, done + 2)
        kill(process.pid, signal.SIGUSR1)
        self.assertEqual(process.outcome().code, SAVED)
        self.assertLess(len(steps_of(run)), STEPS)
        self.finish(run)
        self.assert_identical(run)

    def test_killed_between_checkpoints_and_resumed(self):
        run, done = self.kill_after("killed", EVERY + 1)
        saved = int((run / "checkpoints" / "latest").read_text().strip().removeprefix("step-"))
        self.assertTrue(EVERY <= saved <= done, f"saved behind step {saved}, killed behind {done}")
        self.finish(run)
        # What was done behind the checkpoint was cut off, and came again.
        self.assertEqual(column(run, "step"), list(range(1, STEPS + 1)))
        self.assert_identical(run)
        self.assertIn(f"resuming behind step {saved} ", (run / "logs" / "rank-0.log").read_text())

    def test_killed_before_the_first_checkpoint_there_is_nothing_to_resume(self):
        run, process = self.start("killed-early", checkpoint={"every_steps": 0})
        self.wait_for_step(run, process, 1)
        for pid in pids_of(run):
            kill(pid, signal.SIGKILL)
        process.outcome()
        outcome = run_worker("resume", run)
        self.assertNotEqual(outcome.code, 0)
        self.assertEqual(len(outcome.messages()), 1, str(outcome))
        self.assertIn("there is no checkpoint to resume from", outcome.messages()[0])

    def test_resumed_on_fewer_ranks_and_another_stage(self):
        run, _ = self.stop_after("fewer", 3)
        self.finish(run, "--set", "parallel.zero_stage=1", ranks=None)
        self.assert_like_straight(run)

    def test_stopped_alone_and_resumed_on_more_ranks(self):
        run, _ = self.stop_after("more", 3, ranks=None)
        self.finish(run, "--set", "parallel.zero_stage=2", ranks=4)
        self.assert_like_straight(run)

    def test_a_run_in_a_folder_of_its_own_goes_on_behind_a_checkpoint_of_another(self):
        before, done = self.kill_after("first-attempt", EVERY + 1)
        checkpoint = before / "checkpoints" / (before / "checkpoints" / "latest").read_text().strip()
        untouched = {path: path.read_bytes() for path in before.rglob("*") if path.is_file()}
        run = self.folder / "runs" / "second-attempt"
        recipe = self.write_recipe("second-attempt", **self.CHANGES)
        self.assert_finished(run_worker("train", recipe, "--run", run, "--continue-from", f"{checkpoint}/", ranks=RANKS))
        self.assert_identical(run)
        self.assertEqual({path: path.read_bytes() for path in before.rglob("*") if path.is_file()}, untouched)
        self.assertGreater(min(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").iterdir()
                               if path.is_dir()), done - EVERY)

    def test_behind_the_last_checkpoint_of_another_run_there_is_only_the_model_to_export(self):
        checkpoint = max(path for path in (self.straight / "checkpoints").iterdir() if path.is_dir())
        run = self.folder / "runs" / "nothing-left"
        recipe = self.write_recipe("nothing-left", **self.CHANGES)
        self.assert_finished(run_worker("train", recipe, "--run", run, "--continue-from", checkpoint, ranks=RANKS))
        self.assertEqual(column(run, "loss"), column(self.straight, "loss"))
        self.assertEqual((run / "model" / "model.safetensors").read_bytes(),
                         (self.straight / "model" / "model.safetensors").read_bytes())

    def test_what_cannot_be_continued_from_is_named(self):
        run = self.folder / "runs" / "nowhere"
        recipe = self.write_recipe("nowhere", **self.CHANGES)
        outcome = run_worker("train", recipe, "--run", run, "--continue-from", self.folder / "absent")
        self.assertEqual(outcome.code, 1, str(outcome))
        self.assertIn(f"--continue-from {self.folder / 'absent'}: no such folder", str(outcome))
        own = self.straight / "checkpoints" / "step-1"
        own.mkdir(exist_ok=True)
        outcome = run_worker("train", recipe, "--run", self.straight, "--overwrite", "--continue-from", own)
        own.rmdir()
        self.assertEqual(outcome.code, 1, str(outcome))
        self.assertIn(f"tanren-worker resume {self.straight}", str(outcome))

    def test_a_finished_run_stays_as_it_is(self):
        run = self.train("finished", training={"steps": 3})
        before = {path: path.read_bytes() for path in (run / "model").iterdir()}
        lines = metrics_of(run)
        self.assert_finished(run_worker("resume", run))
        self.assertEqual(metrics_of(run), lines)
        self.assertEqual({path: path.read_bytes() for path in (run / "model").iterdir()}, before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
