"""A case of the matrix: a method on an architecture, how its runs are trained, and when two of them are the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from conftest import build_checkpoint
from small_lesson import facts, place, write_lesson

from finetune.methods import load
from finetune.methods.lora import causal
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import TrainFacts
from finetune.train.__main__ import train
from finetune.train.loop import Loop
from finetune.world import open_base

METHODS: dict[str, tuple[str, tuple[str, ...]]] = {  # as the README names it -> contender of the lesson, its knobs
    "LoRA": ("lora", ()),
    "LoRA, rsLoRA + DoRA": ("lora", ("rslora=true", "dora=true")),
    "QLoRA": ("lora", ("kind=qlora",)),
    "P-Tuning v1": ("prompt", ()),
    "P-Tuning v2": ("prefix", ()),
    "P-Tuning v2, re-encoder": ("reencoded", ()),
    "Full": ("full", ()),
}
ARCHES = {"Qwen2": "qwen2", "Llama": "llama", "Qwen3": "qwen3"}
# More sheets a step than one where two processes share them; dev losses in between, which is where 4-bit bases died.
LESSON = {"tokens_per_step": 900, "max_steps": 4, "dev": 0.2, "evaluations": 2, "save_every": 2}
NEAR = 1e-5  # relative, of float32 sums in another order; measured below 2e-6


@dataclass(frozen=True)
class Case:
    """A method on an architecture, and where its runs lie."""

    method: str
    arch: str
    folder: Path
    head: str = ""  # with a classification head of this kind, on the answers of the lesson as labels

    @property
    def contender(self) -> str:
        return METHODS[self.method][0]

    @property
    def four_bit(self) -> bool:
        return self.method == "QLoRA"

    @property
    def base(self) -> Path:
        return _base(self.folder, ARCHES[self.arch])

    def recipe(self, name: str) -> Path:
        """Where the recipe of the run `name` lies."""
        return self.folder / re.sub(r"[ ,+]+", "_", f"{self.method} {self.arch} {self.head} {name}") / "lesson.yaml"

    def job(self, name: str, *changes: str) -> tuple[Path, tuple[str, ...]]:
        """That recipe, written, and the changes under which it is this method's."""
        recipe = write_lesson(self.recipe(name).parent, self.base, **LESSON)
        knobs = (f"contenders.{self.contender}.method.{knob}" for knob in METHODS[self.method][1])
        chosen = f"contenders.{self.contender}"
        rate = 0.0005 if self.method == "Full" else 0.003  # two labels are learnt sooner than words
        head = [f"{chosen}.head={self.head}", f"{chosen}.method.learning_rate={rate}"] if self.head else []
        return recipe, (*knobs, *head, *changes)

    def train(self, name: str, *changes: str) -> TrainFacts:
        """Train in this process: every trained tensor gets a gradient in the last step, and what is saved reloads."""
        with Watched() as seen:
            trained(*self.job(name, *changes), self.contender)
        found = facts(self.recipe(name), self.contender)
        assert seen.dead == [], f"no gradient reaches {seen.dead}"
        assert (found.reload_difference, found.packing_leak or 0) == (0, 0)
        assert found.loss_last < found.loss_first
        assert seen.quantised == (self.four_bit or any("nf4" in change for change in changes))
        return found

    @property
    def adapter(self) -> Path:
        """What the plain run kept."""
        plain(self)
        return place(self.recipe("plain"), self.contender).adapter

    def tuned(self) -> Any:
        """The base in the form it was trained in, with that adapter."""
        return load(open_base(self.base, torch.float32, four_bit=self.four_bit), self.adapter)


class Watched:
    """While it is entered: trained tensors without a gradient in the last step, and whether the base is in 4 bits."""

    def __enter__(self) -> Watched:
        self.dead, self.quantised, self.take = ["all: no step was taken"], False, Loop._gradient

        def gradient(loop: Loop, *asked: Any) -> Any:
            found = self.take(loop, *asked)
            self.dead = [name for name, stepped in loop.stepper.masters.stepped.items() if not bool(stepped.grad.any())]
            self.quantised = bool(getattr(causal(loop.model), "is_quantized", False))
            return found

        Loop._gradient = gradient  # type: ignore[method-assign]
        return self

    def __exit__(self, *fault: object) -> None:
        Loop._gradient = self.take  # type: ignore[method-assign]


@cache
def _base(folder: Path, arch: str) -> Path:
    """Widths are multiples of 64, as in every real checkpoint: bitsandbytes takes other paths elsewhere."""
    wide = {"intermediate_size": 128, **({"head_dim": 32} if arch == "qwen3" else {})}
    return build_checkpoint(folder / arch, arch, family="r1_distill_qwen", **wide)


@cache
def plain(case: Case) -> TrainFacts:
    """The run that all others are compared with: packed, one process, nothing asked. AssertionError if refused."""
    try:
        return case.train("plain")
    except BadInput as fault:
        raise AssertionError(f"{case.method} on {case.arch} cannot be trained: {fault}") from None


def trained(recipe: Path, changes: Sequence[str], contender: str) -> None:
    assert train(Recipe.read(recipe, tuple(changes)), contender, None, recipe.parent / "runs") == 0


def same(one: TrainFacts, other: TrainFacts, near: float = 0.0) -> None:
    """Losses of every step, and after every second one on the development rows."""
    for told, found in ((one.losses, other.losses), (one.dev_losses, other.dev_losses)):
        assert [step for step, _ in told] == [step for step, _ in found]
        for (step, a), (_, b) in zip(told, found, strict=True):
            assert abs(a - b) <= near * a, f"step {step}: {a} and {b}"
