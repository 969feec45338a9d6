"""Every command and option of tanren, tanren-agent and tanren-coordinator that the pages show exists."""

import functools
import os
import pathlib
import re
import subprocess
import unittest

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
