"""One pass of TRL's SFTTrainer: -m ...peer_trl FOLDER DTYPE padding|packing same|defaults [autocast] -> JSON.

`same` turns off what TRL turns on by itself (bf16 autocast, gradient checkpointing), so that both sides do the same
sums; `autocast` leaves the former on.
"""

import sys
import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from tests.benchmarks.material import LONGEST
from tests.benchmarks.peer import ASKED, LORA, Timed, rows


def main(folder: Path, dtype: str, way: str, kind: str, *more: str) -> None:
    torch.set_num_threads(1)
    data = Dataset.from_list(
        [
            {
                "input_ids": row["prompt"] + row["answer"],
                "completion_mask": [0] * len(row["prompt"]) + [1] * len(row["answer"]),
            }
            for row in rows(folder)
        ]
    )
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=dtype)
    torch.manual_seed(0)
    plain = {"bf16": "autocast" in more, "gradient_checkpointing": False} if kind == "same" else {}
    timed, packing = Timed(), way == "packing"
    SFTTrainer(
        model,
        SFTConfig(tempfile.mkdtemp(), completion_only_loss=True, max_length=LONGEST, packing=packing, **ASKED, **plain),
        train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(folder / "model"),
        peft_config=LoraConfig(**LORA),
        callbacks=[timed],
    ).train()
    timed.tell(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
