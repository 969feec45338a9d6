#!/usr/bin/env python3
"""Checks that llama.cpp loads what `tanren-worker convert` writes, and computes the same with it.

usage: tests/golden/gguf_peer.py MODEL [--worker build/release/trainer/tanren-worker] [--keep FOLDER]
                                       [--converted FOLDER]

MODEL is anything that `convert` takes. Peers: llama-cpp-python 0.3.36 (llama.cpp with it), gguf 0.19.0, numpy 2.4.6.
Nothing is written into the tree. What must hold, else it fails:
  all types   load, with the same ids for texts, and the chat template renders to the same text and ids
  F32         log-probabilities of a text within 1e-3 nats of ours, and the same greedy answers (llama.cpp with an
              fp32 key-value cache; ours in fp32)
  F16, BF16, Q8_0   the divergence KL(F32 || type) of the next-token distribution, in nats, stays below LIMITS
  --converted   all the metadata, but for IGNORED, and the bytes of all tensors that FOLDER/{f32,f16,bf16,q8_0}.gguf has,
              which llama.cpp's own converter made of the same model:
                  tanren-worker convert MODEL DIRECTORY --dtype fp32
                  convert_hf_to_gguf.py DIRECTORY --outtype f32 --outfile FOLDER/f32.gguf    (and so on)
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import llama_cpp
import numpy
from llama_cpp import Llama
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

TYPES = {"fp32": "F32", "fp16": "F16", "bf16": "BF16", "q8_0": "Q8_0"}
LIMITS = {"fp16": 1e-4, "bf16": 2e-3, "q8_0": 2e-2}  # of the mean over positions
IGNORED = {"general.name", "general.size_label", "GGUF.kv_count"}  # the converter makes them of the folder's name
GGML_F32 = 0

PROMPTS = [
    "The capital of France is",
    "Once upon a time, there was a little",
    "def fibonacci(n):\n    ",
    "1, 2, 3, 4, 5,",
    "<|im_start|>user\nWhy is the sky blue?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nWrite a short poem about rain.<|im_end|>\n<|im_start|>assistant\n",
]
TEXTS = [
    "Hello, world! It's 2024-05-17, 12:30.", "  two  spaces\n\n\tand tabs ", "日本語のテキストと絵文字 🎉👩‍👩‍👧",
    "for (int i = 0; i < 10; ++i) { sum += a[i]; }", "Größe, naïve, café, Ångström", "مرحبا بالعالم 123٤٥٦",
    "<|im_start|>user\nhi<|im_end|>", "I'll we've THEY'RE don't 's", "1000000 3.14159 0xFF",
]
TEXT = """The history of the bicycle begins in the early nineteenth century. In 1817 a German baron, Karl von Drais,
built a two-wheeled machine that its rider pushed along with his feet. It had a wooden frame, iron tyres and no
pedals, and it could be steered. For some years it was a fashion in Paris and London, where people called it the
hobby horse. Pedals came in the 1860s, when French makers fixed cranks to the front wheel. The higher the wheel, the
farther one turn of the pedals went, and so front wheels grew until riders sat a metre and a half above the road. A
chain that drove the rear wheel made an end of this: the safety bicycle of 1885 had two wheels of the same size, and
within ten years nearly everything about it was as it is today. Water boils at 100 degrees Celsius at sea level; on a
mountain of 3,000 metres it boils at about 90. To make a pot of tea, first warm the pot, then put in one spoon of
leaves for each person and one for the pot. Pour the water on as soon as it boils, and wait for four minutes."""
MESSAGES = [{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": "4."},
            {"role": "user", "content": "And 3 + 3?"}]


def filter_lines(worker, command, model, requests, *options):
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    result = subprocess.run([worker, command, "--model", model, *options], input=lines, text=True, check=True,
                            stdout=subprocess.PIPE, encoding="utf-8")
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(answers) == len(requests), result.stdout
    return answers


def load(path):
    return Llama(str(path), n_ctx=1024, logits_all=True, type_k=GGML_F32, type_v=GGML_F32, n_threads=2,
                 n_threads_batch=2, verbose=False)


def log_softmax(logits):
    logits = logits.astype(numpy.float64)
    logits -= logits.max(axis=-1, keepdims=True)
    return logits - numpy.log(numpy.exp(logits).sum(axis=-1, keepdims=True))


def distributions(llama, ids):
    llama.reset()
    llama.eval(ids)
    return log_softmax(llama.scores[:len(ids)])


def greedy(llama, ids, count, ends):
    """The answer, and the smallest gap in logits between the first and the second choice on the way."""
    llama.reset()
    llama.eval(ids)
    answer, gap = [], float("inf")
    while True:
        logits = llama.scores[llama.n_tokens - 1]
        second, first = numpy.sort(logits)[-2:]
        gap = min(gap, float(first - second))
        answer.append(int(logits.argmax()))
        if len(answer) == count or answer[-1] in ends:
            return answer, gap
        llama.eval([answer[-1]])


def check_text(llama, worker, path):
    ours = filter_lines(worker, "tokenize", path, [{"text": text} for text in TEXTS])
    for text, answer in zip(TEXTS, ours):
        theirs = llama.tokenize(text.encode(), add_bos=True, special=True)  # where the file says so
        assert theirs == answer["ids"], (text, theirs, answer)
    template = llama.metadata.get("tokenizer.chat_template")
    if not template:
        return

    def special(role):
        id = llama.metadata.get(f"tokenizer.ggml.{role}_token_id")
        return "" if id is None else llama._model.token_get_text(int(id))

    formatter = Jinja2ChatFormatter(template, eos_token=special("eos"), bos_token=special("bos"))
    theirs = formatter(messages=MESSAGES).prompt
    [ours] = filter_lines(worker, "render", path, [{"messages": MESSAGES, "add_generation_prompt": True}])
    assert ours["text"] == theirs, (ours["text"], theirs)
    assert ours["ids"] == llama.tokenize(theirs.encode(), add_bos=False, special=True)


def check_converted(path, converted):
    ours, theirs = gguf.GGUFReader(path), gguf.GGUFReader(converted)
    fields = [{key: (field.types, field.contents()) for key, field in reader.fields.items() if key not in IGNORED}
              for reader in (ours, theirs)]
    differences = [key for key, value in fields[1].items() if fields[0].get(key) != value]
    assert not differences, differences
    tensors = [{tensor.name: tensor for tensor in reader.tensors} for reader in (ours, theirs)]
    assert tensors[0].keys() == tensors[1].keys()
    for name, tensor in tensors[0].items():
        same = tensors[1][name]
        assert tensor.tensor_type == same.tensor_type and list(tensor.shape) == list(same.shape), name
        if name == "rope_freqs.weight":  # the converter works them out in fp32
            assert numpy.allclose(tensor.data, same.data, rtol=1e-5, atol=0), name
        else:
            assert tensor.data.tobytes() == same.data.tobytes(), name
    more = sorted(fields[0].keys() - fields[1].keys())
    print(f"{converted.name}: {len(fields[1])} values of metadata and {len(tensors[1])} tensors are the converter's; "
          f"ours alone: {more or 'none'}")


def check_f32(llama, worker, path, ids, count):
    [ours] = filter_lines(worker, "score", path, [{"ids": ids}], "--dtype", "fp32")
    theirs = distributions(llama, ids)[numpy.arange(len(ids) - 1), ids[1:]]
    difference = numpy.abs(theirs - numpy.array(ours["logprobs"])).max()
    print(f"F32: log-probabilities of {len(ids)} tokens differ from ours by at most {difference:.1e} nats")
    assert difference < 1e-3

    ends = {int(value) for key, value in llama.metadata.items() if key.endswith(("eos_token_id", "eot_token_id"))}
    answers = filter_lines(worker, "generate", path, [{"prompt": prompt} for prompt in PROMPTS], "--dtype", "fp32",
                           "--max-new-tokens", str(count))
    tokens, smallest = 0, float("inf")
    for prompt, answer in zip(PROMPTS, answers):
        theirs, gap = greedy(llama, llama.tokenize(prompt.encode(), add_bos=True, special=True), count, ends)
        assert theirs == answer["ids"], (prompt, theirs, answer["ids"])
        tokens, smallest = tokens + len(theirs), min(smallest, gap)
    print(f"F32: {len(PROMPTS)} greedy answers of {tokens} tokens together are the same "
          f"(smallest gap between two choices: {smallest:.1e})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--worker", default="build/release/trainer/tanren-worker")
    parser.add_argument("--keep", type=pathlib.Path, help="leave the files in this folder")
    parser.add_argument("--converted", type=pathlib.Path, help="what llama.cpp's converter made of the same model")
    parser.add_argument("--tokens", type=int, default=96, help="of an answer")
    arguments = parser.parse_args()
    print(f"llama-cpp-python {llama_cpp.__version__}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        reference = None
        for dtype, name in TYPES.items():
            path = folder / f"model-{dtype}.gguf"
            subprocess.run([arguments.worker, "convert", arguments.model, path, "--dtype", dtype], check=True,
                           stdout=subprocess.DEVNULL)
            if arguments.converted:
                check_converted(path, arguments.converted / f"{name.lower()}.gguf")
            llama = load(path)
            check_text(llama, arguments.worker, path)
            ids = llama.tokenize(TEXT.encode(), add_bos=False, special=True)
            logprobs = distributions(llama, ids)
            if reference is None:
                check_f32(llama, arguments.worker, path, ids, arguments.tokens)
                reference = logprobs
            divergence = (numpy.exp(reference) * (reference - logprobs)).sum(axis=-1)
            same = (reference.argmax(axis=-1) == logprobs.argmax(axis=-1)).mean()
            print(f"{name}: {path.stat().st_size / 1e6:.0f} MB; KL(F32 || {name}) over {len(ids)} positions: "
                  f"mean {divergence.mean():.2e}, largest {divergence.max():.2e} nats; "
                  f"the same first choice at {100 * same:.1f} %")
            assert divergence.mean() <= LIMITS.get(dtype, 0), name
            llama.close()


if __name__ == "__main__":
    sys.exit(main())
