"""No acknowledged job is lost, and none runs twice at once, whatever is killed."""

import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from cluster import TANREN, ClusterTest, Tanren, kill, wait_until

KILLS = 25
SUBMITTERS = 4


class SubmitBurstTest(ClusterTest):
    def test_25_kills_of_the_coordinator_during_a_burst_lose_nothing(self):
        acknowledged, problems, stop = {}, [], threading.Event()

        def submit(which):
            i = 0
            while not stop.is_set():
                i += 1
                request = f"burst-{which}-{i}"
                # Held: what is tested is that they are kept, not that this machine runs hundreds.
                ended = self.tanren.run("run", "--hold", "--name", request, "--request-id", request, "--patience", "60",
                                        "--", "/bin/true")
                if ended.returncode != 0:
                    problems.append(f"{request}: {ended}")
                    return
                acknowledged[request] = int(ended.stdout.split("\n")[0].removeprefix("job "))

        threads = [threading.Thread(target=submit, args=(which,)) for which in range(SUBMITTERS)]
        for thread in threads:
            thread.start()
        try:
            last = None
            for count in range(KILLS):
                def other():
                    pid = self.pid_of("tanren-coordinator")
                    return pid if pid != last else None

                last = wait_until(other, "the coordinator runs again")
                before = len(acknowledged)
                # In the middle of work: it has taken jobs since it started.
                wait_until(lambda: len(acknowledged) > before + count % 3 or problems, "jobs are taken")
                self.assertEqual(problems, [])
                kill(last, signal.SIGKILL)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(problems, [])
        jobs = {job["id"]: job for job in self.tanren.ask("jobs", "--limit", 100_000)["jobs"]}
        self.assertGreater(len(acknowledged), KILLS)
        self.assertEqual(len(set(acknowledged.values())), len(acknowledged))
        for request, number in acknowledged.items():
            self.assertIn(number, jobs, f"{request} was acknowledged as job {number} and is gone")
            self.assertEqual(jobs[number]["spec"]["name"], request)
        # And no request made a second job.
        listed = [job["spec"]["name"] for job in jobs.values()]
        self.assertEqual(len(listed), len(set(listed)))


class AgentKilledTest(unittest.TestCase):
    """A coordinator and an agent that nobody starts again."""

    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tanren-cluster."))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.tanren = Tanren(self.home)
        self.state = self.home / ".local/state/tanren/up"
        self.processes = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def start(self, program, *arguments):
        tanren = pathlib.Path(TANREN)
        folder = {"tanren-coordinator": "server", "tanren-agent": "agent"}[program]
        path = tanren.parent / program
        if not path.exists():
            path = tanren.parent.parent / folder / program
        with open(self.home / f"{program}.log", "a") as log:
            process = subprocess.Popen([path, *map(str, arguments)], env=self.tanren.environment, cwd=self.home,
                                       stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def start_agent(self):
        address = (self.state / "endpoint").read_text().strip()
        return self.start("tanren-agent", "--coordinator", address, "--token-file", self.state / "agent.token",
                          "--state", self.home / "agent", "--allow-root")

    def test_a_job_whose_agent_dies_never_runs_beside_itself(self):
        self.start("tanren-coordinator", "--state", self.state, "--listen", "127.0.0.1:0", "--allow-commands")
        wait_until(lambda: (self.state / "endpoint").exists(), "the coordinator listens")
        agent = self.start_agent()
        beats = self.home / "beats"
        # Writes down who lives, twenty times a second.
        script = f"while :; do echo $TANREN_ATTEMPT $(date +%s%N) >> {beats}; sleep 0.05; done"
        number = self.tanren.ask("run", "--", "/bin/sh", "-c", script)["jobs"][0]
        self.tanren.wait_for(number, "running")
        wait_until(beats.exists, "it beats")
        kill(agent.pid, signal.SIGKILL)
        killed = time.time()
        self.tanren.wait_for(number, "unknown")
        # Its lease passes: it ends itself, and only then it is given away; there is nobody to take it.
        self.tanren.wait_for(number, "pending", seconds=60)
        last = max(int(line.split()[1]) for line in beats.read_text().splitlines()) / 1e9
        self.assertGreater(last - killed, 3)  # it wasn't ended with its agent
        self.assertLess(last - killed, 11)  # but with its lease
        self.start_agent()
        wait_until(lambda: "\n2 " in beats.read_text(), "the second attempt beats")
        self.tanren.run("cancel", number)
        self.tanren.wait_for(number, "cancelled")
        lines = [line.split() for line in beats.read_text().splitlines()]
        of_first = [int(when) for attempt, when in lines if attempt == "1"]
        of_second = [int(when) for attempt, when in lines if attempt == "2"]
        self.assertLess(max(of_first), min(of_second))

    def test_an_agent_that_comes_back_in_time_finds_its_job_alive(self):
        self.start("tanren-coordinator", "--state", self.state, "--listen", "127.0.0.1:0", "--allow-commands")
        wait_until(lambda: (self.state / "endpoint").exists(), "the coordinator listens")
        agent = self.start_agent()
        number = self.tanren.ask("run", "--", "/bin/sleep", "12")["jobs"][0]
        self.tanren.wait_for(number, "running")
        kill(agent.pid, signal.SIGKILL)
        agent.wait()
        time.sleep(2)
        again = self.start_agent()
        job = self.tanren.wait_for(number, "succeeded")
        self.assertEqual(job["attempts"], 1)
        # An upgrade in place: the process stays, and so does what runs.
        number = self.tanren.ask("run", "--", "/bin/sleep", "3")["jobs"][0]
        self.tanren.wait_for(number, "running")
        again.send_signal(signal.SIGHUP)
        job = self.tanren.wait_for(number, "succeeded")
        self.assertEqual(job["attempts"], 1)
        self.assertIsNone(again.poll())
        self.assertIn("SIGHUP", (self.home / "tanren-agent.log").read_text())


if __name__ == "__main__":
    unittest.main()
