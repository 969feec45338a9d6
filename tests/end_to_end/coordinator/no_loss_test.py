"""No acknowledged job is lost, and none runs twice at once, whatever is killed."""

import pathlib
import signal
import threading
import time
import unittest

from cluster import ClusterTest, boottime, kill, names, processes, wait_until
from programs import ProgramsTest, load_tests  # noqa: F401

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


class AgentKilledTest(ProgramsTest):
    def test_a_job_whose_agent_dies_never_runs_beside_itself(self):
        self.start_coordinator()
        agent = self.start_agent()
        number = self.start_beating()
        kill(agent.pid, signal.SIGKILL)
        killed = boottime()
        self.tanren.wait_for(number, "unknown")
        # Its lease passes: it ends itself, and only then it is given away; there is nobody to take it.
        self.tanren.wait_for(number, "pending", seconds=60)
        _, last = self.beats_of(1)
        self.assertGreater(last - killed, 3)  # it wasn't ended with its agent
        self.assertLess(last - killed, 11)  # but with its lease
        self.start_agent()
        self.beats_of(2)
        self.tanren.run("cancel", number)
        self.tanren.wait_for(number, "cancelled")
        self.assertLess(self.beats_of(1)[1], self.beats_of(2)[0])

    def test_an_agent_that_comes_back_in_time_finds_its_job_alive(self):
        self.start_coordinator()
        agent = self.start_agent()
        number = self.tanren.ask("run", "--", "/bin/sleep", "12")["jobs"][0]
        self.tanren.wait_for(number, "running")
        kill(agent.pid, signal.SIGKILL)
        agent.wait()
        time.sleep(2)
        self.start_agent()
        job = self.tanren.wait_for(number, "succeeded")
        self.assertEqual(job["attempts"], 1)

    def test_an_agent_that_is_upgraded_keeps_its_process_and_its_ranks(self):
        self.start_coordinator()
        agent = self.start_agent()
        number = self.start_beating()
        ranks = self.ranks()
        self.assertEqual(len(ranks), 1)
        agent.send_signal(signal.SIGHUP)
        log = self.home / "tanren-agent.log"
        wait_until(lambda: log.read_text().count(" connected to the coordinator") == 2, "the new program has connected")
        self.assertIn("SIGHUP", log.read_text())
        self.assertIsNone(agent.poll())
        # Beyond what the lease lasts that the old one had.
        self.beats_until(boottime() + 11)
        self.assertEqual(self.ranks(), ranks)
        self.assertEqual(self.tanren.wait_for(number, "running")["attempts"], 1)
        # And it ends what the old one has begun.
        self.tanren.run("cancel", number)
        self.tanren.wait_for(number, "cancelled")
        wait_until(lambda: not self.ranks(), "none is left")

    def ranks(self):
        """pid -> when it began, of the shells that beat."""
        tree = processes()
        shells = {pid for pid, (_, words) in tree.items()
                  if names(words) == "sh" and any(str(self.beats) in word for word in words)}
        # What a shell forks is called so, too, until it is executed.
        return {pid: pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
                for pid in shells if tree[pid][0] not in shells}


if __name__ == "__main__":
    unittest.main()
