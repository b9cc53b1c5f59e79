"""One pass of transformers' Trainer with PEFT: -m ...peer_trainer FOLDER DTYPE SAMPLING [autocast] -> JSON.

DTYPE auto: what from_pretrained takes by itself. `autocast`: sums in bfloat16 also where the adapter is float32.
"""

import sys
import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments

from tests.benchmarks.peer import ASKED, LORA, Timed, labelled


def main(folder: Path, dtype: str, sampling: str, *more: str) -> None:
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=dtype)
    model.config.use_cache = False
    torch.manual_seed(0)
    timed, tokenizer = Timed(), AutoTokenizer.from_pretrained(folder / "model")
    Trainer(
        get_peft_model(model, LoraConfig(**LORA)),
        TrainingArguments(tempfile.mkdtemp(), train_sampling_strategy=sampling, bf16="autocast" in more, **ASKED),
        train_dataset=Dataset.from_list(labelled(folder)),
        data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True, label_pad_token_id=-100),
        callbacks=[timed],
    ).train()
    timed.tell(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
