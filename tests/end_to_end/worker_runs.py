"""Runs of the real worker on a tiny model: makes the model, data and recipes, starts the worker alone or
under mpirun, and reads what a run leaves behind.

TANREN_WORKER in the environment is the worker. The model has 15,000 parameters, in dimensions that no number
of ranks divides, and a tokenizer of bytes: a text has as many tokens as bytes.
"""

import dataclasses
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

WORKER = os.environ.get("TANREN_WORKER", "")
# Ranks that wait yield: else they burn the time of those they wait for where the machine has other work.
MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]
SAVED = 75  # the exit code that means "resume me"
PATIENCE = 120  # seconds that nothing takes, however loaded the machine is
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
WORDS = "the sea is wide and a boat is small so we go slow to see what it may hold".split()


# ---- The tiny model -----------------------------------------------------------------------------


def byte_letters():
    """What stands for each byte in a byte-level vocabulary: GPT-2's bytes_to_unicode."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    letters.update({byte: chr(256 + i) for i, byte in enumerate(others)})
    return [letters[byte] for byte in range(256)]


def tokenizer_json():
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    special = [
        {"id": 256 + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for i, text in enumerate((END_OF_TEXT, TURN_START, TURN_END))
    ]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {letter: byte for byte, letter in enumerate(byte_letters())}, "merges": []},
    }


CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "mlp_bias": False,
    "bos_token_id": 256, "eos_token_id": 256, "pad_token_id": 256, "hidden_act": "silu", "hidden_size": 24,
    "initializer_range": 0.05, "intermediate_size": 40, "max_position_embeddings": 256,
    "num_attention_heads": 3, "num_hidden_layers": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0, "tie_word_embeddings": True, "vocab_size": 259,
}

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
    "'<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def make_model(folder):
    """A folder with config.json, tokenizer.json and chat_template.jinja; no weights."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json(), ensure_ascii=False))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)


# ---- Data and recipes ---------------------------------------------------------------------------


def text_of_length(length, draw):
    text = ""
    while len(text) < length:
        text += draw.choice(WORDS) + " "
    return text[:length]


def row_of_length(length, draw):
    """A document of exactly `length` tokens; what is trained on is a part of it that differs."""
    if length < 4 or draw.random() < 0.3:
        return {"text": text_of_length(length, draw)}
    prompt = draw.randrange(1, length - 1)
    return {"prompt": text_of_length(prompt, draw), "completion": text_of_length(length - prompt, draw)}


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def recipe_with(base, changes):
    """`changes` has sections of settings, or settings outside of any section."""
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


# ---- The worker's processes ---------------------------------------------------------------------


@dataclasses.dataclass
class Outcome:
    code: int
    out: str
    err: str

    def messages(self):
        """What the worker itself has to say in its error output, without mpirun's lines."""
        prefixes = ("tanren: ", "tanren-worker: ")
        return [line for line in self.err.splitlines() if line.startswith(prefixes)]

    def __str__(self):
        return f"exit code {self.code}\n--- output\n{self.out}\n--- error output\n{self.err}"


def pids_of(folder):
    """Processes, mpirun included, whose command line names the folder, with the rank of each (or None)."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            if os.fsencode(str(folder)) not in command:
                continue
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # it is gone
            continue
        ranks = [one.partition(b"=")[2] for one in environment if one.startswith(b"OMPI_COMM_WORLD_RANK=")]
        found[int(entry.name)] = int(ranks[0]) if ranks else None
    return found


def kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def wait_until(condition, what, seconds=PATIENCE, every=0.005):
    """Returns the first true result of `condition`, which is tried again after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every)


class WorkerProcess:
    """The worker with some arguments: alone, or `ranks` of it under mpirun."""

    def __init__(self, *arguments, ranks=None, environment=None, stdin="", cwd=None):
        launcher = [] if ranks is None else [*MPIRUN, "-n", str(ranks)]
        command = [*launcher, WORKER, *[str(argument) for argument in arguments]]
        self._files = [tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") for _ in range(3)]
        self._files[0].write(stdin)
        self._files[0].seek(0)
        self.process = subprocess.Popen(
            command, stdin=self._files[0], stdout=self._files[1], stderr=self._files[2], cwd=cwd,
            env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def outcome(self, seconds=PATIENCE):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            code = self.process.wait()
            raise AssertionError(f"still running after {seconds} s: {self._said(code)}") from None
        return self._said(code)

    def _said(self, code):
        texts = []
        for file in self._files:
            with file:
                file.seek(0)
                texts.append(file.read())
        return Outcome(code, *texts[1:])


def run_worker(*arguments, **options):
    return WorkerProcess(*arguments, **options).outcome()


# ---- What a run leaves --------------------------------------------------------------------------


def metrics_of(run):
    """The whole lines of metrics.jsonl, in order."""
    path = run / "metrics.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def steps_of(run):
    """The lines of training steps (an evaluation before the first one has no loss)."""
    return [line for line in metrics_of(run) if "loss" in line]


def column(run, name):
    return [line[name] for line in steps_of(run)]


# Of proto/event.proto.
SEQUENCE, LAUNCH, RUN_STARTED, RUN_ENDED = 1, 3, 10, 14


def messages_in(data):
    """The length-delimited records of `data` as bytes, and how many bytes are no whole record."""
    records, at = [], 0
    while at < len(data):
        size, shift, begin = 0, 0, at
        while begin < len(data):
            byte = data[begin]
            begin += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        else:
            break
        if begin + size > len(data):
            break
        records.append(data[begin:begin + size])
        at = begin + size
    return records, len(data) - at


def fields_of(message):
    """The top-level fields of a protocol buffer: number -> value (an integer, or bytes)."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < len(message):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            fields[number] = varint()
            continue
        size = varint() if kind == 2 else {1: 8, 5: 4}[kind]
        fields[number] = message[at:at + size]
        at += size
    return fields


def events_of(data):
    records, rest = messages_in(data)
    assert rest == 0, f"{rest} bytes are no whole record"
    return [fields_of(record) for record in records]


class WorkerTest(unittest.TestCase):
    """A folder with the tiny model and some data, and short ways to train on them."""

    # Of a training that takes no time; a run's folder is made for each test.
    STEPS = 20
    ROW_LENGTH = 48  # tokens

    @classmethod
    def setUpClass(cls):
        if not WORKER:
            raise RuntimeError("TANREN_WORKER must name the worker to test")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="tanren-runs."))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        make_model(cls.folder / "model")
        draw = random.Random(1)
        lengths = [draw.randrange(5, cls.ROW_LENGTH + 1) for _ in range(120)]
        write_rows(cls.folder / "rows.jsonl", [row_of_length(length, draw) for length in lengths])

    def setUp(self):
        self.addCleanup(self.end_what_is_left)

    def end_what_is_left(self):
        """A failed test leaves no process behind for the next one."""
        for pid in pids_of(self.folder):
            kill(pid, signal.SIGKILL)

    def base_recipe(self):
        model = self.folder / "model"
        return {
            "name": "tiny",
            "model": {"config": str(model / "config.json"), "tokenizer": str(model / "tokenizer.json"),
                      "chat_template": str(model / "chat_template.jinja")},
            "data": {"sources": [{"path": str(self.folder / "rows.jsonl")}],
                     "sequence_length": self.ROW_LENGTH, "append_eos": False},
            "training": {"steps": self.STEPS, "batch_rows": 8, "micro_batch_rows": 2, "seed": 7,
                         "precision": "fp32", "threads": 1},
            "checkpoint": {"export_type": "fp32"},
        }

    def write_recipe(self, file_name, **changes):
        path = self.folder / f"{file_name}.yaml"
        # JSON is YAML.
        path.write_text(json.dumps(recipe_with(self.base_recipe(), changes), indent=1))
        return path

    def train(self, name, *arguments, ranks=None, **changes):
        """Trains to the end in the folder `name`, which is returned."""
        run = self.folder / "runs" / name
        recipe = self.write_recipe(name, **changes)
        self.assert_finished(run_worker("train", recipe, "--run", run, *arguments, ranks=ranks))
        return run

    def assert_finished(self, outcome):
        self.assertEqual(outcome.code, 0, str(outcome))
        self.assertEqual(outcome.messages(), [], str(outcome))

    def assert_refused(self, recipe, *expected, run="refused", arguments=(), on=(None, 2)):
        """On one rank and on two: one message, which holds all that is expected; no step was done."""
        run = self.folder / "runs" / run
        for ranks in on:
            with self.subTest(ranks=ranks):
                outcome = run_worker("train", recipe, "--run", run, *arguments, ranks=ranks)
                self.assertNotEqual(outcome.code, 0)
                self.assertEqual(len(outcome.messages()), 1, str(outcome))
                for text in expected:
                    self.assertIn(text, outcome.messages()[0])
                self.assertNotIn("\tat ", outcome.err)  # no trace of the inside
                self.assertEqual(outcome.err.count(expected[0]), 1, str(outcome))
                if ranks is None:  # no other rank, and no collective, belongs to the reason
                    self.assertRegex(outcome.messages()[0], f"^tanren(-worker)?: [^ ]*{re.escape(expected[0])}")
                for name in ("recipe.yaml", "metrics.jsonl", "checkpoints", "model"):
                    self.assertFalse((run / name).exists(), name)
        return run

    def assert_close(self, found, expected, tolerance, what):
        self.assertEqual(len(found), len(expected), what)
        for i, (a, b) in enumerate(zip(found, expected)):
            self.assertLessEqual(abs(a - b), tolerance * abs(b), f"{what}, step {i + 1}: {a} and {b}")
