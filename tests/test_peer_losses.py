"""Our loop beside transformers' Trainer: the same batches give the same losses, step by step."""

from __future__ import annotations

import warnings

import pytest
import torch
from small_lesson import rows, write_lesson
from torch.utils.data import SequentialSampler
from transformers import (
    AutoModelForCausalLM,
    DataCollatorForSeq2Seq,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from finetune import segments
from finetune.chat import Chat
from finetune.data import prepare
from finetune.methods import LoRA
from finetune.methods.lora import causal
from finetune.recipe import Recipe
from finetune.train.journal import Journal
from finetune.train.loop import Loop, Work
from finetune.train.savepoint import Clock, Savepoints
from finetune.train.watch import Watch
from finetune.world import World

BATCH, RATE = 6, 1e-2


@pytest.fixture
def lesson(tmp_path, tiny):
    """(recipe, rendered rows of one lesson, pad id, checkpoint)"""
    recipe = Recipe.read(write_lesson(tmp_path, tiny("qwen2"), rows(36), dev=0, evaluations=0, warmup=0))
    chat = Chat.open(tiny("qwen2"), "r1_distill_qwen", "drop")
    return recipe, prepare(recipe, "lora", chat).train, chat.pad, tiny("qwen2")


def attached(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return LoRA(rank=4).attach(model, tokenizer=None, seed=0)


def ours(recipe, examples, pad, folder, scratch):
    """Losses of our loop over consecutive batches, packed."""
    steps = [tuple(range(start, start + BATCH)) for start in range(0, len(examples), BATCH)]
    world, model = World.open(None, None, scratch), attached(folder)
    segments.adopt(causal(model))
    work = Work(steps, "done", examples, (), recipe.train, RATE, 0, pad)
    journal, clock = Journal("ours", world.accelerator), Clock(scratch / "clock.json", 0.0)
    loop = Loop(model, work, world, Savepoints(scratch / "c", "", 1), journal, clock, Watch(scratch, 0, 1, 60))
    return [loss for _, loss in loop.run().losses]


class InOrder(Trainer):
    """The Trainer as it is, but for the order of its batches."""

    def _get_train_sampler(self, dataset=None):
        return SequentialSampler(dataset if dataset is not None else self.train_dataset)


def theirs(recipe, examples, pad, folder, scratch):
    """Losses of the Trainer over the same batches, padded."""
    data = [
        {"input_ids": e.ids.tolist(), "labels": [int(i) if m else -100 for i, m in zip(e.ids, e.mask, strict=True)]}
        for e in examples
    ]
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad)
    asked = TrainingArguments(
        str(scratch / "theirs"), per_device_train_batch_size=BATCH, num_train_epochs=1, use_cpu=True, report_to=[],
        save_strategy="no", learning_rate=RATE, lr_scheduler_type="cosine", max_grad_norm=recipe.train.clip,
        disable_tqdm=True, logging_steps=1, log_level="error", weight_decay=0.0,
    )  # fmt: skip
    collate = DataCollatorForSeq2Seq(tokenizer, padding=True, label_pad_token_id=-100)
    trainer = InOrder(attached(folder), asked, train_dataset=data, data_collator=collate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        trainer.train()
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


def test_losses_are_those_of_the_trainer(lesson, tmp_path):
    recipe, examples, pad, folder = lesson
    mine, told = (side(recipe, examples, pad, folder, tmp_path) for side in (ours, theirs))
    assert len(mine) == len(told) == 6
    assert mine == pytest.approx(told, rel=2e-5)
    assert mine[-1] < 0.7 * mine[0]
