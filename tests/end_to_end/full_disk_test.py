#!/usr/bin/env python3
"""A disk that fills up while checkpoints are saved: the run ends or goes on, as its recipe says; the checkpoints
before are whole, and a resumed run gives bit for bit what a run with enough room gives."""

import os
import subprocess
import unittest

from worker_runs import WorkerProcess, WorkerTest, run_worker, steps_of, wait_until

STEPS = 6
# A checkpoint of the tiny model takes 190 kB: two fit, and a part of the third.
SMALL, LARGE = "size=480k", "size=8m"


def mount(folder, *options):
    return subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], capture_output=True,
                          check=False).returncode == 0


class FullDiskTest(WorkerTest):
    STEPS = STEPS
    CHECKPOINT = {"every_steps": 1, "keep_last": 0, "export_type": "fp32"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.straight = cls("train").train("straight", ranks=2, checkpoint=cls.CHECKPOINT)

    def small_disk(self, name):
        """A run's folder whose checkpoints have little room."""
        if os.geteuid() != 0:
            self.skipTest("mounting a small disk takes root")
        run = self.folder / "runs" / name
        checkpoints = run / "checkpoints"
        checkpoints.mkdir(parents=True)
        if not mount(checkpoints, SMALL):
            self.skipTest("no disk may be mounted here")
        self.addCleanup(subprocess.run, ["umount", "--lazy", checkpoints], check=False)
        return run

    def give_room(self, run):
        self.assertTrue(mount(run / "checkpoints", "remount", LARGE))

    def saved(self, run):
        return sorted(path.name for path in (run / "checkpoints").iterdir())

    def assert_as_with_room(self, run, *steps):
        """The checkpoints of these steps have each byte that they have where there is room."""
        for step in steps:
            name = f"step-{step:08}"
            for file in sorted((self.straight / "checkpoints" / name).iterdir()):
                # The manifest tells recipes apart, by what happens when saving fails too.
                if file.suffix == ".tanren":
                    self.assertEqual((run / "checkpoints" / name / file.name).read_bytes(), file.read_bytes(), str(file))

    def test_a_run_ends_with_the_reason_and_goes_on_where_there_is_room(self):
        run = self.small_disk("ends")
        recipe = self.write_recipe("ends", checkpoint=self.CHECKPOINT)
        outcome = run_worker("train", recipe, "--run", run, ranks=2)
        self.assertEqual(outcome.code, 70, str(outcome))
        self.assertEqual(len(outcome.messages()), 1, str(outcome))
        self.assertRegex(outcome.messages()[0], rf"{run}/checkpoints/step-00000003\.incoming-\S+: can't write .*No space left")
        self.assertEqual(self.saved(run), ["latest", "step-00000001", "step-00000002"])
        self.assert_as_with_room(run, 1, 2)
        self.give_room(run)
        self.assert_finished(run_worker("resume", run, ranks=2))
        self.assert_as_with_room(run, *range(1, STEPS + 1))

    def test_a_run_that_may_goes_on_with_a_warning_but_its_last_checkpoint_has_to_be_saved(self):
        run = self.small_disk("goes-on")
        recipe = self.write_recipe("goes-on", checkpoint={**self.CHECKPOINT, "when_failing": "go_on"})
        outcome = run_worker("train", recipe, "--run", run, ranks=2)
        self.assertEqual(outcome.code, 70, str(outcome))
        self.assertEqual(len(steps_of(run)), STEPS)  # all steps were done
        for step in range(3, STEPS):
            self.assertRegex(outcome.err, rf"W \[0/2\] no checkpoint at step {step}: .*No space left on device")
        self.assertRegex(outcome.messages()[0], rf"step-{STEPS:08}\.incoming-.*No space left")
        self.assertEqual(self.saved(run), ["latest", "step-00000001", "step-00000002"])
        self.assert_as_with_room(run, 1, 2)

    def test_a_run_that_goes_on_saves_again_as_soon_as_there_is_room(self):
        run = self.small_disk("room-again")
        recipe = self.write_recipe("room-again", training={"steps": 16},
                                   checkpoint={**self.CHECKPOINT, "keep_last": 2, "when_failing": "go_on"})
        go_on = self.folder / "there-is-room"
        process = WorkerProcess("train", recipe, "--run", run, ranks=2,
                                environment={"TANREN_FAIL_POINT": f"training.step_11:hold={go_on}"})
        wait_until(lambda: len(steps_of(run)) >= 10 or not process.running(), "ten steps")
        self.assertEqual(self.saved(run)[1:3], ["step-00000001", "step-00000002"])
        self.give_room(run)
        go_on.touch()
        outcome = process.outcome()
        self.assert_finished(outcome)
        self.assertIn("no checkpoint at step 3: ", outcome.err)
        self.assertEqual(self.saved(run), ["latest", "step-00000015", "step-00000016"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
