"""Machines that are cut off, hear nothing, are not heard, stand still or die: their jobs go on elsewhere, and never beside
themselves."""

import time
import unittest

from cluster import boottime, lives, wait_until
from machines import MachinesTest

# How long a lease and the grace behind it last, seconds.
LEASE, GRACE = 10, 2
# An agent renews so often, so that a lease is at most so old when a fault comes.
RENEWAL = 2


class PartitionTest(MachinesTest):
    """All at the same time: each machine has one core and one job when its fault comes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.jobs = {}
        for name in ("cut", "mute", "deaf", "dead", "paused", "brief"):
            cls.start_machine(name, 1)
            cls.jobs[name] = cls.start_beating(name)  # there is room on this machine alone
        for name in ("left", "right"):
            cls.start_machine(name, 1)
        cls.jobs["right"] = cls.start_beating("right", "--ranks", 2, "--ranks-per-node", 1)
        for name in ("spare", "other"):
            cls.start_machine(name, 8)
        cls.since = {}
        for name in cls.jobs:
            if name == "paused":
                cls.wires[name].machine.signal("STOP")
                cls.since[name] = boottime()
                continue
            cls.wires[name].lose(to_coordinator=name != "deaf", from_coordinator=name != "mute")
            cls.since[name] = boottime()
        # Its wire is cut already: nobody hears of the end of its connections.
        cls.wires["dead"].machine.die()
        time.sleep(3)
        cls.wires["brief"].mend()

    def beats(self, name):
        return lives(self.home / f"{name}.beats")

    def wait_for_second(self, name):
        """Both lives, once there are two."""
        wait_until(lambda: 2 in self.beats(name), f"{name}'s job begins again")
        return self.beats(name)[1], self.beats(name)[2]

    def assert_ended_by_its_lease(self, name):
        after = self.beats(name)[1][1] - self.since[name]
        self.assertGreater(after, LEASE - RENEWAL - 1, "it didn't live as long as it might")
        self.assertLess(after, LEASE)

    def assert_goes_on_once(self, name):
        """Mended, the machine takes part again, and what ran there doesn't."""
        self.wires[name].mend()
        wait_until(lambda: self.state_of(name) == "up", f"{name} is back", every=0.1)
        job = self.tanren.wait_for(self.jobs[name], "running")
        self.assertEqual(job["attempts"], 2, job)
        (_, end), (begin, _) = self.wait_for_second(name)
        self.assertLess(end, job["attempt"]["placed_steady_ms"] / 1000)
        self.assertLess(end, begin)
        wait_until(lambda: self.beats(name)[2][1] > begin + 1, "it goes on")
        self.assertEqual(self.beats(name)[1][1], end)

    def state_of(self, name):
        return next(node["node"]["state"] for node in self.tanren.ask("nodes")["nodes"] if node["node"]["name"] == name)

    def test_a_machine_that_is_cut_off_ends_its_ranks_before_others_begin(self):
        self.wait_for_second("cut")
        self.assert_ended_by_its_lease("cut")
        self.assert_goes_on_once("cut")

    def test_a_machine_that_is_not_heard_ends_its_ranks_before_others_begin(self):
        self.wait_for_second("mute")
        self.assert_ended_by_its_lease("mute")
        self.assert_goes_on_once("mute")

    def test_a_machine_that_hears_nothing_ends_its_ranks_though_it_is_heard(self):
        wait_until(lambda: self.beats("deaf")[1][1] < boottime() - 1, "its rank has ended")
        self.assert_ended_by_its_lease("deaf")
        self.assert_goes_on_once("deaf")

    def test_a_machine_that_stood_still_ends_its_ranks_when_it_goes_on(self):
        self.wait_for_second("paused")
        self.assertLess(self.beats("paused")[1][1], self.since["paused"])
        goes_on = boottime()
        self.wires["paused"].machine.signal("CONT")
        wait_until(lambda: self.state_of("paused") == "up", "paused is back", every=0.1)
        wait_until(lambda: self.beats("paused")[2][1] > goes_on + 3, "the second attempt goes on")
        # Nothing can keep a rank from running before what ends it does; but that is all.
        self.assertLess(self.beats("paused")[1][1], goes_on + 2)
        self.assertEqual(self.tanren.wait_for(self.jobs["paused"], "running")["attempts"], 2)

    def test_an_attempt_lives_through_a_cut_that_is_shorter_than_its_lease(self):
        wait_until(lambda: self.beats("brief")[1][1] > self.since["brief"] + LEASE + GRACE + 1, "it outlives the lease")
        job = self.tanren.wait_for(self.jobs["brief"], "running")
        self.assertEqual(job["attempts"], 1, job)
        self.assertEqual(self.state_of("brief"), "up")

    def test_a_gang_that_lost_a_machine_ends_whole_before_it_begins_again(self):
        (_, end), (begin, _) = self.wait_for_second("right")
        self.assertLess(end, begin)
        job = self.tanren.wait_for(self.jobs["right"], "running")
        self.assertEqual(job["attempts"], 2, job)
        self.assertLess(end, job["attempt"]["placed_steady_ms"] / 1000)
        first = job["earlier_attempts"][0]
        self.assertEqual(first["end"]["node"], "right", job)
        # mpirun, asked to end, waits for its daemon on the lost machine: nobody waits for that.
        self.assertLess(first["ended_ms"] - first["stopping_ms"], 4000, job)
        print(f"from a machine's loss to its gang's next beginning: {begin - self.since['right']:.1f} s")
        self.assertNotIn("right", [placement["node"] for placement in job["attempt"]["placements"]])

    def test_a_dead_machines_job_begins_elsewhere(self):
        _, (begin, _) = self.wait_for_second("dead")
        seconds = begin - self.since["dead"]
        print(f"from a machine's death to its job's next beginning: {seconds:.1f} s")
        job = self.tanren.job(self.jobs["dead"])
        self.assertEqual(job["earlier_attempts"][0]["end"]["kind"], "infrastructure", job)
        self.assertIn("dead was not heard of", job["earlier_attempts"][0]["end"]["message"])
        self.assertGreater(seconds, LEASE + GRACE - RENEWAL)  # nobody can know that it is dead
        self.assertLess(seconds, LEASE + GRACE + 4)  # on a busy machine, too


if __name__ == "__main__":
    unittest.main()
