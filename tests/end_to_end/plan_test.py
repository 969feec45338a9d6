#!/usr/bin/env python3
"""`plan` says what a training takes; a training that would take more than there is isn't begun, unless it is told to."""

import unittest

from worker_runs import WorkerTest, run_worker, steps_of

# More than any machine has, if the rows were full. The data fill a hundred of them.
ROWS = 4_000_000


class PlanTest(WorkerTest):
    def huge(self):
        return self.write_recipe("huge", training={"steps": 0, "epochs": 1, "batch_rows": ROWS, "micro_batch_rows": ROWS})

    def test_what_fits_is_a_table_and_what_does_not_is_refused_with_advice(self):
        plan = run_worker("plan", self.write_recipe("small"))
        self.assert_finished(plan)
        for text in ("masters", "optimizer state", "activations", "a checkpoint", "available"):
            self.assertIn(text, plan.out)
        plan = run_worker("plan", self.huge(), "--ranks", 2)
        self.assertEqual(plan.code, 1, str(plan))
        self.assertIn("2 on a host", plan.out)
        self.assertIn("the 2 ranks of this host need", plan.messages()[0])
        self.assertIn("training.micro_batch_rows: 1 ", plan.err)

    def test_ranks_that_cannot_share_a_step_are_an_error_here_too(self):
        plan = run_worker("plan", self.write_recipe("small"), "--ranks", 3)
        self.assertEqual(plan.code, 1)
        self.assertIn("training.batch_rows is 8, which 3 ranks can't share equally", plan.err)

    def test_a_training_without_memory_is_not_begun(self):
        for ranks in (None, 2):
            with self.subTest(ranks=ranks):
                run = self.folder / "runs" / "huge"
                outcome = run_worker("train", self.huge(), "--run", run, ranks=ranks)
                self.assertNotEqual(outcome.code, 0)
                self.assertEqual(len(outcome.messages()), 1, str(outcome))
                self.assertIn("GB are available", outcome.messages()[0])
                self.assertFalse((run / "recipe.yaml").exists())

    def test_a_training_is_begun_all_the_same_where_it_is_told_to(self):
        run = self.folder / "runs" / "told"
        self.assert_finished(run_worker("train", self.huge(), "--run", run, "--no-memory-check"))
        self.assertEqual(len(steps_of(run)), 1)


if __name__ == "__main__":
    unittest.main()
