"""SFT speed of TRL on one process.  usage: trl_sft.py MODEL_DIR MESSAGES.jsonl STEPS

Packed rows of 512 tokens, four a step, bf16. Real tokens over the whole training time.
"""
import json
import os
import resource
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
from datasets import Dataset  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402

path, data, steps = sys.argv[1:4]
rows = [json.loads(line) for line in open(data, encoding="utf-8")]
with tempfile.TemporaryDirectory() as folder:
    config = SFTConfig(folder, per_device_train_batch_size=4, max_length=512, packing=True, max_steps=int(steps),
                       logging_steps=1, report_to=[], save_strategy="no", use_cpu=True, bf16=True,
                       gradient_checkpointing=False)
    trainer = SFTTrainer(model=path, args=config, train_dataset=Dataset.from_list(rows))
    seconds = trainer.train().metrics["train_runtime"]
tokens = [entry["num_tokens"] for entry in trainer.state.log_history if "num_tokens" in entry][-1]
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"tokens_per_second": tokens / seconds, "peak_mb": rss}))
