#!/usr/bin/env python3
"""The same recipe gives the same losses on 1, 2 and 4 ranks, with any ZeRO stage, micro-batches, recompute
and prefetch, packed or not where the documents of a step are the same."""

import random
import unittest

from worker_runs import WorkerTest, column, row_of_length, steps_of, write_rows

TOLERANCE = 1e-5  # relative, at each step
NORM_TOLERANCE = 1e-4  # of gradient norms, which nothing averages


class SameResultTest(WorkerTest):
    def assert_same(self, run, reference):
        for name in ("step", "targets", "tokens", "documents", "learning_rate"):
            self.assertEqual(column(run, name), column(reference, name), f"{run.name}: {name}")
        self.assert_close(column(run, "loss"), column(reference, "loss"), TOLERANCE, f"{run.name}: loss")
        self.assert_close(column(run, "gradient_norm"), column(reference, "gradient_norm"), NORM_TOLERANCE,
                          f"{run.name}: gradient norm")

    def reference(self, name, **changes):
        run = self.train(name, **changes)
        self.assertEqual(column(run, "step"), list(range(1, self.STEPS + 1)))
        # Steps differ, in what is trained on too, or a comparison says nothing.
        self.assertGreater(len(set(column(run, "targets"))), self.STEPS // 2)
        losses = column(run, "loss")
        self.assertGreater(min(abs(a - b) / a for a, b in zip(losses, losses[1:])), 0)
        return run

    def test_on_any_number_of_ranks_with_any_stage_and_micro_batches(self):
        alone = self.reference("alone")
        for ranks, stage, rows, recompute, prefetch in [
            (1, 3, 8, "none", 1),
            (1, 1, 3, "full", 0),
            (2, 1, 1, "none", 1),
            (2, 2, 4, "full", 1),
            (2, 3, 3, "none", 0),
            (4, 1, 1, "full", 0),
            (4, 2, 2, "none", 0),
            (4, 3, 1, "full", 1),
        ]:
            name = f"{ranks}-ranks-zero-{stage}-rows-{rows}-{recompute}-prefetch-{prefetch}"
            with self.subTest(name):
                self.assert_same(
                    self.train(name, ranks=ranks, training={"micro_batch_rows": rows},
                               parallel={"zero_stage": stage, "recompute": recompute, "prefetch": prefetch}),
                    alone)

    def test_at_a_rate_that_moves_the_model(self):
        rate = {"learning_rate": 1e-3, "weight_decay": 0.1, "clip_norm": 0.5}
        alone = self.reference("moving", optimizer=rate)
        losses = column(alone, "loss")
        self.assertLess(losses[-1], 0.95 * losses[0])
        self.assert_same(self.train("moving-2", ranks=2, optimizer=rate, parallel={"zero_stage": 2}), alone)
        self.assert_same(self.train("moving-4", ranks=4, optimizer=rate, training={"micro_batch_rows": 1}), alone)

    def test_packed_or_not_for_equal_documents_in_each_step(self):
        # Four rows are filled to the last token by eight documents, so a step without packing holds the
        # same eight in as many rows.
        draw = random.Random(2)
        rows = []
        for _ in range(15):
            for parts in (2, 1, 3, 2):
                cuts = sorted(draw.sample(range(1, self.ROW_LENGTH // 4), parts - 1))
                ends = [4 * cut for cut in cuts] + [self.ROW_LENGTH]
                rows += [row_of_length(end - begin, draw) for begin, end in zip([0, *ends], ends)]
        write_rows(self.folder / "filling.jsonl", rows)
        data = {"sources": [{"path": str(self.folder / "filling.jsonl")}], "shuffle": False}
        packed = self.reference("packed", data=data, training={"batch_rows": 4})
        self.assertEqual({line["documents"] for line in steps_of(packed)}, {8})
        self.assertEqual({line["tokens"] for line in steps_of(packed)}, {4 * self.ROW_LENGTH})
        for ranks, stage, micro_batch in [(None, 3, 2), (2, 2, 4), (4, 3, 1)]:
            name = f"padded-{ranks or 'alone'}"
            with self.subTest(name):
                run = self.train(name, ranks=ranks, data={**data, "packing": False},
                                 training={"batch_rows": 8, "micro_batch_rows": micro_batch},
                                 parallel={"zero_stage": stage})
                self.assert_same(run, packed)
        self.assert_same(self.train("packed-4", ranks=4, data=data,
                                    training={"batch_rows": 4, "micro_batch_rows": 1}), packed)


if __name__ == "__main__":
    unittest.main(verbosity=2)
