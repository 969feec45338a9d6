#!/usr/bin/env python3
"""A rank that is killed or hangs in the middle of a training ends the whole group within ten seconds, with one
message that names it and what it was at; nothing stays behind but a run that can be resumed."""

import re
import signal
import time
import unittest

from worker_runs import (LAUNCH, RUN_ENDED, WorkerProcess, WorkerTest, column, events_of, kill, metrics_of, pids_of, run_worker,
                         steps_of, wait_until)

LIMIT = 10  # seconds from the fault to the end
RANKS = 3
VICTIM = 1
STEPS = 500
# The collective, its number, the unit and the step: "all-gather #12 of 'model.layers.1' (step 7)".
CALL = re.compile(r"\b(?:all-gather|reduce-scatter|all-reduce|broadcast|barrier) #\d+ of '[^']+' \(step \d+\)")


class KilledRankTest(WorkerTest):
    CHANGES = {
        "training": {"steps": STEPS, "batch_rows": 288, "micro_batch_rows": 48},
        "checkpoint": {"every_steps": 2},
    }

    def start(self, name, **changes):
        run = self.folder / "runs" / name
        recipe = self.write_recipe(name, **{**self.CHANGES, **changes})
        process = WorkerProcess("train", recipe, "--run", run, ranks=RANKS)
        wait_until(lambda: len(steps_of(run)) >= 5 or not process.running(), "five steps")
        self.assertTrue(process.running(), "the run ended by itself")
        return run, process

    def pid_of(self, rank, run):
        return next(pid for pid, found in pids_of(run).items() if found == rank)

    def end_by(self, number, run, process, wait=0, victim=VICTIM):
        """Sends the signal to one rank, and returns the one message that is said about it."""
        kill(self.pid_of(victim, run), number)
        fault = time.monotonic()
        outcome = process.outcome(LIMIT + wait)
        wait_until(lambda: not pids_of(run), "every process's end", max(0, fault + LIMIT + wait - time.monotonic()))
        self.assertNotEqual(outcome.code, 0)
        self.assertEqual(len(outcome.messages()), 1, str(outcome))
        self.assert_events_end_with(outcome.messages()[0], run)
        return outcome.messages()[0]

    def assert_events_end_with(self, message, run):
        """Whichever rank wrote it."""
        events = events_of((run / "events.pb").read_bytes())
        self.assertIn(message.removeprefix("tanren: ").encode(), events[-1][RUN_ENDED])
        self.assertEqual([RUN_ENDED in event for event in events].count(True), 1)
        self.assertEqual(len({event[LAUNCH] for event in events}), 1)

    def assert_resumes(self, run):
        done = column(run, "step")[-1]
        self.assert_finished(run_worker("resume", run, "--set", f"training.steps={done + 2}", ranks=2))
        self.assertEqual(column(run, "step"), list(range(1, done + 3)))

    def test_a_killed_rank_is_named_and_ends_all(self):
        run, process = self.start("killed")
        message = self.end_by(signal.SIGKILL, run, process)
        self.assertIn(f"rank {VICTIM} died without an exit record", message)
        self.assertRegex(message.split(";")[0], CALL)
        self.assert_resumes(run)

    def test_the_first_rank_that_is_killed_is_an_event_too(self):
        run, process = self.start("first-killed")
        self.assertIn("rank 0 died without an exit record", self.end_by(signal.SIGKILL, run, process, victim=0))

    def test_a_rank_that_fails_alone_before_the_first_step_is_an_event(self):
        run = self.folder / "runs" / "no-log"
        (run / "logs" / f"rank-{VICTIM}.log").mkdir(parents=True)
        outcome = run_worker("train", self.write_recipe("no-log"), "--run", run, ranks=RANKS)
        self.assertEqual(len(outcome.messages()), 1, str(outcome))
        self.assertIn(f"rank-{VICTIM}.log", outcome.messages()[0])
        self.assert_events_end_with(outcome.messages()[0], run)

    def test_a_rank_that_hangs_is_named_and_ends_all(self):
        patience = 2
        run, process = self.start("hung", parallel={"timeout_seconds": patience})
        message = self.end_by(signal.SIGSTOP, run, process, wait=patience)
        self.assertIn(f"rank {VICTIM} has stood still for ", message)
        self.assertRegex(message.split(";")[0], CALL)

    def test_ranks_whose_mpirun_is_killed_end_too(self):
        run, process = self.start("orphaned")
        kill(process.pid, signal.SIGKILL)
        fault = time.monotonic()
        self.assertNotEqual(process.outcome().code, 0)
        wait_until(lambda: not pids_of(run), "every rank's end", max(0, fault + LIMIT - time.monotonic()))
        self.assert_resumes(run)

    def test_an_error_of_a_row_ends_all_with_one_message_and_leaves_the_checkpoints(self):
        # Read when its turn comes, in the middle of the training.
        rows = self.folder / "later.jsonl"
        lines = (self.folder / "rows.jsonl").read_text().splitlines()
        rows.write_text("\n".join(lines + ['{"text": 7777}'] + lines) + "\n")
        run = self.folder / "runs" / "bad-row"
        recipe = self.write_recipe("bad-row", training={"steps": 50, "batch_rows": 6},
                                   data={"sources": [{"path": str(rows)}], "shuffle": False},
                                   # One that is written beside the next step would be lost with that.
                                   checkpoint={"every_steps": 1, "in_background": False})
        outcome = run_worker("train", recipe, "--run", run, ranks=RANKS)
        self.assertNotEqual(outcome.code, 0)
        self.assertEqual(len(outcome.messages()), 1, str(outcome))
        self.assertIn(f"{rows}:{len(lines) + 1}: \"text\" is number, expected a string", outcome.messages()[0])
        self.assert_events_end_with(outcome.messages()[0], run)
        done = column(run, "step")[-1]
        self.assertGreater(done, 2)
        # The row's step wasn't done, and what was is there.
        self.assertEqual((run / "checkpoints" / "latest").read_text().strip(), f"step-{done:08}")
        self.assertEqual(metrics_of(run)[-1]["step"], done)
        self.assertFalse((run / "model").exists())
        self.assert_resumes_with_mended_rows(run, rows, lines)

    def assert_resumes_with_mended_rows(self, run, rows, lines):
        """Where the file keeps its size: other data wouldn't be the run's."""
        done = column(run, "step")[-1]
        rows.write_text("\n".join(lines + ['{"text": "77"}'] + lines) + "\n")
        outcome = run_worker("resume", run, "--set", f"training.steps={done + 3}", ranks=RANKS)
        self.assert_finished(outcome)
        self.assertEqual(column(run, "step"), list(range(1, done + 4)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
