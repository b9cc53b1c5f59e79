"""One pass of LLaMA-Factory: -m ...peer_factory FOLDER DTYPE padding|groups|packing same|defaults -> JSON.

The rows are handed over tokenised (`tokenized_path`), and packed as its own processor packs them (`neat_packing`: texts
of a row do not see each other). `same` turns off the gradient checkpointing that it turns on by itself. Weights in
bfloat16 come with autocast: on a processor it has no other way to them.
"""

import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import torch
from datasets import Dataset, DatasetDict
from llamafactory.data.processor.processor_utils import greedy_knapsack
from llamafactory.train.tuner import run_exp

from tests.benchmarks.material import LONGEST
from tests.benchmarks.peer import ASKED, LORA, Timed, labelled


def main(folder: Path, dtype: str, way: str, kind: str) -> None:
    torch.set_num_threads(1)
    timed, scratch = Timed(), Path(tempfile.mkdtemp())
    given = [{**row, "attention_mask": [1] * len(row["labels"])} for row in labelled(folder)]
    given = packed(given) if way == "packing" else given
    DatasetDict({"train": Dataset.from_list(given)}).save_to_disk(scratch / "rows")
    asked = {
        "model_name_or_path": str(folder / "model"), "stage": "sft", "do_train": True, "finetuning_type": "lora",
        "lora_target": "all", "lora_rank": LORA["r"], "lora_alpha": LORA["lora_alpha"], "template": "empty",
        "dataset": "rows", "tokenized_path": str(scratch / "rows"), "cutoff_len": LONGEST,
        "output_dir": str(scratch / "out"), "neat_packing": way == "packing", "bf16": dtype == "bfloat16",
        "remove_unused_columns": way != "packing",
    }  # fmt: skip
    if way == "groups":
        asked["train_sampling_strategy"] = "group_by_length"
    if kind == "same":
        asked["disable_gradient_checkpointing"] = True
    run_exp(asked | ASKED, callbacks=[timed])
    timed.tell(folder)


def packed(given: list[dict[str, list[int]]]) -> list[dict[str, list[int]]]:
    """Rows of LONGEST tokens, filled as its PackedSupervisedDatasetProcessor fills them: texts are numbered from 1 in
    the attention mask, padding is 0. It makes them one token longer, which its collator then pads to a multiple of 8,
    all but the positions."""
    by_length = defaultdict(list)
    for row in given:
        by_length[len(row["labels"])].append(row)
    found = []
    for knapsack in greedy_knapsack([len(row["labels"]) for row in given], LONGEST):
        texts = [by_length[length].pop() for length in knapsack]
        rest = LONGEST - sum(knapsack)
        found.append(
            {
                "input_ids": sum((text["input_ids"] for text in texts), []) + [1] * rest,
                "labels": sum((text["labels"] for text in texts), []) + [-100] * rest,
                "attention_mask": sum(([at + 1] * length for at, length in enumerate(knapsack)), []) + [0] * rest,
                "position_ids": sum((list(range(length)) for length in knapsack), []) + [0] * rest,
            }
        )
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
