"""Labels scored by a classification head: the prompt is run once, and nothing is written.

The head reads the last hidden state of the prompt's last token, as in training: the prompt as it is rendered for the
contender's own answer, with its think policy's prefill, so that the place is the one where the answer would begin. A
token head reads every token of the text in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from eval.lm.context import Prompt, left_padded, positions
from finetune.methods import heads


@torch.inference_mode()
def token_tags(model: Any, prompts: Sequence[Prompt]) -> list[list[int]]:
    """The likeliest tag of every token of each prompt; the prompts make one batch. Equal ones run once."""
    unique = list(dict.fromkeys(map(tuple, prompts)))
    ids, mask = left_padded(unique, model.device)
    found = heads.scores(model, ids, positions(mask), mask).argmax(dim=-1).tolist()
    told = {prompt: row[len(row) - len(prompt) :] for prompt, row in zip(unique, found, strict=True)}
    return [told[tuple(prompt)] for prompt in prompts]


@torch.inference_mode()
def label_scores(model: Any, prompts: Sequence[Prompt]) -> list[list[float]]:
    """Log-probabilities (nats) of every label after each prompt; the prompts make one batch. Equal ones run once."""
    unique = list(dict.fromkeys(map(tuple, prompts)))
    ids, mask = left_padded(unique, model.device)
    found = heads.scores(model, ids, positions(mask), mask)[:, -1].log_softmax(dim=-1)
    told = dict(zip(unique, found.tolist(), strict=True))
    return [told[tuple(prompt)] for prompt in prompts]
