"""A coordinator and agents made of the real programs, in a folder and on ports of their own.

TANREN in the environment is the client; the other programs are found from there, but for the worker:
TANREN_WORKER.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from worker_runs import PATIENCE, WORKER, kill, wait_until  # noqa: E402

TANREN = os.environ.get("TANREN", "")
ENDED = ("succeeded", "failed", "cancelled")


def processes():
    """pid -> (parent's pid, words of the command line), of all that run."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")[:-1]
            # "pid (name) state parent …": a name may hold parentheses.
            after_name = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it is gone
            continue
        if after_name[0] != "Z":
            found[int(entry.name)] = (int(after_name[1]), [os.fsdecode(word) for word in words])
    return found


def names(words):
    return pathlib.Path(words[0]).name if words else ""


def boottime():
    """CLOCK_BOOTTIME, seconds: what leases and events are dated by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def beating(file):
    """A program that writes down, ten times a second, which attempt of it lives and when."""
    script = f'while :; do read -r now _ < /proc/uptime; echo "$TANREN_ATTEMPT $now" >> {file}; sleep 0.1; done'
    return ["--", "/bin/sh", "-c", script]


def lives(file):
    """attempt -> its first and last beat, boottime."""
    found = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        attempt, now = int(line.split()[0]), float(line.split()[1])
        found[attempt] = (found.get(attempt, (now, now))[0], now)
    return found


class Tanren:
    """The client, with a home folder that knows of one coordinator. `inside`: what its command line begins with."""

    def __init__(self, home, inside=()):
        self.home = home
        self.command = [*inside, TANREN]
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("TANREN_")}
        self.environment["HOME"] = str(home)
        if WORKER:
            self.environment["PATH"] = f"{pathlib.Path(WORKER).parent}:{os.environ['PATH']}"

    def start(self, *arguments, **options):
        return subprocess.Popen([*self.command, *map(str, arguments)], env=self.environment, cwd=self.home,
                                stdin=subprocess.DEVNULL, **options)

    def run(self, *arguments, seconds=PATIENCE):
        """The ended process, with what it wrote."""
        return subprocess.run([*self.command, *map(str, arguments)], env=self.environment, cwd=self.home, text=True,
                              errors="replace", stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)

    def ask(self, *arguments):
        """What `--json` says."""
        ended = self.run("--json", *arguments)
        assert ended.returncode == 0, f"{arguments}: code {ended.returncode}: {ended.stdout}{ended.stderr}"
        return json.loads(ended.stdout)

    def job(self, number):
        return self.ask("show", number)

    def wait_for(self, number, *states, seconds=PATIENCE):
        def reached():
            job = self.job(number)
            if job["state"] in ENDED and job["state"] not in states:
                raise AssertionError(f"job {number} is {job['state']}: {json.dumps(job, indent=1)}")
            return job if job["state"] in states else None

        # Each try is a process of its own.
        return wait_until(reached, f"job {number} is {' or '.join(states)}", seconds, every=0.1)

    def step(self, number):
        """The last step that the job's ranks told of; 0 before."""
        progress = self.ask("jobs")["progress"].get(str(number))
        return progress["step"] if progress else 0


class ClusterTest(unittest.TestCase):
    """A scratch home folder with a `tanren up` in it, which is ended with all that it started."""

    UP_ARGUMENTS = ()

    @classmethod
    def setUpClass(cls):
        if not TANREN:
            raise RuntimeError("TANREN must name the client to test")
        cls.home = pathlib.Path(tempfile.mkdtemp(prefix="tanren-cluster."))
        cls.addClassCleanup(shutil.rmtree, cls.home, ignore_errors=True)
        cls.state = cls.home / ".local/state/tanren/up"
        cls.tanren = Tanren(cls.home)
        cls.up = None
        cls.addClassCleanup(cls.end_all)
        cls.start_up()

    @classmethod
    def start_up(cls):
        cls.screen = cls.home / "screen"
        with open(cls.screen, "w") as out:
            cls.up = cls.tanren.start("up", "--listen", "127.0.0.1:0", *cls.UP_ARGUMENTS, stdout=out,
                                      stderr=subprocess.STDOUT)

        def ready():
            if cls.up.poll() is not None:
                raise AssertionError(f"tanren up ended with {cls.up.returncode}: {cls.screen.read_text()}")
            return "What next:" in cls.screen.read_text()

        wait_until(ready, "tanren up is ready", 40)

    @classmethod
    def end_up(cls):
        cls.up.send_signal(signal.SIGTERM)
        cls.up.wait(PATIENCE)

    @classmethod
    def end_all(cls):
        if cls.up is not None and cls.up.poll() is None:
            cls.up.send_signal(signal.SIGTERM)
            try:
                cls.up.wait(60)
            except subprocess.TimeoutExpired:
                cls.up.kill()
        cls.tanren.run("down")  # what a test has put into the background
        for pid in cls.left():
            kill(pid, signal.SIGKILL)

    @classmethod
    def left(cls):
        """Processes that name this test's folder."""
        return [pid for pid, (_, words) in processes().items()
                if pid != os.getpid() and any(str(cls.home) in word for word in words)]

    @classmethod
    def pid_of(cls, program):
        """The one process of ours that is `program`."""
        found = [pid for pid, (_, words) in processes().items()
                 if names(words) == program and any(str(cls.home) in word for word in words)]
        return found[0] if found else None

    def log_file(self, job, role="trainer", rank=0):
        name = f"*.{job['id']}.{job['attempts']}"
        # An ended part's log moves once the agent has no more to do with it.
        parts = [*(self.state / "agent/parts").glob(name), *(self.state / "agent/ended").glob(name)]
        self.assertEqual(len(parts), 1, parts)
        return parts[0] / "logs" / f"{role}.{rank}.log"

    def folder_of(self, job):
        return pathlib.Path(job["spec"]["folder"]) / f"job-{job['id']}"

    def submit(self, *arguments):
        """The number of the one job."""
        reply = self.tanren.ask("submit", *arguments)
        self.assertEqual(len(reply["jobs"]), 1)
        return reply["jobs"][0]

    def run_job(self, *arguments):
        reply = self.tanren.ask("run", *arguments)
        self.assertEqual(len(reply["jobs"]), 1)
        return reply["jobs"][0]
