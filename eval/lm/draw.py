"""A token drawn out of logits: temperature, top-k, top-p, and noise that each row draws from a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from finetune.chat import Chat

NUCLEUS = 1024  # tokens among which the nucleus is looked for before the whole vocabulary is sorted
FEW = 8 * NUCLEUS  # a vocabulary up to this size is sorted at once: finding the likeliest takes it no less


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn (a model's documented decoding). Temperature 0 is greedy, top_k 0 keeps all."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 64
    thinking_tokens: int | None = None  # after which an open thought is closed


def noise(generator: torch.Generator, size: int) -> Tensor:
    """What a draw among `size` tokens needs. Double precision: single caps it, and what a rare token can win."""
    return torch.rand(size, generator=generator, device=generator.device, dtype=torch.float64)


def draw(logits: Tensor, uniform: Sequence[Tensor], how: Sampling) -> Tensor:
    """One token a row out of `logits` [n, vocabulary] float32: temperature, top-k, top-p, then the largest
    log-probability after Gumbel noise, which is a draw from the softmax (Gumbel 1954)."""
    if how.temperature == 0:
        return logits.argmax(dim=-1)
    scores = logits / how.temperature
    if 0 < how.top_k < scores.shape[-1]:
        least = scores.topk(how.top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if how.top_p < 1:
        scores = _nucleus(scores, how.top_p)
    return (scores - (-torch.stack(list(uniform)).clamp_(min=1e-300).log_()).log_()).argmax(dim=-1)


def _nucleus(scores: Tensor, top_p: float) -> Tensor:
    """Scores with all but the likeliest tokens, that together reach `top_p`, taken out (Holtzman et al. 2020)."""
    share = scores.softmax(dim=-1)
    likeliest = share.topk(NUCLEUS, dim=-1).values if share.shape[-1] > FEW else share[:, :0]
    if bool((likeliest.sum(dim=-1) < top_p).any()):
        likeliest = _descending(share)
    inside = likeliest.cumsum(dim=-1) - likeliest < top_p
    least = likeliest.masked_fill(~inside, torch.inf).amin(dim=-1, keepdim=True)
    return scores.masked_fill(share < least, -torch.inf)


def _descending(share: Tensor) -> Tensor:
    """Each row sorted. On a processor by numpy: values alone, without their places, take it a quarter of the time."""
    if share.device.type != "cpu":
        return share.sort(dim=-1, descending=True).values
    return torch.from_numpy(np.sort(share.numpy(), axis=-1)[:, ::-1].copy())


def vocabulary(chat: Chat) -> int:
    """Ids that the tokenizer knows: embeddings have padding rows beyond, which must never be drawn."""
    return max(chat.tokenizer.get_vocab(with_added_tokens=True).values()) + 1
