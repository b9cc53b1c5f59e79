"""A contender's model in vLLM: opened for its exam, its LoRA by path, and the proof that it is on.

The proof is of what vLLM tells: log-probabilities of the likeliest tokens at the last places of prompts. Of these a
bound is taken that the divergence cannot be below, so that no adapter seems to do more than it does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from eval.lm.context import Prompt
from eval.lm.vllm_engine import Paged, Top
from eval.score.probe import PLACES, PROMPTS, spread
from finetune.mistakes import BadInput
from finetune.recipe.engine_fit import lora_rank
from finetune.run import AdapterProbe

ROUNDING = 1e-6  # of a mass that is one less a sum of float32 probabilities


def rank_of(adapter: Path | None) -> int:
    """Rank of the LoRA in a folder; 0 for none. BadInput: it holds what vLLM has no place for."""
    try:
        return lora_rank(adapter) if adapter else 0
    except ValueError as fault:
        raise BadInput(f"adapter {adapter}: holds {fault}; say engine: hf") from None


def prove(base: Paged, adapter: Path, prompts: Sequence[Prompt]) -> tuple[Paged, AdapterProbe]:
    """The engine with the LoRA on, and the proof. BadInput: vLLM refuses it."""
    chosen = spread(prompts, PROMPTS)
    places = min(PLACES, *map(len, chosen))
    once = base.top(chosen, places)
    again = [base.top([prompt], places)[0] for prompt in chosen[::-1]][::-1]
    tuned = base.tuned(adapter)
    moved = tuned.top(chosen, places)
    proof = AdapterProbe(prompts=len(chosen), kl=_mean(moved, once), kl_same=_mean(again, once), norm=norm(adapter))
    return tuned, proof


def norm(adapter: Path) -> float:
    """L2 norm of a LoRA's tensors, as `finetune.methods.adapter_norm` has it."""
    from safetensors.torch import load_file

    tensors = load_file(adapter / "adapter_model.safetensors").values()
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors))


def _mean(one: Sequence[Sequence[Top]], other: Sequence[Sequence[Top]]) -> float:
    pairs = [pair for ours, theirs in zip(one, other, strict=True) for pair in zip(ours, theirs, strict=True)]
    return fmean(least_kl(p, q) for p, q in pairs)


def least_kl(one: Top, other: Top) -> float:
    """What KL(one || other) in nats cannot be below, by their likeliest tokens alone.

    Tokens are thrown together into those that both tell, each by itself, those that only `one` tells, and the rest:
    that never raises the divergence (data processing; Cover and Thomas 2006, theorem 2.7.1). What `other` gives the
    second group is not known but for a cap, its least likely token that is told; the value that lowers the sum most is
    taken.
    """
    both = one.keys() & other.keys()
    pairs = [(math.exp(one[token]), math.exp(other[token])) for token in both]
    mine = sum(math.exp(one[token]) for token in one.keys() - both)
    p = max(1 - mine - sum(a for a, _ in pairs), ROUNDING)
    q = max(1 - sum(b for _, b in pairs), ROUNDING)
    if mine > 0:
        cap = len(one.keys() - both) * math.exp(min(other.values()))
        theirs = min(cap, q * mine / (mine + p))
        pairs.append((mine, theirs))
        q = max(q - theirs, ROUNDING)
    found = sum(a * (math.log(a) - math.log(b)) for a, b in [*pairs, (p, q)])
    return max(0.0, found)
