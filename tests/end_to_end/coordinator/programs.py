"""A coordinator and an agent of this machine, which nobody starts again when they end."""

import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

from cluster import TANREN, Tanren, beating, kill, lives, processes, wait_until


def program(name):
    """The path of tanren-coordinator or tanren-agent."""
    beside = pathlib.Path(TANREN).parent / name
    folder = {"tanren-coordinator": "server", "tanren-agent": "agent"}[name]
    return beside if beside.exists() else beside.parent.parent / folder / name


class AtOnce(unittest.TestSuite):
    """Its tests run at the same time: most of what they do is wait."""

    def run(self, result, debug=False):
        threads = [threading.Thread(target=test, args=(result,)) for test in self]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return result


def load_tests(_loader, suites, _pattern):
    """For modules to import."""
    return unittest.TestSuite(
        AtOnce(suite) if all(isinstance(test, ProgramsTest) for test in suite) else suite for suite in suites)


class ProgramsTest(unittest.TestCase):
    """With a scratch home folder for each test."""

    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tanren-cluster."))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.tanren = Tanren(self.home)
        self.state = self.home / ".local/state/tanren/up"
        self.beats = self.home / "beats"
        self.processes = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        # What they have started would live until its lease has passed.
        for pid, (_, words) in processes().items():
            if any(str(self.home) in word for word in words):
                kill(pid, signal.SIGKILL)

    def start(self, name, *arguments):
        with open(self.home / f"{name}.log", "a") as log:
            process = subprocess.Popen([program(name), *map(str, arguments)], env=self.tanren.environment, cwd=self.home,
                                       stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def start_coordinator(self):
        process = self.start("tanren-coordinator", "--state", self.state, "--listen", "127.0.0.1:0", "--allow-commands")
        wait_until((self.state / "endpoint").exists, "the coordinator listens")
        return process

    def start_agent(self, address=None):
        """Of `address`, or of the coordinator itself."""
        return self.start("tanren-agent", "--coordinator", address or (self.state / "endpoint").read_text().strip(),
                          "--token-file", self.state / "agent.token", "--state", self.home / "agent", "--allow-root")

    def start_beating(self):
        """A job whose beats are in self.beats. It runs."""
        job = self.tanren.ask("run", "--name", "beats", *beating(self.beats))["jobs"][0]
        self.tanren.wait_for(job, "running")
        wait_until(lambda: lives(self.beats), "it beats")
        return job

    def beats_until(self, time):
        """Waits until the first attempt has outlived that moment, boottime, and is the only one."""
        def outlived():
            found = lives(self.beats)
            self.assertEqual(list(found), [1])
            return found[1][1] > time

        wait_until(outlived, "the first attempt beats on", every=0.1)

    def beats_of(self, attempt):
        """Its first and last beat, boottime, once there is one."""
        return wait_until(lambda: lives(self.beats).get(attempt), f"attempt {attempt} beats")
