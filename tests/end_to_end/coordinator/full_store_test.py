"""The disk of a coordinator's history is full for a while: nothing that was acknowledged is lost, nothing that runs ends."""

import json
import os
import re
import signal
import subprocess
import threading
import unittest

from cluster import boottime, kill, wait_until
from programs import ProgramsTest, load_tests, program  # noqa: F401

LEASE = 10


class FullStoreTest(ProgramsTest):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("mounting a small disk takes root")
        disk = self.home / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", disk], check=False)
        if mounted.returncode != 0:
            self.skipTest("no disk may be mounted here")
        self.addCleanup(subprocess.run, ["umount", "--lazy", disk], check=False)
        self.addCleanup(self.end_all)  # before that
        self.state = disk / "state"
        self.filler = disk / "filler"
        # Where the client looks for what `tanren up` left.
        up = self.home / ".local/state/tanren"
        up.mkdir(parents=True)
        (up / "up").symlink_to(self.state)

    def fill(self):
        with open(self.filler, "wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                pass

    def submit(self, name, *options, seconds=100):
        """Its number, or what was said instead."""
        ended = self.tanren.run(*options, "run", "--hold", "--name", name, "--request-id", name, "--", "/bin/true",
                                seconds=seconds)
        return int(ended.stdout.split("\n")[0].removeprefix("job ")) if ended.returncode == 0 else ended.stderr

    def problem(self):
        """Why nothing is acknowledged; else empty."""
        return json.loads(self.tanren.run("--json", "status").stdout)["problem"]

    def second_coordinator(self):
        """What it says when it is started on the same folder."""
        ended = subprocess.run([program("tanren-coordinator"), "--state", self.state, "--listen", "127.0.0.1:0"], text=True,
                               capture_output=True, check=False, timeout=60)
        self.assertNotEqual(ended.returncode, 0)
        return ended.stderr

    def test_what_was_acknowledged_is_kept_what_runs_goes_on_and_so_does_all_when_there_is_room(self):
        coordinator = self.start_coordinator()
        self.assertRegex(self.second_coordinator(), f"held by process {coordinator.pid} ")
        agent = self.start_agent()
        beats = self.start_beating()
        go = self.home / "go"
        script = f"while [ ! -e {go} ]; do sleep 0.1; done"
        ends = self.tanren.ask("run", "--name", "ends", "--", "/bin/sh", "-c", script)["jobs"][0]
        self.tanren.wait_for(ends, "running")

        acknowledged, refused, stop = {}, [], threading.Event()

        def submit(which):
            i = 0
            while not stop.is_set():
                i += 1
                name = f"burst-{which}-{i}"
                number = self.submit(name)
                if not isinstance(number, int):
                    refused.append(number)
                    return
                acknowledged[name] = number

        threads = [threading.Thread(target=submit, args=(which,)) for which in range(3)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: len(acknowledged) > 10, "jobs are taken")
            self.fill()
            full = boottime()
            wait_until(self.problem, "it is full", every=0.1)
            self.assertRegex(self.problem(), "nothing is acknowledged.*(full|No space)")
            before = len(acknowledged)
            # The agent begins anew meanwhile, and one of its jobs ends.
            kill(agent.pid, signal.SIGKILL)
            agent.wait()
            self.start_agent()
            go.touch()
            while boottime() < full + LEASE + 3:
                self.assertRegex(self.second_coordinator(), f"held by process {coordinator.pid} ")
            self.beats_until(full + LEASE + 3)
            self.assertEqual(self.tanren.job(ends)["state"], "running")  # as far as it is durable
            self.assertEqual(len(acknowledged), before)
            self.filler.unlink()
            wait_until(lambda: len(acknowledged) > before + 3 or refused, "there is room again")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(refused, [])
        self.assertEqual(self.tanren.wait_for(ends, "succeeded")["attempts"], 1)
        self.beats_until(boottime() + 1)
        self.assertEqual(self.tanren.wait_for(beats, "running")["attempts"], 1)
        self.check_kept(acknowledged)
        # And a coordinator that begins with this disk finds the same.
        kill(coordinator.pid, signal.SIGKILL)
        coordinator.wait()
        (self.state / "endpoint").unlink()
        self.start_coordinator()
        self.check_kept(acknowledged)

    def check_kept(self, acknowledged):
        names = {job["id"]: job["spec"]["name"] for job in self.tanren.ask("jobs", "--limit", 100_000)["jobs"]}
        for name, number in acknowledged.items():
            self.assertEqual(names.get(number), name)
        self.assertEqual(len(set(names.values())), len(names))

    def test_a_coordinator_that_begins_without_room_shows_what_there_is_and_goes_on_when_there_is_some(self):
        coordinator = self.start_coordinator()
        number = self.submit("before")
        self.assertIsInstance(number, int)
        kill(coordinator.pid, signal.SIGKILL)
        coordinator.wait()
        self.fill()
        self.start("tanren-coordinator", "--state", self.state, "--listen", "127.0.0.1:0", "--allow-commands")
        wait_until(lambda: self.tanren.run("--json", "status").stdout, "it answers", every=0.1)
        self.assertRegex(self.problem(), "nothing is acknowledged.*(full|No space)")
        self.assertEqual([job["spec"]["name"] for job in self.tanren.ask("jobs")["jobs"]], ["before"])
        self.assertIn("It is held", self.tanren.run("explain", number).stdout)
        watching = self.tanren.start("watch", "--from", 1, stdout=subprocess.PIPE, text=True)
        self.processes.append(watching)
        self.addCleanup(watching.stdout.close)
        wait_until(lambda: f"job {number}" in watching.stdout.readline(), "what has happened is shown")
        said = self.submit("refused", "--patience", 3)
        self.assertRegex(str(said), "can't answer: nothing is acknowledged.*(full|No space)")
        self.filler.unlink()
        self.assertIsInstance(self.submit("after"), int)
        self.assertEqual(sorted(job["spec"]["name"] for job in self.tanren.ask("jobs")["jobs"]), ["after", "before"])

    def test_a_refusal_says_why(self):
        self.start_coordinator()
        self.assertIsInstance(self.submit("before"), int)
        self.fill()
        said = self.submit("refused", "--patience", 3)
        self.assertTrue(re.search("can't answer: nothing is acknowledged.*(full|No space)", str(said)), said)
        self.filler.unlink()
        self.assertIsInstance(self.submit("after"), int)
        self.assertEqual(sorted(job["spec"]["name"] for job in self.tanren.ask("jobs")["jobs"]), ["after", "before"])


if __name__ == "__main__":
    unittest.main()
