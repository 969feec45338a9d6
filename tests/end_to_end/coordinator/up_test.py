"""`tanren up` on this machine: programs as jobs, their logs and ends, and the order in which all ends."""

import datetime
import os
import signal
import subprocess
import time
import unittest

from cluster import PATIENCE, ClusterTest, processes, wait_until


class UpTest(ClusterTest):
    def test_the_screen_says_where_things_are_and_what_to_type(self):
        text = self.screen.read_text()
        for expected in ("coordinator  127.0.0.1:", "coordinator.log", "agent.log", "tanren submit", "Ctrl-C ends it"):
            self.assertIn(expected, text)

    def test_a_second_up_is_refused(self):
        second = self.tanren.run("up", "--listen", "127.0.0.1:0")
        self.assertEqual(second.returncode, 1, second)
        self.assertIn(f"up already, by process {self.up.pid}", second.stderr)
        self.assertEqual(self.tanren.run("status").returncode, 0)

    def test_a_program_runs_and_its_words_come_back(self):
        ended = self.tanren.run("run", "--follow", "--", "/bin/echo", "hello")
        self.assertEqual(ended.returncode, 0, ended)
        self.assertIn("\nhello\n", ended.stdout)
        self.assertIn("succeeded", ended.stdout)

    def test_wait_tells_failure_by_code_2_and_shows_why(self):
        ended = self.tanren.run("run", "--wait", "--", "/bin/sh", "-c", "echo broken pipe dream; exit 3")
        self.assertEqual(ended.returncode, 2, ended)
        self.assertIn("failed", ended.stdout)
        self.assertIn("broken pipe dream", ended.stderr)
        self.assertNotIn("STOP_REASON", ended.stdout)

    def test_a_failure_that_was_followed_is_shown_once(self):
        ended = self.tanren.run("run", "--follow", "--", "/bin/sh", "-c", "echo broken pipe dream; exit 3")
        self.assertEqual(ended.returncode, 2, ended)
        self.assertEqual((ended.stdout + ended.stderr).count("broken pipe dream"), 1, ended)

    def test_the_same_request_id_makes_one_job(self):
        first = self.run_job("--request-id", "same-one", "--", "/bin/true")
        self.assertEqual(self.run_job("--request-id", "same-one", "--", "/bin/true"), first)

    def test_a_mistake_in_a_recipe_names_file_and_line(self):
        recipe = self.home / "wrong.yaml"
        recipe.write_text("name: x\ntraining: {stepz: 1}\n")
        ended = self.tanren.run("submit", recipe)
        self.assertEqual(ended.returncode, 1, ended)
        self.assertIn("wrong.yaml:2:", ended.stderr)

    def test_a_job_that_is_not_there_is_wrong_use(self):
        for command in ("show", "explain", "cancel", "logs"):
            with self.subTest(command):
                ended = self.tanren.run(command, 999_999)
                self.assertEqual(ended.returncode, 1, ended)
                self.assertIn("999999", ended.stderr)

    def test_what_never_fits_is_explained_before_and_after(self):
        dry = self.tanren.run("run", "--dry-run", "--cpus", "4000", "--", "/bin/true")
        self.assertEqual(dry.returncode, 0, dry)
        self.assertIn("never fits", dry.stdout)
        job = self.run_job("--cpus", "4000", "--", "/bin/true")
        self.assertEqual(self.tanren.ask("explain", job)["reason"], "never_fits")
        self.assertEqual(self.tanren.run("cancel", job).returncode, 0)
        self.tanren.wait_for(job, "cancelled")

    def test_a_job_that_waits_is_explained_and_hold_and_release_work(self):
        cores = self.tanren.ask("status")["capacity"]["cpu_millis"] / 1000
        first = self.run_job("--cpus", cores, "--", "/bin/sleep", "300")
        self.tanren.wait_for(first, "running")
        second = self.run_job("--cpus", cores, "--", "/bin/true")
        why = self.tanren.ask("explain", second)
        self.assertEqual(why["reason"], "waiting", why)
        self.assertIn(first, why["waits_for"])
        self.assertEqual(self.tanren.run("hold", second).returncode, 0)
        self.assertEqual(self.tanren.run("cancel", first).returncode, 0)
        self.tanren.wait_for(first, "cancelled")
        self.assertEqual(self.tanren.ask("explain", second)["reason"], "held")
        self.assertEqual(self.tanren.run("release", second).returncode, 0)
        self.tanren.wait_for(second, "succeeded")

    def test_cancel_ends_what_a_job_started_and_hid(self):
        job = self.run_job("--", "/bin/sh", "-c", "(setsid sleep 4321 &) ; sleep 4321")

        def sleepers():
            return [pid for pid, (_, words) in processes().items() if words[-1:] == ["4321"] and "sleep" in words[0]]

        wait_until(lambda: len(sleepers()) == 2, "both sleep")
        self.tanren.run("cancel", job)
        self.tanren.wait_for(job, "cancelled")
        wait_until(lambda: not sleepers(), "none of them is left")

    def test_a_log_that_is_followed_equals_the_file(self):
        script = "for i in $(seq 200); do echo line $i; [ $((i % 50)) = 0 ] && sleep 0.2; done; exit 0"
        job = self.run_job("--", "/bin/sh", "-c", script)
        followed = self.tanren.run("logs", "-f", job)
        self.assertEqual(followed.returncode, 0, followed)
        expected = "".join(f"line {i}\n" for i in range(1, 201))
        self.assertEqual(followed.stdout, expected)
        self.assertEqual(self.tanren.run("logs", job).stdout, expected)
        self.assertEqual(self.tanren.run("logs", job, "--from-byte", len(expected) - 9).stdout, "line 200\n")

    def test_logs_since_a_time_begin_with_what_was_written_then(self):
        job = self.run_job("--", "/bin/sh", "-c", "echo old; sleep 4; echo new; date +%s > now; sleep 300")
        now = self.folder_of(self.tanren.ask("show", job)) / "now"
        wait_until(lambda: now.exists() and now.read_text(), "both lines are written")
        wrote = int(now.read_text())
        since = datetime.datetime.fromtimestamp(wrote - 2, datetime.timezone.utc).isoformat()
        self.assertEqual(self.tanren.run("logs", job, "--since", "1h").stdout, "old\nnew\n")
        self.assertEqual(self.tanren.run("logs", job, "--since", since).stdout, "new\n")
        self.assertEqual(self.tanren.run("logs", job, "--rank", "all", "--since", since).stdout, "[0] new\n")
        later = datetime.datetime.fromtimestamp(wrote + 3600, datetime.timezone.utc).isoformat()
        self.assertEqual(self.tanren.run("logs", job, "--since", later).stdout, "")
        follow = self.tanren.start("logs", "-f", job, "--since", since, stdout=subprocess.PIPE, text=True)
        self.assertEqual(follow.stdout.readline(), "new\n")
        self.assertEqual(self.tanren.run("cancel", job).returncode, 0)
        self.assertEqual(follow.communicate()[0], "")
        wrong = self.tanren.run("logs", job, "--since", "yesterday")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("--since", wrong.stderr)

    def test_the_environment_is_what_was_asked_for(self):
        ended = self.tanren.run("run", "--follow", "--env", "ASKED=for this", "--", "/usr/bin/env")
        self.assertIn("\nASKED=for this\n", ended.stdout)
        for line in ended.stdout.splitlines():
            self.assertFalse(line.startswith(("OMPI_", "PMIX_", "PYTHON")), line)

    def test_watch_misses_nothing_from_any_point(self):
        job = self.run_job("--", "/bin/true")
        self.tanren.wait_for(job, "succeeded")
        watch = self.tanren.start("watch", "--from", 1, "--json", stdout=subprocess.PIPE, text=True)
        try:
            sequences, seen = [], False
            while not seen:
                line = watch.stdout.readline()
                self.assertTrue(line, "watch ended")
                sequences.append(int(line.split('"sequence":')[1].split(",")[0]))
                seen = '"job_ended"' in line and f'"job":{job}' in line
        finally:
            watch.kill()
            watch.wait()
            watch.stdout.close()
        self.assertEqual(sequences, list(range(1, len(sequences) + 1)))

    @unittest.skipIf(os.environ.get("TANREN_SANITIZER"), "with a sanitizer a program takes longer to begin")
    def test_commands_answer_at_once(self):
        for command in (("--version",), ("jobs",), ("status",)):
            times = []
            for _ in range(7):
                start = time.monotonic()
                self.assertEqual(self.tanren.run(*command).returncode, 0)
                times.append(time.monotonic() - start)
            # 50 ms on a machine of one's own; the tests may share theirs.
            self.assertLess(min(times), 0.15, command)

    def test_top_shows_machines_and_jobs(self):
        shown = self.tanren.run("top", "--count", 2, "--every", "0.1")
        self.assertEqual(shown.returncode, 0, shown)
        self.assertIn("capacity", shown.stdout)
        self.assertNotIn("\033", shown.stdout)


class EndTest(ClusterTest):
    def test_all_ends_in_order_and_begins_again(self):
        # Saves when asked to, as a training does.
        script = "trap 'echo saved; exit 75' USR1; echo began $TANREN_RESUME; while :; do sleep 0.05; done"
        job = self.run_job("--", "/bin/bash", "-c", script)
        self.tanren.wait_for(job, "running")
        wait_until(lambda: "began" in self.tanren.run("logs", job).stdout, "it has begun")
        start = time.monotonic()
        self.up.send_signal(signal.SIGINT)
        self.assertEqual(self.up.wait(PATIENCE), 0)
        self.assertLess(time.monotonic() - start, 20)
        self.assertEqual(self.left(), [])
        ended = self.tanren.run("jobs")
        self.assertEqual(ended.returncode, 3, ended)
        self.assertIn("tanren up", ended.stderr)

        self.start_up()
        again = self.tanren.wait_for(job, "running")
        self.assertEqual(again["attempts"], 2)
        self.assertEqual(again["earlier_attempts"][0]["end"]["kind"], "saved", again)
        self.tanren.run("cancel", job)
        self.tanren.wait_for(job, "cancelled")

    def test_it_stays_up_in_the_background_until_down(self):
        self.end_up()
        started = self.tanren.run("up", "--detach", "--listen", "127.0.0.1:0")
        self.assertEqual(started.returncode, 0, started)
        self.assertIn("`tanren down` ends it", started.stdout)
        self.assertEqual(self.tanren.run("run", "--wait", "--", "/bin/true").returncode, 0)
        down = self.tanren.run("down")
        self.assertEqual(down.returncode, 0, down)
        self.assertEqual(self.left(), [])
        self.start_up()


if __name__ == "__main__":
    unittest.main()
