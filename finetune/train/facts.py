"""What a finished training says of itself: its first line in the log, and what stands in train.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from finetune.data import Examples
from finetune.methods import Full, adapter_parameters
from finetune.run import Basis, TrainFacts
from finetune.train.adapter import Origin, Proof
from finetune.train.loop import Work
from finetune.train.proofs import Beginning
from finetune.train.savepoint import Progress
from finetune.world import World, parameter_count, said_dtype

CURVE = 200  # points of the loss curve in train.json, at most


@dataclass(frozen=True)
class Toll:
    """What a training took, beside what it should have taken."""

    peak: int  # bytes, of the process that had most
    predicted_peak: int
    predicted_seconds: dict[Basis, float]
    trainable: int  # weights
    parameters: int


def summary(work: Work, examples: Examples, model: Any, origin: Origin, world: World) -> str:
    """One line before the first step."""
    own = parameter_count(adapter_parameters(model).values())
    dtype = said_dtype(origin.dtype, four_bit=origin.contender.four_bit)
    copies = " stepped in float32" if work.masters and dtype != "float32" else ""
    whole = isinstance(origin.contender.method, Full)
    what = f"trained weights in {dtype}{copies}" if whole else f"adapter parameters in float32 on {dtype}"
    left_out = f"{examples.excluded} excluded, {examples.truncated} cut by train.max_length"
    head = f" with a {origin.contender.head} head of {len(work.labels)} labels" if work.labels else ""
    return (
        f"{len(examples.train)} rows, {len(examples.dev)} for the dev loss, {left_out}; {len(work.steps)} steps; "
        f"{own:,} {what}{head}; {world.size} x {world.device_name()}"
        f"{', base split' if world.sharded else ''}"
    )


def facts(
    origin: Origin, progress: Progress, examples: Examples, toll: Toll, beginning: Beginning, proof: Proof
) -> TrainFacts:
    """All of it, for train.json."""
    method = origin.contender.method
    assert method is not None, "only a contender with a method is trained"
    return TrainFacts(
        method=method.kind,
        chat_digest=origin.chat.digest,
        peak_memory_bytes=toll.peak,
        predicted_peak_bytes=toll.predicted_peak,
        predicted_seconds=toll.predicted_seconds,
        trainable_parameters=toll.trainable,
        parameters=toll.parameters,
        **_course(progress),
        **_rows(examples),
        **_proven(beginning, proof),
    )


def _course(progress: Progress) -> dict[str, Any]:
    """How the steps went."""
    losses, seconds = [loss for _, loss in progress.losses], max(progress.seconds, 1e-9)
    tenth = max(1, len(losses) // 10)
    return {
        "steps": progress.step,
        "best_step": progress.best_step,
        "stopped": progress.ended,
        "loss_first": sum(losses[:tenth]) / tenth,
        "loss_last": sum(losses[-tenth:]) / tenth,
        "losses": tuple(progress.losses[:: -(-len(losses) // CURVE)]),
        "dev_losses": tuple(progress.dev_losses),
        "target_tokens": progress.target_tokens,
        "useful_tokens": progress.useful_tokens,
        "raw_tokens": progress.raw_tokens,
        "useful_tokens_per_second": progress.useful_tokens / seconds,
        "raw_tokens_per_second": progress.raw_tokens / seconds,
        "step_seconds": progress.seconds,
    }


def _rows(examples: Examples) -> dict[str, Any]:
    """What it learnt from."""
    return {
        "rows": len(examples.train),
        "dev_rows": len(examples.dev),
        "truncated_rows": examples.truncated,
        "end_token_trained": None if examples.labels else True,  # data.render refuses a row without it
        "data": examples.editions,
    }


def _proven(beginning: Beginning, proof: Proof) -> dict[str, Any]:
    """What was shown before the first step and after the last."""
    return {
        "adapter_digest": proof.digest,
        "adapter_norm": proof.norm,
        "reload_difference": proof.reload_difference,
        "logit_shift": proof.logit_shift,
        "reread": proof.reread,
        "head_difference": proof.head_difference,
        "merge_difference": proof.merge_difference,
        "packing_leak": beginning.packing_leak,
        "start_difference": beginning.start_difference,
    }
