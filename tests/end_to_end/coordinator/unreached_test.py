"""A gang on two machines that don't reach each other, though both reach the coordinator."""

import unittest

from cluster import boottime, wait_until
from machines import MachinesTest

# So long a node tries to reach another, seconds; and as long as that again for what else there is to do.
WITHIN = 20
SOON = 2 * WITHIN


class UnreachedTest(MachinesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ("left", "right", "spare"):
            cls.start_machine(name, 1)
        cls.cut("left", "right")

    def node(self, name):
        return next(node["node"] for node in self.tanren.ask("nodes")["nodes"] if node["node"]["name"] == name)

    def test_is_told_who_does_not_reach_whom_and_begins_on_others(self):
        wait_until(lambda: self.tanren.ask("status")["nodes_up"] == 3, "all are up", every=0.1)
        begin = boottime()
        job = self.tanren.ask("run", "--ranks", 2, "--ranks-per-node", 1, "--", "/bin/sleep", 1000)["jobs"][0]
        first = wait_until(lambda: self.ended_attempt(job), "the first attempt has ended", SOON + WITHIN, every=0.1)
        seconds = boottime() - begin
        print(f"from the submission to a told cause: {seconds:.1f} s")
        self.assertLess(seconds, SOON)
        end = first["end"]
        self.assertEqual(end["kind"], "infrastructure", end)
        self.assertEqual({end["node"], end["unreached_node"]}, {"left", "right"}, end)
        cause = f"node {end['node']} doesn't reach node {end['unreached_node']} at "
        self.assertIn(cause, end["message"])
        self.assertIn(cause, self.tanren.run("show", job).stdout)
        for name, suspicions in (("left", 1), ("right", 1), ("spare", 0)):
            self.assertEqual(self.node(name).get("suspicions", 0), suspicions)
        job = self.tanren.wait_for(job, "running")
        self.assertEqual(job["attempts"], 2, job)
        self.assertIn("spare", [placement["node"] for placement in job["attempt"]["placements"]])

    def ended_attempt(self, job):
        return next((attempt for attempt in self.attempts(job) if attempt.get("ended_ms")), None)

    def attempts(self, job):
        job = self.tanren.job(job)
        return [*job.get("earlier_attempts", []), *([job["attempt"]] if job.get("attempt") else [])]


if __name__ == "__main__":
    unittest.main()
