"""Programs that stand still (SIGSTOP) for less and for more than a lease: nothing is given away that lives."""

import signal
import time
import unittest

from cluster import boottime, wait_until
from programs import ProgramsTest, load_tests  # noqa: F401

# Seconds: how long a lease lasts, and how old it is at most when a fault comes.
LEASE, RENEWAL = 10, 2


class StoppedTest(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.coordinator = self.start_coordinator()
        self.agent = self.start_agent()
        self.job = self.start_beating()

    def stop(self, process):
        """Returns when, boottime."""
        process.send_signal(signal.SIGSTOP)
        self.addCleanup(process.send_signal, signal.SIGCONT)
        return boottime()

    def assert_ended_by_its_lease(self, stopped):
        """And the next attempt began later."""
        _, end = self.beats_of(1)
        self.assertGreater(end - stopped, LEASE - RENEWAL - 1)
        self.assertLess(end - stopped, LEASE)
        begin, _ = self.beats_of(2)
        self.assertLess(end, begin)
        job = self.tanren.wait_for(self.job, "running")
        self.assertEqual(job["attempts"], 2, job)
        self.assertLess(end, job["attempt"]["placed_steady_ms"] / 1000)
        wait_until(lambda: self.beats_of(2)[1] > begin + 1, "it goes on")
        self.assertEqual(self.beats_of(1)[1], end)
        return job["earlier_attempts"][0]["end"]

    def test_ranks_of_a_stopped_agent_end_with_its_lease_and_run_once_when_it_goes_on(self):
        stopped = self.stop(self.agent)
        self.tanren.wait_for(self.job, "unknown")
        self.tanren.wait_for(self.job, "pending")
        self.agent.send_signal(signal.SIGCONT)
        end = self.assert_ended_by_its_lease(stopped)
        self.assertIn("was not heard of", end["message"])

    def test_an_agent_that_goes_on_within_its_lease_has_lost_nothing(self):
        self.stop(self.agent)
        self.tanren.wait_for(self.job, "unknown")
        self.agent.send_signal(signal.SIGCONT)
        job = self.tanren.wait_for(self.job, "running")
        self.beats_until(boottime() + LEASE + 1)
        self.assertEqual(job["attempts"], 1)

    def test_a_stopped_coordinators_jobs_end_with_their_lease_and_run_once_when_it_goes_on(self):
        stopped = self.stop(self.coordinator)
        wait_until(lambda: self.beats_of(1)[1] < boottime() - 1, "the rank has ended")
        time.sleep(max(stopped + 14 - boottime(), 0))  # so that each of its own deadlines has passed, too
        self.coordinator.send_signal(signal.SIGCONT)
        end = self.assert_ended_by_its_lease(stopped)
        # It took its agent's word for that, not its own clock's.
        self.assertNotIn("was not heard of", end["message"])

    def test_a_coordinator_that_goes_on_within_the_lease_takes_nobody_for_lost(self):
        self.stop(self.coordinator)
        time.sleep(5)
        self.coordinator.send_signal(signal.SIGCONT)
        self.beats_until(boottime() + LEASE + 1)
        self.assertEqual(self.tanren.wait_for(self.job, "running")["attempts"], 1)
        log = (self.home / "tanren-coordinator.log").read_text()
        self.assertNotRegex(log, "unknown, because|SILENT|LOST")


if __name__ == "__main__":
    unittest.main()
