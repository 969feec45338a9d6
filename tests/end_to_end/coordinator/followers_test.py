"""Who follows a log, or watches events, goes on over all that a coordinator goes through."""

import signal
import unittest

from cluster import wait_until
from programs import ProgramsTest

RESTARTS = 3


class FollowersTest(ProgramsTest):
    def test_follow_over_restarts_and_a_restored_backup(self):
        self.coordinator = self.start_coordinator()
        self.address = (self.state / "endpoint").read_text().strip()
        self.start_agent()
        script = "while :; do echo attempt $TANREN_ATTEMPT; sleep 0.1; done"
        job = self.tanren.ask("run", "--", "/bin/sh", "-c", script)["jobs"][0]
        self.tanren.wait_for(job, "running")
        log, events = self.follow("logs", "-f", job), self.follow("watch")
        for i in range(RESTARTS):
            self.end(self.coordinator)
            self.restart()
            self.more(log, "attempt 1")
            name = f"restart-{i}"
            self.tanren.ask("run", "--hold", "--name", name, "--", "/bin/true")
            self.more(events, name, than=0)
        self.end(events)
        backup = self.state / "backup.db"
        self.assertEqual(self.tanren.run("admin", "backup", backup).returncode, 0)
        self.assertEqual(self.tanren.run("requeue", job).returncode, 0)
        self.more(log, "attempt 2")
        self.end(self.coordinator)
        for file in self.state.glob("history.db*"):
            file.unlink()
        restored = self.tanren.run("admin", "restore", backup, "--state", self.state)
        self.assertEqual(restored.returncode, 0, restored)
        self.restart()
        self.more(log, "attempt 1002")  # numbered on from far beyond those that the backup knew nothing of
        self.assertEqual(self.tanren.run("cancel", job).returncode, 0)
        self.assertEqual(log.wait(60), 0)

    def restart(self):
        self.coordinator = self.start("tanren-coordinator", "--state", self.state, "--listen", self.address,
                                      "--allow-commands")

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    def follow(self, *arguments):
        """The process; what it writes is in its `.file`."""
        file = self.home / f"{arguments[0]}.out"
        with open(file, "w") as out:
            process = self.tanren.start(*arguments, stdout=out, stderr=out)
        process.file = file
        self.processes.append(process)
        return process

    def more(self, follower, text, than=None):
        """Waits until that is written more often than so many times; by default, than it is now."""
        than = follower.file.read_text().count(text) if than is None else than

        def written():
            self.assertIsNone(follower.poll(), follower.file.read_text()[-500:])
            return follower.file.read_text().count(text) > than

        wait_until(written, f"{follower.file.name} says '{text}'", every=0.1)


if __name__ == "__main__":
    unittest.main()
