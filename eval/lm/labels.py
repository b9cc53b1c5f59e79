"""Labels scored by a classification head: the prompt is run once, and nothing is written.

The head reads the last hidden state of the prompt's last token, as in training: the prompt as it is rendered for the
contender's own answer, with its think policy's prefill, so that the place is the one where the answer would begin. A
token head reads every token of the text in it. What all prompts begin with (a frame, few-shot examples) is run once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from eval.lm.budget import Budget
from eval.lm.context import (
    Context,
    Grid,
    Prompt,
    laid,
    left_padded,
    one_row_of,
    positions,
    read,
    right_padded,
    shared_header,
)
from finetune.methods import heads


def token_tags(model: Any, prompts: Sequence[Prompt], budget: Budget) -> Iterator[tuple[list[int], list[list[int]]]]:
    """The likeliest tag of every token of each prompt, batch by batch: (indices, tags)."""
    ahead: list[int] = []  # tags of what all prompts begin with
    for batch, header, found in _scored(model, prompts, budget):
        if header and not ahead:
            ahead = _behind(model, [prompts[0][:header]], None)[0].argmax(dim=-1).tolist()
        yield batch, [ahead + scores.argmax(dim=-1).tolist() for scores in found]


def label_scores(
    model: Any, prompts: Sequence[Prompt], budget: Budget
) -> Iterator[tuple[list[int], list[list[float]]]]:
    """Log-probabilities (nats) of every label after each prompt, batch by batch: (indices, log-probabilities)."""
    for batch, _, found in _scored(model, prompts, budget):
        yield batch, [scores[-1].log_softmax(dim=-1).tolist() for scores in found]


def _scored(
    model: Any, prompts: Sequence[Prompt], budget: Budget
) -> Iterator[tuple[list[int], int, list[Tensor]]]:  # fmt: skip
    """(indices, tokens of the header, scores [tokens behind it, labels] of each) batch by batch."""
    length, header = shared_header(prompts), None
    while length and header is None:
        header = budget.within(lambda: read(model, [prompts[0][:length]], budget.tokens))
    lengths = [len(prompt) - length for prompt in prompts]

    def work(batch: Sequence[int]) -> list[Tensor]:
        return _behind(model, [prompts[place][length:] for place in batch], header)

    for batch, found in budget.batches(lengths, one_row_of(length) if header else None, work):
        yield batch, length, found


@torch.inference_mode()
def _behind(model: Any, prompts: Sequence[Prompt], header: Context | None) -> list[Tensor]:
    """Scores [tokens, labels] of each prompt behind a header, if there is one; equal ones are run once."""
    unique = list(dict.fromkeys(map(tuple, prompts)))
    if header is None:
        ids, mask = left_padded(unique, model.device)
        padded = heads.scores(model, ids, positions(mask), mask)
        found = [row[len(row) - len(prompt) :] for prompt, row in zip(unique, padded, strict=True)]
    else:
        ids, _ = right_padded(unique, model.device)
        n, width = ids.shape
        below = torch.ones(width, width, dtype=torch.bool, device=ids.device).tril()
        places = torch.arange(width, device=ids.device).expand_as(ids) + header.seen.shape[1]
        rows = laid(model, header.repeated(n), Grid(ids, places, below.expand(n, -1, -1)))
        scores = heads.scores(model, *rows)
        found = [row[: len(prompt)] for prompt, row in zip(unique, scores.reshape(n, width, -1), strict=True)]
    told = dict(zip(unique, found, strict=True))
    return [told[tuple(prompt)] for prompt in prompts]
