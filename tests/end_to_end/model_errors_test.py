#!/usr/bin/env python3
"""A model, tokenizer, template or mask that can't be trained on is refused with one message: the file, the place,
what was found, what was expected, and what to do about it."""

import json
import shutil
import struct
import unittest

from worker_runs import WorkerTest, run_worker, write_rows

CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ok"}]


class ModelErrorsTest(WorkerTest):
    STEPS = 1

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.good = cls("train").train("base") / "model"
        data = (cls.good / "model.safetensors").read_bytes()
        size = int.from_bytes(data[:8], "little")
        cls.header, cls.data = json.loads(data[8:8 + size]), data[8 + size:]
        cls.names = sorted((name for name in cls.header if name != "__metadata__"),
                           key=lambda name: cls.header[name]["data_offsets"])

    def damaged(self):
        folder = self.folder / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.good, folder)
        return folder

    def with_header(self, **changes):
        """A copy of the model whose first tensors' entries have these changes: `first`, `second`."""
        header = json.loads(json.dumps(self.header))
        for name, change in zip(self.names, (changes.get("first", {}), changes.get("second", {}))):
            header[name].update(change)
        folder = self.damaged()
        text = json.dumps(header).encode()
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + self.data)
        return folder

    def refuse(self, path, *expected, on=(None,), **changes):
        recipe = self.write_recipe("refused", **changes)
        recipe.write_text(json.dumps({**json.loads(recipe.read_text()), "model": {"path": str(path)}}))
        self.assert_refused(recipe, *expected, on=on)

    def test_safetensors_that_are_broken_say_how(self):
        folder = self.damaged()
        file = folder / "model.safetensors"
        whole = file.read_bytes()
        for content, expected in [
            (whole[:-100], f"take {len(self.data)} bytes behind the header, but {len(self.data) - 100} are there: the file "
                           "is cut off; copy or download it again"),
            (whole[:100], "92 are left, and 100000000 are allowed: the file is cut off, or no safetensors"),
            (struct.pack("<Q", 1 << 60) + whole[8:], "the header takes 1152921504606846976 bytes"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        ]:
            with self.subTest(expected):
                file.write_bytes(content)
                self.refuse(folder, str(file), expected)
        first, second = self.names[:2]
        begin, end = self.header[second]["data_offsets"]
        self.refuse(self.with_header(second={"data_offsets": [begin - 8, end - 8]}),
                    str(file), f"{first} and {second} overlap: ")
        self.refuse(self.with_header(first={"dtype": "F8_E4M3"}), f'{file}: {first}: dtype: found "F8_E4M3", expected F64')
        self.refuse(self.with_header(first={"dtype": "I32"}), f"{file}: {first}: found I32 ", "expected [259, 24] of a float type",
                    on=(None, 2))

    def test_an_index_names_files_beside_it_and_no_others(self):
        for name, expected in [
            ("../base/model.safetensors", 'found "../base/model.safetensors", expected the name of a file beside the index'),
            ("/etc/passwd", 'found "/etc/passwd"'),
            ("absent.safetensors", "absent.safetensors: can't open: No such file"),
        ]:
            with self.subTest(name):
                folder = self.damaged()
                (folder / "model.safetensors").unlink()
                index = folder / "model.safetensors.index.json"
                index.write_text(json.dumps({"weight_map": {tensor: name for tensor in self.names}}))
                self.refuse(folder, str(index), expected)

    def test_pickles_are_refused_with_the_command_that_converts_them(self):
        folder = self.damaged()
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        command = f"M.from_pretrained('{folder}').save_pretrained('{folder}')"
        self.refuse(folder, f"{folder}/pytorch_model.bin: found a pickle file", "run any program", command, on=(None, 2))
        self.refuse(folder / "pytorch_model.bin", f"{folder}/pytorch_model.bin: found a pickle file", command)

    def test_ggufs_that_are_broken_say_how(self):
        good = self.folder / "good.gguf"
        self.assertEqual(run_worker("convert", self.good, good, "--dtype", "fp32").code, 0)
        whole = good.read_bytes()
        entry = whole.rfind(b"blk.1.ffn_up.weight") + len(b"blk.1.ffn_up.weight") + 4 + 16  # its type, its offset
        offset = struct.unpack("<Q", whole[entry + 4:entry + 12])[0]
        for content, expected in [
            (whole[:-3000], "bytes of data; where the file is cut off, copy or download it again"),
            (whole[:8] + struct.pack("<Q", 1 << 60) + whole[16:], "tensors: 1152921504606846976 are announced, but"),
            (whole[:entry] + struct.pack("<I", 14) + whole[entry + 4:], "blk.1.ffn_up.weight: found type 14 (Q6_K), expected"),
            (whole[:entry] + struct.pack("<I", 26) + whole[entry + 4:], "found I32 [40, 24], expected [40, 24] of a float type"),
            (whole[:entry + 4] + struct.pack("<Q", offset - 32) + whole[entry + 12:], "blk.1.ffn_gate.weight and blk.1.ffn_up.weight overlap"),
            (b"PK\3\4 and more", "found a pickle file"),
        ]:
            with self.subTest(expected):
                file = self.folder / "broken.gguf"
                file.write_bytes(content)
                self.refuse(file, f"{file}: ", expected)

    def test_a_tokenizer_with_more_tokens_than_the_model_is_named(self):
        folder = self.damaged()
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": 700, "content": "<extra>"})
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        self.refuse(folder, f"{folder}: the tokenizer has ids up to 700, the model a vocabulary of 259", on=(None, 2))

    def chat(self, conversation, template=None, **changes):
        rows = self.folder / "chat.jsonl"
        write_rows(rows, [{"messages": conversation}] * 8)
        model = {}
        if template is not None:
            (self.folder / "own.jinja").write_text(template)
            model = {"model": {"chat_template": str(self.folder / "own.jinja")}}
        # Each row is read before training where it lasts for epochs.
        return rows, self.write_recipe("chat", data={"sources": [{"path": str(rows)}], **changes},
                                       training={"steps": 0, "epochs": 1}, **model)

    def test_a_template_that_raises_is_named_with_the_row_and_its_line(self):
        rows, recipe = self.chat(CHAT, "\n{{ raise_exception('roles must alternate') }}")
        self.assert_refused(recipe, f"{rows}:1: chat template: line 2: the template refuses this conversation: "
                                    "roles must alternate")
        _, recipe = self.chat(CHAT, "{% for message in messages %}{{ message.content }}")
        self.assert_refused(recipe, f"{self.folder}/own.jinja: chat template: line 1: the template ends where 'endfor' is "
                                    "expected")

    def test_a_conversation_of_no_targets_or_of_nothing_else_is_named(self):
        rows, recipe = self.chat(CHAT[:1])
        self.assert_refused(recipe, f"{rows}:1: nothing to train on: none of its", "no message of the assistant")
        rows, recipe = self.chat(CHAT[1:], "{% for message in messages %}{{ message.content }}{% endfor %}")
        self.assert_refused(recipe, f"{rows}:1: each of its 2 tokens is a target", "data.loss_on: all")
        _, recipe = self.chat(CHAT[1:], "{% for message in messages %}{{ message.content }}{% endfor %}", loss_on="all")
        self.assert_finished(run_worker("train", recipe, "--run", self.folder / "runs" / "all"))

    def test_questions_that_are_wrong_are_named_before_training(self):
        wrong, empty = self.folder / "wrong.jsonl", self.folder / "empty.jsonl"
        wrong.write_text('{"prompt": "1+1", "choices": ["2", "3"], "answer": 0}\n{"prompt": "1+1", "choices": ["2"]}\n')
        empty.write_text("")
        for key in ("questions", "choices"):
            with self.subTest(key):
                self.assert_refused(self.write_recipe("asks", evaluation={key: str(self.folder / "no.jsonl")}),
                                    f"{self.folder}/no.jsonl: can't open: No such file or directory", on=(None,))
                self.assert_refused(self.write_recipe("asks", evaluation={key: str(empty)}),
                                    f"{empty}: there are no questions", on=(None,))
                self.assert_refused(self.write_recipe("asks", evaluation={key: str(wrong)}), f"{wrong}:", on=(None, 2))
        self.assert_refused(self.write_recipe("asks", evaluation={"choices": str(wrong)}), f"{wrong}:2: ", on=(None,))


if __name__ == "__main__":
    unittest.main(verbosity=2)
