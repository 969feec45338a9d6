"""Real trainings as jobs: to the end, and on through the death of every program that has a part in it."""

import json
import os
import random
import re
import signal
import unittest

from cluster import ClusterTest, names, processes
from worker_runs import (column, kill, make_model, metrics_of, recipe_with, row_of_length, run_worker, steps_of,
                         wait_until, write_rows)

ROW_LENGTH = 48


class TrainingTest(ClusterTest):
    UP_ARGUMENTS = ("--cpus", "4")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.home / "model")
        draw = random.Random(1)
        lengths = [draw.randrange(5, ROW_LENGTH + 1) for _ in range(200)]
        write_rows(cls.home / "rows.jsonl", [row_of_length(length, draw) for length in lengths])

    def write_recipe(self, name, **changes):
        model = self.home / "model"
        base = {
            "name": name,
            "model": {"config": str(model / "config.json"), "tokenizer": str(model / "tokenizer.json"),
                      "chat_template": str(model / "chat_template.jinja")},
            "data": {"sources": [{"path": "rows.jsonl"}], "sequence_length": ROW_LENGTH, "append_eos": False},
            "training": {"steps": 20, "batch_rows": 8, "micro_batch_rows": 2, "seed": 7, "precision": "fp32",
                         "threads": 1},
            "checkpoint": {"export_type": "fp32"},
        }
        path = self.home / f"{name}.yaml"
        path.write_text(json.dumps(recipe_with(base, changes), indent=1))  # JSON is YAML
        return path

    def attempts_of(self, job):
        return [self.folder_of(job) / f"attempt-{number}" for number in range(1, job["attempts"] + 1)]

    def curve_of(self, job):
        """Step -> loss, over all attempts; of a step that was done twice, the later."""
        curve = {}
        for attempt in self.attempts_of(job):
            curve.update((line["step"], line["loss"]) for line in steps_of(attempt))
        return curve

    def resumed_behind(self, attempt):
        """The step of the checkpoint that the attempt began at."""
        log = (attempt / "logs/rank-0.log").read_text()
        self.assertRegex(log, r"resuming behind step \d+ ", attempt)
        return int(re.search(r"resuming behind step (\d+) ", log).group(1))

    def test_two_ranks_train_to_the_model(self):
        recipe = self.write_recipe("two")
        number = self.submit("--ranks", 2, "--set", "training.seed=7", recipe)
        followed = self.tanren.run("logs", "-f", number)
        job = self.tanren.wait_for(number, "succeeded")
        self.assertEqual(followed.returncode, 0, followed)
        self.assertEqual(followed.stdout, self.log_file(job).read_text())
        run = self.folder_of(job) / "latest"
        self.assertEqual(os.readlink(run), "attempt-1")
        self.assertTrue((run / "model/model.safetensors").exists())
        self.assertEqual(len(steps_of(run)), 20)
        # The same training without a coordinator.
        alone = self.home / "alone"
        outcome = run_worker("train", recipe, "--run", alone, ranks=2)
        self.assertEqual(outcome.code, 0, str(outcome))
        self.assertEqual(column(run, "loss"), column(alone, "loss"))
        ranks = self.tanren.run("logs", "--rank", "all", number)
        self.assertIn("[0] ", ranks.stdout)

    def test_a_mistake_that_only_the_ranks_can_see_is_not_tried_again(self):
        recipe = self.write_recipe("absent", data={"sources": [{"path": "absent.jsonl"}]})
        ended = self.tanren.run("submit", recipe, "--ranks", 2, "--wait", "--json")
        self.assertEqual(ended.returncode, 2, ended)
        job = json.loads(ended.stdout.splitlines()[-1])
        self.assertEqual((job["state"], job["attempts"]), ("failed", 1))
        self.assertEqual(job["attempt"]["end"]["kind"], "user_error", job["attempt"]["end"])
        self.assertIn("absent.jsonl", job["attempt"]["end"]["log_tail"] + job["end_message"])

    def held_behind(self, *steps):
        """For `submit`: the training stands still when these steps are done, until let_go or a request to save."""
        points = [f"training.step_{step + 1}:hold={self.home / f'{self.id()}-{step}'}" for step in steps]
        return "--env", "TANREN_FAIL_POINT=" + ",".join(points)

    def let_go(self, step):
        (self.home / f"{self.id()}-{step}").touch()

    def wait_for_step(self, number, step):
        def far_enough():
            job = self.tanren.job(number)
            self.assertNotIn(job["state"], ("succeeded", "failed", "cancelled"), json.dumps(job, indent=1))
            curve = self.curve_of(job)
            return job if curve and max(curve) >= step else None

        return wait_until(far_enough, f"step {step}")

    def agent_is_heard(self):
        """By the coordinator that runs now: the lease was renewed since it began."""
        [node] = self.tanren.ask("nodes")["nodes"]
        return int(node.get("heard_ms", 0)) != 0

    def ranks_of(self, number):
        mark = f"job-{number}/attempt-"
        return [pid for pid, (_, words) in processes().items()
                if names(words) == "tanren-worker" and any(str(self.home) in word and mark in word for word in words)]

    def launcher_of(self, number):
        tree = processes()
        for pid in self.ranks_of(number):
            while pid in tree and pid > 1:
                if names(tree[pid][1]) in ("mpirun", "orterun"):
                    return pid
                pid = tree[pid][0]
        return None

    def test_the_curve_goes_on_through_the_death_of_each_program(self):
        steps = 100
        recipe = self.write_recipe("killed", training={"steps": steps},
                                   checkpoint={"every_steps": 5, "export_model": False})
        number = self.submit(recipe, "--ranks", 2, *self.held_behind(10, 25, 45, 70))
        victims = [
            ("the coordinator", 10, lambda: self.pid_of("tanren-coordinator")),
            ("the agent", 25, lambda: self.pid_of("tanren-agent")),
            ("mpirun", 45, lambda: self.launcher_of(number)),
            ("a rank", 70, lambda: self.ranks_of(number)[0] if self.ranks_of(number) else None),
        ]
        attempts = []
        for name, step, find in victims:
            with self.subTest(name):
                attempts.append(self.wait_for_step(number, step)["attempts"])
                # A lease outlives one of its two ends, not one after the other on a machine that is slow.
                wait_until(self.agent_is_heard, "the agent's report")
                kill(wait_until(find, f"{name} runs"), signal.SIGKILL)
                self.let_go(step)
        job = self.tanren.wait_for(number, "succeeded", seconds=240)
        # Those of the coordinator and the agent disturbed nothing; the others cost an attempt each.
        self.assertEqual(attempts, [1, 1, 1, 2])
        self.assertEqual(job["attempts"], 3)
        self.assertEqual([one["end"]["kind"] for one in job["earlier_attempts"]], ["infrastructure"] * 2, job)
        curve = self.curve_of(job)
        self.assertEqual(sorted(curve), list(range(1, steps + 1)))
        # Attempts after the first began at a checkpoint, not anew.
        for attempt in self.attempts_of(job)[1:]:
            self.assertGreater(self.resumed_behind(attempt), 25)
        # And it is the curve of a training that nothing disturbed.
        alone = self.home / "undisturbed"
        outcome = run_worker("train", recipe, "--run", alone, ranks=2)
        self.assertEqual(outcome.code, 0, str(outcome))
        self.assertEqual([curve[step] for step in range(1, steps + 1)], column(alone, "loss"))
        self.assertTrue(metrics_of(alone))

    def test_requeue_saves_first_and_goes_on_there(self):
        recipe = self.write_recipe("requeued", training={"steps": 30},
                                   checkpoint={"export_model": False})
        number = self.submit(recipe, "--ranks", 2, *self.held_behind(5))
        self.wait_for_step(number, 5)
        self.assertEqual(self.tanren.run("requeue", number).returncode, 0)
        job = self.tanren.wait_for(number, "succeeded")
        self.assertEqual(job["attempts"], 2)
        self.assertEqual(job["earlier_attempts"][0]["end"]["kind"], "saved", job)
        first, second = (steps_of(attempt) for attempt in self.attempts_of(job))
        self.assertEqual([line["step"] for line in second], list(range(1, 31)))
        self.assertEqual(second[:len(first)], first)  # nothing was done twice
        self.assertEqual(self.resumed_behind(self.attempts_of(job)[1]), first[-1]["step"])


if __name__ == "__main__":
    unittest.main()
