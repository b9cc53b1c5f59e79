"""The adapter: that it is the right one, and proof that it was on.

Proof is how far it moves the model's distributions, beside how far the base is from itself.

The base is run twice over the same prompts, in unlike batches, orders and paddings: what differs there is rounding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eval.lm.context import Prompt, left_padded, positions
from finetune.chat import Chat
from finetune.methods import adapter_digest, adapter_norm
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import AdapterProbe, SeedDir

PROMPTS = 16
PLACES = 8  # last tokens of a prompt at which distributions are compared: one place can be certain under any adapter


def checked_adapter(recipe: Recipe, name: str, seed: int, place: SeedDir, chat: Chat) -> Path | None:
    """The adapter's folder; None for an untuned contender.

    BadInput: not there, trained under another recipe, not the one that train.json speaks of, or trained with another
    rendering than the one it would be asked with.
    """
    chosen = recipe.contenders[name]
    if not chosen.tuned:
        return None
    folder = Path(chosen.adapter) if chosen.adapter else place.adapter
    trained = place.trained() if chosen.method else None
    if chosen.method and (trained is None or trained.fingerprint != recipe.train_fingerprint(name, seed)):
        what = "was trained under another recipe" if trained else "is not trained"
        raise BadInput(f"contender {name}, seed {seed}: {what}; run `python -m finetune.train` on this recipe first")
    found = adapter_digest(folder)
    if trained and trained.training and trained.training.adapter_digest != found:
        raise BadInput(f"adapter {folder}: not the one that train.json speaks of; train it again")
    _refuse_other_chat(folder, chat)
    return folder


def _refuse_other_chat(folder: Path, chat: Chat) -> None:
    """An adapter brought from elsewhere may lack chat.json; then only its maker knows how it is to be asked."""
    note = folder / "chat.json"
    if not note.is_file():
        return
    theirs, ours = json.loads(note.read_text("utf-8")), chat.fingerprint()
    unlike = sorted(key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key))
    if unlike:
        raise BadInput(
            f"adapter {folder}: trained with another rendering ({', '.join(unlike)} differ); "
            f"give its model the tokenizer, family and think policy of its chat.json"
        )


def probe(base: Any, tune: Callable[[Any], Any], prompts: Sequence[Prompt]) -> tuple[Any, AdapterProbe]:
    """Tune `base` by `tune` (which may change it in place) and compare; gives the tuned model and the proof."""
    chosen = spread(prompts, PROMPTS)
    places = min(PLACES, *map(len, chosen))
    once, again = (
        _logits(base, chosen, places, rows=len(chosen)),
        _logits(base, chosen[::-1], places, rows=5).flip(0),
    )
    tuned = tune(base)
    moved = _logits(tuned, chosen, places, rows=len(chosen))
    kl, kl_same = _kl(moved, once), _kl(again, once)
    return tuned, AdapterProbe(prompts=len(chosen), kl=kl, kl_same=kl_same, norm=adapter_norm(tuned))


def spread(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """`count` of the prompts (all, if they are fewer), evenly over the exam."""
    step = max(1.0, len(prompts) / count)
    return [prompts[int(place * step)] for place in range(min(count, len(prompts)))]


@torch.inference_mode()
def _logits(model: Any, prompts: Sequence[Prompt], places: int, rows: int) -> Tensor:
    """[prompts, places, vocabulary] logits after the last `places` tokens, run `rows` prompts at a time."""
    found = []
    for begin in range(0, len(prompts), rows):
        ids, mask = left_padded(prompts[begin : begin + rows], model.device)
        out = model(
            input_ids=ids, attention_mask=mask, position_ids=positions(mask), use_cache=False, logits_to_keep=places
        )
        found.append(out.logits.float().cpu())
    return torch.cat(found)


def _kl(one: Tensor, other: Tensor) -> float:
    """Mean of KL(one || other) in nats over prompts and places, from logits; in double precision, prompt by prompt."""
    found = []
    for ours, theirs in zip(one, other, strict=True):
        p, q = ours.double().log_softmax(dim=-1), theirs.double().log_softmax(dim=-1)
        found.append((p.exp() * (p - q)).sum(dim=-1).mean())
    return max(0.0, float(torch.stack(found).mean()))  # rounding can leave -1e-17
