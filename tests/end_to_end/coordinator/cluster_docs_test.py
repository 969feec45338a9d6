"""Every command and option of tanren, tanren-agent and tanren-coordinator that the pages show exists; the steps that
lead to several machines lead there; systemd understands the units."""

import functools
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import unittest

from cluster import Tanren, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TANREN = pathlib.Path(os.environ["TANREN"]).resolve()
BUILT = TANREN.parents[1]
PROGRAMS = {"tanren": TANREN, "tanren-agent": BUILT / "agent/tanren-agent",
            "tanren-coordinator": BUILT / "server/tanren-coordinator"}
# What `tanren` hands on to tanren-worker.
OF_THE_WORKER = ("train", "generate", "chat", "evaluate", "convert", "plan", "data", "report", "recipe", "doctor")


@functools.cache
def help_of(program, command):
    done = subprocess.run([PROGRAMS[program], *command, "--help"], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def subcommands_of(program, command):
    found = re.findall(r"Subcommands:\n((?:  .*\n)*)", help_of(program, command))
    return re.findall(r"^  ([a-z][a-z-]*)", found[0], re.M) if found else []


def blocks_of(section):
    """The indented blocks below a heading of docs/cluster.md, each a list of lines."""
    text = (ROOT / "docs/cluster.md").read_text()
    text = re.search(rf"(?ms)^#+ {re.escape(section)}\n(.*?)(?=^#)", text)[1].replace("\\\n", " ")
    return [re.sub("(?m)^    ", "", block).splitlines() for block in re.findall(r"(?:^    .*\n)+", text, re.M)]


class StepsTest(unittest.TestCase):
    """What docs/cluster.md says, done below a folder and on a port of its own."""

    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tanren-docs."))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        with socket.socket() as free:
            free.bind(("", 0))
            self.port = free.getsockname()[1]
        self.tanren = Tanren(self.home)
        self.running = []
        self.addCleanup(self.end_all)
        for folder in ("etc/tanren/alice", "var/lib/tanren", "var/backups/tanren"):
            (self.home / folder).mkdir(parents=True)

    def end_all(self):
        for process in reversed(self.running):
            process.terminate()
            process.wait()

    def here(self, text):
        text = re.sub(r"(?<![\w~.])/(etc|var)/", rf"{self.home}/\1/", text)
        return text.replace("head.example.org", "localhost").replace(":7411", f":{self.port}")

    def do(self, line):
        words = shlex.split(self.here(line), comments=True)
        words[0] = str(PROGRAMS[words[0]])
        if words[0] == str(TANREN):
            done = subprocess.run(words, env=self.tanren.environment, cwd=self.home, text=True, capture_output=True,
                                  check=False)
            self.assertEqual(done.returncode, 0, (line, done))
            return
        with open(self.home / "log", "a") as log:
            self.running.append(subprocess.Popen(words, env=self.tanren.environment, cwd=self.home, stdout=log,
                                                 stderr=log))

    def do_block(self, block):
        if block[0].startswith("# ~/.config/tanren/client.yaml"):
            file = self.home / ".config/tanren/client.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.here("\n".join(block)) + "\n")
            return
        for line in block:
            self.do(line)

    def log(self):
        return (self.home / "log").read_text()

    def nodes(self):
        return self.tanren.ask("nodes").get("nodes", [])

    def test_they_lead_to_a_cluster_with_mutual_tls_whose_certificates_are_renewed(self):
        state, etc = self.home / "var/lib/tanren/coordinator", self.home / "etc/tanren"
        coordinator, administrator, of_one_node, agent, token, person = blocks_of("Several machines, with mutual TLS")
        self.do_block(coordinator)
        wait_until(lambda: (state / "endpoint").exists() or self.running[0].poll() is not None, "it listens")
        self.assertIsNone(self.running[0].poll(), self.log())
        self.do_block(administrator)
        self.do_block(of_one_node)
        shutil.copy(state / "agent.token", etc / "agent.token")  # "copied there"
        self.do_block(agent)
        wait_until(lambda: [node["node"]["state"] for node in self.nodes()] == ["up"], "the machine has joined")
        self.do_block(token)
        for name in ("client.crt", "client.key"):
            shutil.copy(etc / "tls" / name, etc / "alice" / name)
        self.do_block(person)
        self.assertEqual(len(self.nodes()), 1)
        self.assertEqual(self.tanren.run("nodes").returncode, 0)
        self.assertEqual(self.tanren.run("admin", "token", "list").returncode, 4, "alice administrates")
        # A certificate that ends after a day is told of, and a new one taken.
        before = int(self.tanren.ask("status")["certificate_expires_ms"])
        (renew,), = blocks_of("Certificates that end")
        self.do(f"{renew} --days 20")
        wait_until(lambda: int(self.tanren.ask("status")["certificate_expires_ms"]) < before, "the new one is taken")
        self.assertIn("ends in 19 days", self.tanren.run("status").stdout)
        wait_until(lambda: re.search("coordinator.crt: ends in (19|20) days", self.log()), "it is warned of")
        self.assertEqual([node["node"]["state"] for node in self.nodes()], ["up"])
        self.do_block(administrator)
        backup, restore = blocks_of("Backup and restore")[0]
        self.do(backup)
        self.do(restore.replace("/var/lib/tanren/coordinator", "/var/lib/tanren/another"))


class UnitsTest(unittest.TestCase):
    def test_systemd_understands_them_and_programs_their_options(self):
        for unit in sorted((ROOT / "deploy/systemd").glob("*.service")):
            text = unit.read_text()
            program = re.search(r"ExecStart=/usr/local/bin/(\S+)", text)[1]
            lines = re.findall(r"(?:ExecStart=\S+|OPTIONS=)(.*)", text)
            self.assertEqual(len(lines), 2, "how it is started, and an example of options")
            for option in re.findall(r"(?<!\S)--[a-z-]+", " ".join(lines)):
                self.assertRegex(help_of(program, ()), rf"(?m)(^ +|,){option}\b")
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd-analyze isn't here")
        with tempfile.TemporaryDirectory() as folder:
            for unit in (ROOT / "deploy/systemd").glob("*.service"):
                text = re.sub(r"(?m)^(Exec\w+=)/usr/local/bin/\S+", r"\1/bin/true", unit.read_text())
                pathlib.Path(folder, unit.name).write_text(text)
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", *pathlib.Path(folder).glob("*.service")],
                                  capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class ClusterDocsTest(unittest.TestCase):
    def check(self, program, words):
        """How many options were looked up."""
        command = ()
        while words and words[0] in subcommands_of(program, command):
            command, words = (*command, words[0]), words[1:]
        if program == "tanren":
            self.assertTrue(command, f"{program} has no command {words[:1]}")
        helps = help_of(program, command) + help_of(program, ())
        options = re.findall(r"(?<!\S)(--?[a-zA-Z][a-z-]*)", " ".join(words).split(" -- ")[0])
        for option in options:
            self.assertRegex(helps, rf"(?m)(^ +|,){re.escape(option)}\b")
        return len(options)

    def test_every_command_and_option_exists(self):
        seen = 0
        for page in PAGES:
            # Lines that end in a backslash go on.
            text = page.read_text().replace("\\\n", " ")
            for program, rest in re.findall(r"(?m)(?:^ +|`)(tanren(?:-agent|-coordinator)?) ([^`\n]*)", text):
                words = re.split(r"[#|>;]", rest)[0].replace(",", " ").split()
                if not words or words[0] in OF_THE_WORKER:
                    continue
                with self.subTest(page=page.name, line=f"{program} {rest}"):
                    seen += self.check(program, words)
        self.assertGreater(seen, 25)


if __name__ == "__main__":
    unittest.main()
