"""Requests that arrive twice, or whose answers are lost: one job each, and one attempt."""

import json
import signal
import subprocess
import unittest

from cluster import boottime, wait_until
from programs import ProgramsTest, load_tests  # noqa: F401
from proxy import AnswersLost, Recorder


class RepeatedTest(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.start_coordinator()
        self.address = (self.state / "endpoint").read_text().strip()

    def proxy(self, kind, *arguments):
        proxy = kind(self.address, *arguments)
        self.addCleanup(proxy.close)
        return proxy

    def listed(self):
        return [job["spec"]["name"] for job in self.tanren.ask("jobs")["jobs"]]

    def audited(self, request):
        """How often the coordinator was asked for it."""
        lines = (self.state / "audit.jsonl").read_text().splitlines()
        return sum(json.loads(line)["request"] == request for line in lines)

    def test_the_same_request_over_many_connections_at_once_makes_one_job(self):
        started = [self.tanren.start("run", "--hold", "--name", "same", "--request-id", "same-one", "--", "/bin/true",
                                     stdout=subprocess.PIPE, text=True) for _ in range(6)]
        said = {process.communicate()[0].splitlines()[0] for process in started}
        self.assertEqual([process.returncode for process in started], [0] * 6)
        self.assertEqual(len(said), 1, said)
        self.assertEqual(self.listed(), ["same"])
        self.assertEqual(self.audited("same-one"), 6)

    def test_a_client_whose_answers_are_lost_asks_again_and_gets_the_job_that_it_made(self):
        proxy = self.proxy(AnswersLost, "request-3", lambda: wait_until(self.listed, "the job is there"), 3)
        ended = self.tanren.run("--coordinator", proxy.address, "--json", "run", "--hold", "--name", "lost", "--request-id",
                                "request-3", "--", "/bin/true")
        self.assertEqual(ended.returncode, 0, ended)
        self.assertEqual(proxy.left, 0)
        self.assertEqual(self.listed(), ["lost"])
        self.assertEqual(json.loads(ended.stdout)["jobs"], [self.tanren.ask("jobs")["jobs"][0]["id"]])
        wait_until(lambda: self.audited("request-3") == 4, "each was told of in the audit")

    def test_bytes_that_are_delivered_twice_change_nothing_the_second_time(self):
        proxy = self.proxy(Recorder)
        through = ["--coordinator", proxy.address]
        made = self.tanren.run(*through, "run", "--name", "twice", "--hold", "--request-id", "make-it", "--", "/bin/true")
        self.assertEqual(made.returncode, 0, made)
        number = self.tanren.ask("jobs")["jobs"][0]["id"]
        self.assertEqual(self.tanren.run(*through, "release", number, "--request-id", "let-it-go").returncode, 0)
        self.assertEqual(self.tanren.run("hold", number).returncode, 0)
        for request in ("make-it", "let-it-go"):
            self.assertEqual(proxy.send_again(request), 1)
            wait_until(lambda: self.audited(request) == 2, "it arrived again")
        self.assertEqual(self.listed(), ["twice"])
        self.assertTrue(self.tanren.job(number)["held"])

    def test_an_agents_stream_that_is_delivered_twice_ends_nothing(self):
        proxy = self.proxy(Recorder)
        agent = self.start_agent(proxy.address)
        early = wait_until(lambda: dict(proxy.sent), "the agent has connected")
        self.assertEqual(len(early), 1)
        number = self.start_beating()
        self.assertEqual(proxy.send_again("/tanren.coordinator.Agents/Serve"), 1)
        self.beats_until(boottime() + 4)
        job = self.tanren.wait_for(number, "running")
        self.assertEqual(job["attempts"], 1, job)
        agent.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    unittest.main()
