"""Tuning on an accelerator beside transformers' Trainer with PEFT: `python -m tests.benchmarks.device [row ...]`.

One command does it all: it builds a checkpoint of random weights on the device, measures what the device multiplies at
most, and takes the same steps of the same texts with this engine and with the peer, one after the other. It needs
torch, transformers, peft, accelerate and what finetune itself imports (pydantic), and names no device: it takes what
torch.accelerator finds. `--shape tiny` proves on a processor that it runs to its end; its figures mean nothing.

Every step holds the same texts, so the losses must fall. MFU counts the multiplications of the frozen weights forward
and backward and of the head at target tokens, not attention's, nor what checkpointing does twice.
"""

import argparse
import gc
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from finetune import segments
from finetune.data import Example
from finetune.methods import LoRA, PTuningV2, adapter_parameters
from finetune.methods.lora import causal
from finetune.narrow import narrow
from finetune.recipe import Train
from finetune.shape import Shape
from finetune.train.journal import Journal
from finetune.train.loop import Loop, Work
from finetune.train.savepoint import Clock, Savepoints
from finetune.train.watch import Watch
from finetune.world import World
from tests.benchmarks.material import row

CONFIGS: dict[str, dict[str, Any]] = {  # 7b: DeepSeek-R1-Distill-Qwen-7B
    "7b": {
        "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
        "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 131072,
    },
    "tiny": {
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 512, "max_position_embeddings": 4096,
    },
}  # fmt: skip
TINY = 32  # so many times shorter are the texts of the tiny shape
WARM = 2  # steps that are not counted


@dataclass(frozen=True)
class Race:
    """A row: the method on both sides, the longest text, texts of a step, and whether layers are run again backward."""

    method: Any
    longest: int
    texts: int
    checkpointing: bool = False


RACES = {
    "device.train.lora.4096": Race(LoRA(rank=16), 4096, 16),
    "device.train.lora.16384": Race(LoRA(rank=16), 16384, 8, checkpointing=True),
    "device.train.ptuning_v2.4096": Race(PTuningV2(virtual_tokens=32, init="random"), 4096, 16),
}


@dataclass(frozen=True)
class Ran:
    """What the steps of one side came to: their seconds, losses, the peak in bytes, and how it had to be set."""

    seconds: list[float]
    losses: list[float]
    peak: int
    how: str


def network(shape: str, device: torch.device, **changed: Any) -> Any:
    """A model of random weights in bfloat16, drawn on the device; `changed` are keys of its configuration."""
    torch.manual_seed(0)
    config = AutoConfig.for_model("qwen2", tie_word_embeddings=False, **CONFIGS[shape] | changed)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)


def texts(race: Race, shape: str) -> list[Example]:
    """Random ids, the longest first; lengths log-normal around a quarter of the longest, a quarter target."""
    longest = race.longest // (TINY if shape == "tiny" else 1)
    draw, vocab = random.Random(0), CONFIGS[shape]["vocab_size"]
    found = [row(draw, longest // 6, longest // 18, longest, vocab) for _ in range(race.texts)]
    found.sort(key=lambda one: -len(one["prompt"]) - len(one["answer"]))
    return [
        Example(str(name), "", np.array(prompt + answer, np.int32), np.arange(len(prompt + answer)) >= len(prompt))
        for name, (prompt, answer) in enumerate((one["prompt"], one["answer"]) for one in found)
    ]


def ours(race: Race, shape: str, steps: int, world: World, **changed: Any) -> Ran:
    """This engine's loop, step by step."""
    rows = texts(race, shape)
    knobs = Train(epochs=1, max_length=max(map(len, rows)), evaluations=0, warmup=0, schedule="constant")
    model = race.method.attach(network(shape, world.device, **changed), tokenizer=None, seed=0)
    world.place(model, list(adapter_parameters(model).values()))
    segments.adopt(causal(model))
    narrow(causal(model))
    if race.checkpointing:
        checkpointed(model)
    work = Work([tuple(range(len(rows)))] * steps, "done", rows, (), knobs, race.method.learning_rate, 0, pad=1)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        journal = Journal("ours", world.accelerator)
        journal._print = lambda text: None
        watch, clock = Watch(place, 0, 1, 60), Clock(place / "clock.json", 0.0)
        loop = Loop(model, work, world, Savepoints(place / "c", "", 1), journal, clock, watch)
        world.begin_peak()
        seconds = [timed(loop._step, world.device) for _ in range(steps)]
    return Ran(seconds, [loss for _, loss in loop.progress.losses], world.peak_memory(), "packed")


def checkpointed(model: Any) -> None:
    """Layers keep their inputs alone; transformers 5.2x changed the name."""
    inner = causal(model)
    enable = getattr(inner, "activation_checkpointing_enable", None) or inner.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def trainer(race: Race, shape: str, steps: int, world: World) -> Ran:
    """transformers' Trainer with PEFT, in the largest batches of rows of like length that fit, up to four."""
    for size in (4, 2, 1):
        clear()  # what a batch that did not fit has left
        try:
            return _trainer(race, shape, steps, world, size)
        except torch.OutOfMemoryError:
            continue
    raise SystemExit("Trainer: not even one row fits")


def _trainer(race: Race, shape: str, steps: int, world: World, size: int) -> Ran:
    from peft import LoraConfig, PrefixTuningConfig, get_peft_model
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Steps(TrainerCallback):
        seconds: list[float]

        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            self.began = now(world.device)

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            self.seconds.append(now(world.device) - self.began)

    if isinstance(race.method, LoRA):
        config: Any = LoraConfig(r=race.method.rank, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    else:
        config = PrefixTuningConfig(num_virtual_tokens=race.method.virtual_tokens, task_type="CAUSAL_LM")
    model = network(shape, world.device)
    model.config.use_cache = False
    asked = TrainingArguments(
        tempfile.mkdtemp(), per_device_train_batch_size=size, gradient_accumulation_steps=race.texts // size,
        max_steps=steps, use_cpu=world.device.type == "cpu", bf16=True, report_to=[], save_strategy="no",
        learning_rate=race.method.learning_rate, lr_scheduler_type="constant", disable_tqdm=True, logging_steps=1,
        log_level="error",
        train_sampling_strategy="sequential", gradient_checkpointing=race.checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if race.checkpointing else None,
    )  # fmt: skip
    rows = [
        {"input_ids": each.ids.tolist(), "labels": np.where(each.mask, each.ids, -100).tolist()}
        for each in texts(race, shape)
    ]
    watch = Steps()
    watch.seconds = []
    peer = Trainer(
        get_peft_model(model, config), asked, train_dataset=rows * steps, data_collator=padded,
        callbacks=[watch],
    )  # fmt: skip
    world.begin_peak()
    peer.train()
    losses = [line["loss"] for line in peer.state.log_history if "loss" in line]
    return Ran(watch.seconds, losses, world.peak_memory(), f"batches of {size}")


def padded(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """Rows on the right padded to the longest, as DataCollatorForSeq2Seq does it with a tokenizer at hand."""
    width = max(len(one["input_ids"]) for one in rows)
    fill = {"input_ids": 1, "labels": -100, "attention_mask": 0}
    rows = [one | {"attention_mask": [1] * len(one["labels"])} for one in rows]
    return {
        key: torch.tensor([one[key] + [value] * (width - len(one[key])) for one in rows]) for key, value in fill.items()
    }


def now(device: torch.device) -> float:
    """Seconds on the wall, once the device has done all it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter()


def timed(run: Callable[[], object], device: torch.device) -> float:
    began = now(device)
    run()
    return now(device) - began


def clear() -> None:
    """Give back what the last side held."""
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.memory.empty_cache()


def ceiling(device: torch.device, shape: str) -> float:
    """Operations a second of a bfloat16 product of random matrices, the median of ten after three."""
    size = 8192 if shape != "tiny" else 512
    one, other = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    took = [timed(lambda: one @ other, device) for _ in range(13)][3:]
    return 2 * size**3 / statistics.median(took)


def operations(race: Race, shape: str) -> float:
    """Of a step, as MFU counts them: 4 a token and frozen weight, as many a target and weight of the head."""
    sizes = Shape.of({"model_type": "qwen2", **CONFIGS[shape]})
    rows = texts(race, shape)
    tokens, targets = sum(map(len, rows)), sum(int(each.mask.sum()) for each in rows)
    return 4 * (sizes.layers * sizes.linear_weights * tokens + sizes.hidden * sizes.vocab * targets)


def raced(name: str, shape: str, steps: int, world: World, most: float) -> dict[str, Any]:
    """Both sides of a row; refuses losses that are not finite or do not fall."""
    race, sides = RACES[name], {}
    tokens = sum(map(len, texts(race, shape)))
    for side, run in (("ours", ours), ("Trainer", trainer)):
        clear()
        ran = run(race, shape, steps, world)
        if not ran.losses[-1] < ran.losses[0]:  # nor where one of them is not a number
            raise SystemExit(f"{name}, {side}: the loss does not fall: {ran.losses}")
        took = statistics.median(ran.seconds[WARM:] or ran.seconds)
        sides[side] = {
            "tokens_per_second": round(tokens / took, 1), "mfu": round(operations(race, shape) / took / most, 4),
            "peak_gib": round(ran.peak / 2**30, 2), "how": ran.how,
            "loss": [round(ran.losses[0], 4), round(ran.losses[-1], 4)],
        }  # fmt: skip
        print(f"{name}, {side}: {sides[side]}", flush=True)
    ratio = sides["ours"]["tokens_per_second"] / sides["Trainer"]["tokens_per_second"]
    return {"id": name, "shape": shape, "tokens_of_a_step": tokens, "ratio": round(ratio, 2), **sides}


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.device", description="Speed on an accelerator.")
    parser.add_argument("row", nargs="*", help=f"one of {', '.join(RACES)}; all without it")
    parser.add_argument("--shape", choices=list(CONFIGS), default="7b", help="tiny: to see on a processor that it runs")
    parser.add_argument("--steps", type=int, default=8, help=f"steps of each side; the first {WARM} are not counted")
    parser.add_argument("--out", type=Path, help="write the rows there too, as JSON")
    asked = parser.parse_args(words)
    if unknown := set(asked.row) - set(RACES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(RACES)}")
    with tempfile.TemporaryDirectory() as logs:
        world = World.open(None, None, Path(logs))
        most = ceiling(world.device, asked.shape)
        head = {"device": world.device_name(), "torch": torch.__version__, "ceiling_tflops": round(most / 1e12, 2)}
        print(head, flush=True)
        found = [raced(name, asked.shape, asked.steps, world, most) for name in asked.row or RACES]
    if asked.out:
        asked.out.write_text(json.dumps({**head, "rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
