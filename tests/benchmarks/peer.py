"""What every peer is given, and how it is timed: alike for all of them.

A peer runs in a venv of its own, which holds neither this project nor the same versions: `python -m
tests.benchmarks.peer_... FOLDER ...` from the repository's root, and nothing imported but the standard library, torch,
transformers, datasets, peft and the peer.
"""

import json
import resource
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from tests.benchmarks.material import BATCH

LORA = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
ASKED: dict[str, Any] = {  # of transformers' TrainingArguments and what is made of them
    "per_device_train_batch_size": BATCH, "num_train_epochs": 1, "use_cpu": True, "report_to": "none",
    "save_strategy": "no", "learning_rate": 1e-3, "disable_tqdm": True, "logging_steps": 1, "log_level": "error",
}  # fmt: skip


def rows(folder: Path) -> list[dict[str, list[int]]]:
    """The rows of the material: prompt and answer, ids."""
    return json.loads((folder / "rows.json").read_text())


def labelled(folder: Path) -> list[dict[str, list[int]]]:
    """The rows as input_ids and labels; prompts are not trained."""
    return [
        {"input_ids": row["prompt"] + row["answer"], "labels": [-100] * len(row["prompt"]) + row["answer"]}
        for row in rows(folder)
    ]


class Timed(TrainerCallback):
    """CPU seconds of the training itself, told with tokens, losses and the process's peak as one line of JSON."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.began = time.process_time()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seconds = time.process_time() - self.began
        self.losses = [line["loss"] for line in state.log_history if "loss" in line]

    def tell(self, folder: Path) -> None:
        """The line, with the useful tokens of the material: a peer is not paid for padding."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        tokens = sum(len(row["prompt"]) + len(row["answer"]) for row in rows(folder))
        print(json.dumps({"tokens": tokens, "seconds": self.seconds, "peak": peak, "losses": self.losses}))
