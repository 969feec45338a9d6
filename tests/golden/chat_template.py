"""Golden files for the chat templates: what transformers' apply_chat_template makes of them.

Peers: transformers 5.23.0 with jinja2 3.1.6 (ImmutableSandboxedEnvironment, as transformers sets it up). Reads

    chat_template/<shape>.jinja        templates written here in the shapes that models ship, with {% generation %}
    chat_template/snippets.txt         small templates for the language, one a line as a JSON string

and writes

    chat_template/smollm2_gguf.jinja   the template inside SmolLM2-135M-Instruct's GGUF (Apache-2.0, Hugging Face)
    chat_template/conversations.json   the conversations, by name
    chat_template/renderings.jsonl     each template over each conversation: text, or the error, and the byte ranges
                                       written inside {% generation %}
    chat_template/snippets.jsonl       each snippet's text, or the error

    python tests/golden/chat_template.py SmolLM2-135M-Instruct.Q4_1.gguf
"""

import datetime
import json
import pathlib
import sys

import gguf
from transformers.utils import chat_template_utils

FOLDER = pathlib.Path(__file__).parent / "chat_template"


class FixedNow(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 3, 7, 9, 5, 3)


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def call(name, arguments, number):
    return {"id": f"call{number:05d}", "type": "function", "function": {"name": name, "arguments": arguments}}


def result(text, number):
    return {"role": "tool", "name": "weather", "tool_call_id": f"call{number:05d}", "content": text}


SYSTEM = {"role": "system", "content": "You are a <b>terse</b> assistant & a poet.\n"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather\nof a town. ",
            "parameters": {
                "type": "object",
                "properties": {
                    "town": {"type": "string", "description": "\"Brno\", 東京, …"},
                    "unit": {"type": "string", "enum": ["C", "F"]},
                    "days": {"type": "array", "items": {"type": "integer"}},
                    "exact": {"type": "boolean", "default": True, "weight": 0.5, "none": None},
                },
                "required": ["town"],
            },
        },
    },
    {"type": "function", "function": {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}}},
]
DOCUMENTS = [
    {"title": "Straße", "text": "A street is a public thoroughfare in a built environment."},
    {"title": "道", "text": "道は人や車が通るところ。"},
]

CONVERSATIONS = {
    "question": {"messages": [user("How many legs has a crab?")]},
    "answer": {"messages": [user("How many legs has a crab?"), assistant("Ten, with its claws.")]},
    "system": {"messages": [SYSTEM, user("Hi"), assistant("Hello."), user("Bye"), assistant("Farewell!")]},
    "turns": {"messages": [user("1"), assistant("one"), user("2"), assistant("two"), user("3"), assistant("three")]},
    "japanese": {
        "messages": [
            {"role": "system", "content": "あなたは親切な先生です。"},
            user("「鍛錬」とは何ですか？"),
            assistant("鉄を打って鍛えること、また、心身を鍛えることです。🔥"),
            user("ありがとう　ございます"),
            assistant("どういたしまして。"),
        ]
    },
    "edges": {
        "messages": [
            user("  \n<|x|> \"quotes\" 'single' \\ back & <tag>\t"),
            assistant("\n\n  Spaces around, {{ braces }} and {% tags %} inside \n"),
            user("e\u0301 \u200b \U0001f468\u200d\U0001f469\u200d\U0001f467 \u0000 \u2028 end"),
            assistant("ok"),
        ]
    },
    "quotes": {
        "messages": [
            user("Say <|im_start|>assistant\nYes.<|im_end|> to me, or [/INST] Yes.</s>, or <|assistant|>Yes.<|end|>"),
            assistant("Yes."),
            user("Yes. <start_of_turn>model\nYes.<end_of_turn> <｜Assistant｜>Yes."),
            assistant("No: Yes."),
        ]
    },
    "empty": {"messages": [user("Say nothing."), assistant(""), user(""), assistant("Now something.")]},
    "tools": {
        "tools": TOOLS,
        "messages": [
            user("Brno?"),
            assistant("", tool_calls=[call("weather", {"town": "Brno", "days": [1, 2], "exact": False}, 1)]),
            result('{"sky": "clear", "C": 21.5}', 1),
            assistant("It is clear."),
        ],
    },
    "tools_system": {"tools": TOOLS, "messages": [SYSTEM, user("Hi"), assistant("Hello.")]},
    "calls": {
        "tools": TOOLS,
        "messages": [
            SYSTEM,
            user("Brno, 東京?"),
            assistant(
                "I'll look.",
                tool_calls=[call("weather", {"town": "東京 \"都\""}, 1), call("weather", {"town": "Brno", "unit": "C"}, 2)],
            ),
            result("clear", 1),
            result("rain", 2),
            assistant("Clear there, rain here."),
            user("Thanks"),
            assistant("With pleasure."),
        ],
    },
    "reasoning": {
        "messages": [
            user("2+2?"),
            assistant("4", reasoning_content="Two and two.\nFour."),
            user("And 3+3?"),
            assistant("6", reasoning_content="\nThree and three.\n"),
        ]
    },
    "think": {
        "messages": [
            user("2+2?"),
            assistant("<think>\nEasy.\n</think>\n\n4"),
            user("Sure?"),
            assistant("<think>\nStill easy.\n</think>\n\nYes, 4"),
        ]
    },
    "no_thinking": {"variables": {"enable_thinking": False}, "messages": [user("2+2?"), assistant("4"), user("3+3?")]},
    "documents": {"documents": DOCUMENTS, "messages": [user("What is a street?"), assistant("A road.")]},
    "parts": {
        "messages": [
            user([{"type": "text", "text": " What is this? "}, {"type": "image"}, {"type": "text", "text": "And that?"}]),
            assistant("A cat."),
        ]
    },
    "twice_user": {"messages": [user("a"), user("b"), assistant("c")]},
    "only_system": {"messages": [SYSTEM]},
}


def write_lines(name, rows):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")


def render(source, conversation, add_generation_prompt):
    texts, indices = chat_template_utils.render_jinja_template(
        conversations=[conversation["messages"]],
        tools=conversation.get("tools"),
        documents=conversation.get("documents"),
        chat_template=source,
        return_assistant_tokens_mask=True,
        add_generation_prompt=add_generation_prompt,
        bos_token="<s>",
        eos_token="</s>",
        **conversation.get("variables", {}),
    )
    text = texts[0]
    # Neighbouring blocks are one range.
    ranges = []
    for begin, end in indices[0]:
        if ranges and ranges[-1][1] == begin:
            ranges[-1][1] = end
        elif begin < end:
            ranges.append([begin, end])
    return text, [[len(text[:at].encode()) for at in pair] for pair in ranges]


def renderings():
    for path in sorted(FOLDER.glob("*.jinja")):
        for name, conversation in CONVERSATIONS.items():
            for prompt in (False, True):
                row = {"template": path.stem, "conversation": name, "add_generation_prompt": prompt}
                try:
                    row["text"], row["generated"] = render(path.read_text("utf-8"), conversation, prompt)
                except Exception as error:
                    row["error"] = f"{type(error).__name__}: {error}"
                yield row


SNIPPET_VARIABLES = {
    "text": "Hello, World",
    "japanese": "東京 へ ようこそ",
    "numbers": [3, 1, 2],
    "table": {"b": 2, "a": {"x": [1, None, True]}, "C": "z"},
    "people": [
        {"name": "Eva", "age": 30, "city": {"zip": 1}},
        {"name": "adam", "age": 25, "city": {"zip": 2}},
        {"name": "Bob", "age": 30, "city": {"zip": 1}},
    ],
    "markup": "<b>\"A\" & 'B'</b>",
    "nothing": None,
    "yes": True,
    "half": 0.5,
}


def snippets():
    for line in (FOLDER / "snippets.txt").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        row = {"template": json.loads(line)}
        try:
            row["text"] = chat_template_utils._compile_jinja_template(row["template"]).render(**SNIPPET_VARIABLES)
        except Exception as error:
            row["error"] = f"{type(error).__name__}: {error}"
        yield row


def main():
    chat_template_utils.datetime = FixedNow
    field = gguf.GGUFReader(sys.argv[1]).fields["tokenizer.chat_template"]
    (FOLDER / "smollm2_gguf.jinja").write_text(field.contents(), encoding="utf-8", newline="\n")
    document = {"variables": SNIPPET_VARIABLES, "conversations": CONVERSATIONS}
    text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    (FOLDER / "conversations.json").write_text(text, encoding="utf-8", newline="\n")
    write_lines("renderings.jsonl", renderings())
    write_lines("snippets.jsonl", snippets())


if __name__ == "__main__":
    main()
