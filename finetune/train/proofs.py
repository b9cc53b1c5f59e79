"""What must hold on the run's own stack before the first step; a run that fails here says what, where and what to do.

Both faults train in silence, with a normal loss curve: rows of one forward pass that see each other (transformers finds
packed rows only without mask and cache), and an adapter that does not start where its base stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from finetune.data import Example
from finetune.mistakes import BadInput
from finetune.train.loop import Work
from finetune.train.loss import sheet_loss, states
from finetune.train.packing import packed
from finetune.world import World

LEAK = {torch.float32: 1e-5, torch.bfloat16: 1e-2}  # of the largest state; measured 0, and 0.04 to 3 where rows leak
START = {torch.float32: 1e-4, torch.bfloat16: 2e-2}  # of the loss; measured up to 3e-7, and 1e-3 in bfloat16
ROWS = 4  # of the first step, its shortest: a loss of theirs costs less than the step


@dataclass(frozen=True)
class Beginning:
    """What was measured before the first step; None where it does not apply."""

    packing_leak: float | None  # share of the largest hidden state by which one packed row moved another
    start_difference: float | None  # share by which the first loss is off that of the bare base


def begin(model: Any, plain: float | None, work: Work, world: World, dtype: torch.dtype) -> Beginning:
    """Probe `model` as it is about to be trained; `plain` is `plain_loss` of its bare base. BadInput: it fails."""
    leak = packing_leak(model, work, world) if work.knobs.packing and len(work.train) > 1 else None
    if leak is not None and leak > LEAK[dtype]:
        first, second = _probed(work)
        raise BadInput(
            f"packing: changing {first.name} moved {second.name} in the same row by {leak:.2%} of its states: rows see "
            f"each other on this stack; set train.packing=false, or install the versions of constraints.txt"
        )
    off = None if plain is None else _start_difference(model, plain, work, world)
    if off is not None and not off <= START[dtype]:
        raise BadInput(
            f"step 0: with the untrained adapter the loss is {off:.2%} off that of the bare base, which it must equal; "
            f"nothing was trained: install the versions of constraints.txt, or try train.packing=false"
        )
    return Beginning(leak, off)


def packing_leak(model: Any, work: Work, world: World) -> float:
    """How far the last hidden states of an example move, of their largest, when another before it in the row changes.

    As in training: the same function, mode, positions and checkpointing; dropout draws the same both times.
    """
    first, second = _probed(work)
    other = replace(first, ids=(first.ids + 1) % (int(first.ids.max()) + 1))
    found = []
    model.train()
    for example in (first, other):
        torch.manual_seed(work.seed)
        with torch.no_grad():
            found.append(states(model, packed([example, second]), world.device)[0, len(first) :].float())
    return float((found[0] - found[1]).abs().max() / found[0].abs().max())


def plain_loss(base: Any, work: Work, world: World) -> float:
    """Sum of the cross entropy over the probe's targets, nats: each row alone through the bare model's own forward."""
    base.eval()
    total = torch.zeros((), dtype=torch.float64)
    for example in _opening(work):
        ids = torch.from_numpy(example.ids.astype("int64")).to(world.device)[None]
        targets = torch.from_numpy(example.mask).nonzero().flatten().to(world.device)
        with torch.no_grad():
            logits = base(input_ids=ids, use_cache=False, logits_to_keep=targets - 1).logits[0].float()
        total += torch.nn.functional.cross_entropy(logits, ids[0, targets], reduction="sum").double().cpu()
    return float(total)


def _start_difference(model: Any, plain: float, work: Work, world: World) -> float:
    model.eval()
    with torch.no_grad():
        ours = sum(float(sheet_loss(model, each, world.device)) for each in work.sheets(_opening(work), world))
    return abs(ours - plain) / plain


def _opening(work: Work) -> Sequence[Example]:
    return sorted((work.train[index] for index in work.steps[0]), key=len)[:ROWS]


def _probed(work: Work) -> Sequence[Example]:
    return sorted(work.train, key=len)[:2]
