#!/usr/bin/env python3
"""What a run leaves in its folder, that its recipe repeats it, and that another run's folder is safe."""

import hashlib
import json
import pathlib
import re
import signal
import socket
import tempfile
import threading
import unittest

from worker_runs import (LAUNCH, RUN_ENDED, RUN_STARTED, SEQUENCE, WorkerProcess, WorkerTest, column, events_of, kill,
                         metrics_of, pids_of, run_worker, steps_of, wait_until)

STEPS = 6
COLUMNS = ("step", "loss", "gradient_norm", "learning_rate", "targets", "tokens", "documents")
# Of proto/event.proto, as those of worker_runs.
STEP_FINISHED, EVALUATION, CHECKPOINT = 11, 12, 13


def kinds(events):
    return [next(number for number in event if number >= RUN_STARTED) for event in events]


class Listener:
    """Reads a Unix socket until it is closed, for as many writers as come."""

    def __init__(self, path):
        self.received = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            data = b""
            with connection:
                while chunk := connection.recv(65536):
                    data += chunk
            self.received.append(data)

    def close(self):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()


class RunFolderTest(WorkerTest):
    STEPS = STEPS
    CHANGES = {
        "optimizer": {"learning_rate": 1e-3},
        "data": {"validation_fraction": 0.05},
        "evaluation": {"every_steps": 2},
        "checkpoint": {"every_steps": 2},
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_folder = cls("train").train("first", ranks=2, **cls.CHANGES)

    def test_the_stored_recipe_repeats_the_run(self):
        again = self.folder / "runs" / "again"
        # From elsewhere: every path in it is absolute.
        outcome = run_worker("train", self.run_folder / "recipe.yaml", "--run", again, ranks=2, cwd="/")
        self.assert_finished(outcome)
        for name in COLUMNS:
            self.assertEqual(column(again, name), column(self.run_folder, name), name)
        self.assertEqual((again / "recipe.yaml").read_text(), (self.run_folder / "recipe.yaml").read_text())
        self.assertEqual((again / "model/model.safetensors").read_bytes(),
                         (self.run_folder / "model/model.safetensors").read_bytes())

    def test_everything_is_where_it_is_said_to_be(self):
        run = self.run_folder
        self.assertEqual(column(run, "step"), list(range(1, STEPS + 1)))
        self.assertEqual([line["step"] for line in metrics_of(run) if "validation_loss" in line], [0, 2, 4, 6])
        for rank in range(2):
            self.assertTrue((run / "logs" / f"rank-{rank}.log").exists())
        self.assertIn("checkpoint", (run / "logs" / "rank-0.log").read_text())
        self.assertEqual(sorted(path.name for path in (run / "checkpoints").iterdir()),
                         ["latest", "step-00000004", "step-00000006"])
        self.assertFalse([path for path in run.rglob("*") if "incoming" in path.name or "partial" in path.name])

    def test_the_exported_model_is_whole_and_says_its_type(self):
        model = self.run_folder / "model"
        data = (model / "model.safetensors").read_bytes()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8:8 + size])
        header.pop("__metadata__", None)
        self.assertEqual({tensor["dtype"] for tensor in header.values()}, {"F32"})
        self.assertEqual(header["model.embed_tokens.weight"]["shape"], [259, 24])
        self.assertEqual(8 + size + max(tensor["data_offsets"][1] for tensor in header.values()), len(data))
        config = json.loads((model / "config.json").read_text())
        self.assertEqual((config["hidden_size"], config.get("torch_dtype") or config.get("dtype")), (24, "float32"))
        self.assertEqual(json.loads((model / "tokenizer.json").read_text()),
                         json.loads((self.folder / "model" / "tokenizer.json").read_text()))

    def test_the_export_goes_on_as_a_model_to_train(self):
        run = self.folder / "runs" / "onward"
        recipe = self.write_recipe("onward", **self.CHANGES)
        recipe.write_text(json.dumps({**json.loads(recipe.read_text()),
                                      "model": {"path": str(self.run_folder / "model")}}))
        self.assert_finished(run_worker("train", recipe, "--run", run, ranks=2))
        self.assertEqual(metrics_of(run)[0]["validation_loss"], metrics_of(self.run_folder)[-1]["validation_loss"])

    def test_events_tell_the_run_and_number_it_without_gaps(self):
        events = events_of((self.run_folder / "events.pb").read_bytes())
        self.assertEqual([event[SEQUENCE] for event in events], list(range(1, len(events) + 1)))
        self.assertEqual(len({event[LAUNCH] for event in events}), 1)
        found = kinds(events)
        self.assertEqual((found[0], found[-1]), (RUN_STARTED, RUN_ENDED))
        self.assertEqual([found.count(kind) for kind in (STEP_FINISHED, EVALUATION, CHECKPOINT)], [STEPS, 4, 3])

    def test_a_socket_gets_the_same_events_as_the_file(self):
        # The path of a Unix socket is short.
        with tempfile.TemporaryDirectory(prefix="tanren.") as folder:
            path = pathlib.Path(folder) / "events"
            listener = Listener(path)
            run = self.folder / "runs" / "heard"
            recipe = self.write_recipe("heard", **self.CHANGES)
            self.assert_finished(run_worker("train", recipe, "--run", run, ranks=2,
                                            environment={"TANREN_EVENT_SOCKET": str(path)}))
            wait_until(lambda: listener.received, "the end of the events")
            listener.close()
        self.assertEqual(listener.received, [(run / "events.pb").read_bytes()])
        self.assertEqual([event[SEQUENCE] for event in events_of(listener.received[0])],
                         list(range(1, 1 + STEPS + 4 + 3 + 2)))

    def test_a_socket_that_nobody_reads_stops_no_run(self):
        run = self.folder / "runs" / "unheard"
        recipe = self.write_recipe("unheard", **self.CHANGES)
        self.assert_finished(run_worker("train", recipe, "--run", run,
                                        environment={"TANREN_EVENT_SOCKET": str(self.folder / "nobody")}))
        self.assertEqual(column(run, "step"), list(range(1, STEPS + 1)))

    def test_the_default_folder_is_named_by_the_recipe(self):
        recipe = self.write_recipe("named", name="by-name")
        self.assert_finished(run_worker("train", recipe, cwd=self.folder))
        self.assertEqual(column(self.folder / "runs" / "by-name", "step"), list(range(1, STEPS + 1)))

    def test_another_training_into_the_folder_is_refused_unless_it_may_go(self):
        run = self.train("taken", **self.CHANGES)
        before = self.contents(run)
        recipe = self.write_recipe("other", optimizer={"learning_rate": 2e-3}, training={"steps": 3})
        for ranks in (None, 2):
            with self.subTest(ranks=ranks):
                outcome = run_worker("train", recipe, "--run", run, ranks=ranks)
                self.assertNotEqual(outcome.code, 0)
                self.assertEqual(len(outcome.messages()), 1, str(outcome))
                self.assertRegex(outcome.messages()[0], re.escape(f"{run} holds a run already") + ".*resume.*--overwrite")
                self.assertEqual(self.contents(run), before)
        self.assert_finished(run_worker("train", recipe, "--run", run, "--overwrite"))
        self.assertEqual(column(run, "step"), [1, 2, 3])
        self.assertEqual(kinds(events_of((run / "events.pb").read_bytes())).count(STEP_FINISHED), 3)
        self.assertEqual([path.name for path in (run / "checkpoints").glob("step-*")], ["step-00000003"])

    def contents(self, run):
        """Digests of all that is a run's own: flight records and logs are those of any launch."""
        return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in run.rglob("*")
                if path.is_file() and path.parent.name not in ("flight", "logs")}

    def test_overwriting_with_a_recipe_that_fails_loses_nothing(self):
        run = self.train("precious", **self.CHANGES)
        before, events = self.contents(run), (run / "events.pb").read_bytes()
        recipe = self.write_recipe("absent", data={"sources": [{"path": str(self.folder / "absent.jsonl")}]})
        outcome = run_worker("train", recipe, "--run", run, "--overwrite")
        self.assertNotEqual(outcome.code, 0)
        self.assertIn("absent.jsonl", outcome.messages()[0])
        # What is new is that this was tried.
        after = (run / "events.pb").read_bytes()
        self.assertEqual(after[:len(events)], events)
        [failure] = events_of(after[len(events):])
        self.assertIn(b"absent.jsonl: can't open", failure[RUN_ENDED])
        self.assertEqual({**self.contents(run), "events.pb": ""}, {**before, "events.pb": ""})

    def test_a_start_that_fails_is_an_event_for_who_listens(self):
        with tempfile.TemporaryDirectory(prefix="tanren.") as folder:
            path = pathlib.Path(folder) / "events"
            listener = Listener(path)
            recipe = self.write_recipe("absent", data={"sources": [{"path": str(self.folder / "absent.jsonl")}]})
            outcome = run_worker("train", recipe, "--run", self.folder / "runs" / "absent",
                                 environment={"TANREN_EVENT_SOCKET": str(path)})
            self.assertNotEqual(outcome.code, 0)
            wait_until(lambda: listener.received, "the end of the events")
            listener.close()
        [failure] = events_of(listener.received[0])
        self.assertIn(b"absent.jsonl: can't open", failure[RUN_ENDED])

    def test_a_run_that_goes_is_left_alone_by_a_second_one(self):
        run = self.folder / "runs" / "going"
        recipe = self.write_recipe("going", training={"steps": 10000, "batch_rows": 96, "micro_batch_rows": 48},
                                   checkpoint={"every_steps": 2})
        process = WorkerProcess("train", recipe, "--run", run, ranks=2)
        wait_until(lambda: len(steps_of(run)) >= 3 or not process.running(), "three steps")
        for arguments in (["train", recipe, "--run", run], ["train", recipe, "--run", run, "--overwrite"],
                          ["resume", run]):
            with self.subTest(" ".join(str(argument) for argument in arguments)):
                outcome = run_worker(*arguments)
                self.assertNotEqual(outcome.code, 0)
                self.assertEqual(len(outcome.messages()), 1, str(outcome))
                steps = column(run, "step")
                done = len(steps)
                self.assertEqual(steps, list(range(1, done + 1)))
                wait_until(lambda: len(steps_of(run)) > done or not process.running(), "another step")
                self.assertTrue(process.running(), "the first run ended")
        # It is still watched over: a rank that dies is named.
        victim = next(pid for pid, rank in pids_of(run).items() if rank == 1)
        kill(victim, signal.SIGKILL)
        outcome = process.outcome()
        self.assertEqual(len(outcome.messages()), 1, str(outcome))
        self.assertIn("rank 1 died", outcome.messages()[0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
