"""One pass of TRL's SFTTrainer over the rows: python peer_trl.py FOLDER DTYPE padding|packing defaults|same -> JSON.

`same` turns off what TRL turns on by itself (bf16 autocast, gradient checkpointing), so that both sides do the same
sums. Needs nothing of this project, so that it runs in a venv of its own.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer


def main(folder: Path, dtype: str, way: str, kind: str) -> None:
    torch.set_num_threads(1)
    rows = json.loads((folder / "rows.json").read_text())
    data = Dataset.from_list(
        [
            {
                "input_ids": row["prompt"] + row["answer"],
                "completion_mask": [0] * len(row["prompt"]) + [1] * len(row["answer"]),
            }
            for row in rows
        ]
    )
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=dtype)
    torch.manual_seed(0)
    plain = {"bf16": False, "gradient_checkpointing": False} if kind == "same" else {}
    asked = SFTConfig(
        tempfile.mkdtemp(), per_device_train_batch_size=4, num_train_epochs=1, use_cpu=True, report_to=[],
        save_strategy="no", learning_rate=1e-3, disable_tqdm=True, logging_steps=1, log_level="error",
        completion_only_loss=True, max_length=1024, packing=way == "packing", **plain,
    )  # fmt: skip
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    trainer = SFTTrainer(model, asked, train_dataset=data, processing_class=tokenizer, peft_config=lora)
    began = time.process_time()
    trainer.train()
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    tokens = sum(len(row["prompt"]) + len(row["answer"]) for row in rows)
    print(json.dumps({"tokens": tokens, "seconds": seconds, "peak": peak, "losses": losses}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4])
