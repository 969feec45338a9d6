"""Golden files for the tokens and loss masks of conversations.

Peer: transformers 5.23.0 with tokenizers 0.23.3, on the small tokenizers that tokenizer.py writes. A line holds
"messages", the "ids" of apply_chat_template, and the "mask" of assistant tokens, which transformers takes from
{% generation %} blocks: ChatML with such blocks around what the assistant writes and its end token. The tests render
plain ChatML, without the blocks.

No answer here begins with white space, where transformers counts a token that reaches over the beginning of the answer
as the assistant's, and Tanren doesn't.

    python tests/golden/chat_tokens.py
"""

import json
import pathlib
import random

import tokenizers
import transformers

GOLDEN = pathlib.Path(__file__).parent
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
)
USERS = ["What is 17 + 25?", "\n\nHello there  ", "日本の首都はどこですか。", "Write a loop:\n\n```c\n", "👍🏽?", "", " x",
         "It's 3.14, isn't it? DON'T.", "tab\there\r\nand there\n"]
ANSWERS = ["42", "Hi!\n\nHow can I help?\n", "東京です。", "for (int i = 0; i < n; ++i) {\n    sum += x[i];\n}\n```", "👨‍👩‍👧‍👦",
           "No: 3.14159…\n", "a", "é́ naïve café  "]


def conversations(count):
    random.seed(11)
    for _ in range(count):
        messages = []
        if random.random() < 0.4:
            messages.append({"role": "system", "content": random.choice(["You are brief.", "簡潔に答えて。", "\n"])})
        for _ in range(random.randint(1, 4)):
            messages.append({"role": "user", "content": random.choice(USERS)})
            messages.append({"role": "assistant", "content": random.choice(ANSWERS)})
        yield messages


def main():
    assert transformers.__version__ == "5.23.0", transformers.__version__
    assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
    out = GOLDEN / "chat_tokens"
    out.mkdir(exist_ok=True)
    for kind in ["smollm", "qwen"]:
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(GOLDEN / "tokenizer" / f"{kind}.tokenizer.json"))
        with open(out / f"{kind}.jsonl", "w", encoding="utf-8") as file:
            for messages in conversations(60):
                encoded = tokenizer.apply_chat_template(messages, chat_template=CHATML, tokenize=True,
                                                        return_dict=True, return_assistant_tokens_mask=True)
                sample = {"messages": messages, "ids": encoded["input_ids"], "mask": encoded["assistant_masks"]}
                print(json.dumps(sample, ensure_ascii=False, separators=(",", ":")), file=file)


if __name__ == "__main__":
    main()
