"""How expected the words of a text are to a model, token by token, beside all that could have stood there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from eval.lm.context import Grid, behind, read

POSITIONS = 512  # in one forward: with 152k tokens their float32 logits take 0.3 GB
SHARE = 0.2  # of a text's tokens, the least expected ones: what Min-K%++ is the mean of
LEAST = -1e4  # nats: a chance is 0 far above it, and its square is finite
LEAST_SPREAD = 1e-6  # nats: where a model is certain every token is as expected as the mean


@torch.inference_mode()
def min_k(model: Any, ids: Sequence[int], positions: int = POSITIONS) -> float:
    """Min-20%++ of a text of two tokens at least (Zhang et al. 2024, eq. 3); its first token is given, as theirs is."""
    context = read(model, [[]], positions)
    found = []
    for begin in range(0, len(ids) - 1, positions):
        piece, wanted = ids[begin : begin + positions], ids[begin + 1 : begin + positions + 1]
        logits = behind(model, context, _line(piece[: len(wanted)], begin, model.device))[0]
        found.append(_standing(logits.float(), torch.tensor(wanted, device=logits.device)))
        if begin + positions < len(ids) - 1:
            context = read(model, [piece], positions, context if begin else None)
    each = torch.cat(found)
    return float(each.topk(max(1, int(SHARE * len(each))), largest=False).values.mean())


def _line(ids: Sequence[int], begin: int, device: Any) -> Grid:
    """One row that reads on from `begin`."""
    width = len(ids)
    below = torch.ones(1, width, width, dtype=torch.bool, device=device).tril()
    places = torch.arange(begin, begin + width, device=device)[None]
    return Grid(torch.tensor([list(ids)], device=device), places, below)


def _standing(logits: Tensor, wanted: Tensor) -> Tensor:
    """[w] standard deviations by which each wanted token's log-probability lies above its mean under the model.

    A token that the model rules out (a logit of -inf) weighs nothing in the mean; where it is wanted, its figure is
    finite.
    """
    said = logits.log_softmax(dim=-1).clamp_min(LEAST)
    chance = said.exp()
    mean = (chance * said).sum(dim=-1)
    spread = (chance * (said - mean[:, None]).square()).sum(dim=-1).sqrt().clamp_min(LEAST_SPREAD)
    return (said.gather(1, wanted[:, None])[:, 0] - mean) / spread
