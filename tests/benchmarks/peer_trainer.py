"""One pass of transformers' Trainer with PEFT over the rows: python peer_trainer.py FOLDER DTYPE SAMPLING -> JSON.

Needs nothing of this project, so that it runs in a venv of its own. DTYPE auto: what from_pretrained takes by itself.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments


def main(folder: Path, dtype: str, sampling: str) -> None:
    torch.set_num_threads(1)
    rows = json.loads((folder / "rows.json").read_text())
    data = Dataset.from_list(
        [{"input_ids": r["prompt"] + r["answer"], "labels": [-100] * len(r["prompt"]) + r["answer"]} for r in rows]
    )
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=dtype)
    model.config.use_cache = False
    torch.manual_seed(0)
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    asked = TrainingArguments(
        tempfile.mkdtemp(), per_device_train_batch_size=4, num_train_epochs=1, use_cpu=True, report_to=[],
        save_strategy="no", learning_rate=1e-3, disable_tqdm=True, logging_steps=1, log_level="error",
        train_sampling_strategy=sampling,
    )  # fmt: skip
    collate = DataCollatorForSeq2Seq(tokenizer, padding=True, label_pad_token_id=-100)
    trainer = Trainer(get_peft_model(model, lora), asked, train_dataset=data, data_collator=collate)
    began = time.process_time()
    trainer.train()
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    tokens = sum(len(row["prompt"]) + len(row["answer"]) for row in rows)
    print(json.dumps({"tokens": tokens, "seconds": seconds, "peak": peak, "losses": losses}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
