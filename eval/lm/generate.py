"""Answers written by a model: batched, seeded row by row, stopped by the family's markers and the task's strings.

The loop is our own: a row that has ended leaves the batch, and each row draws from a generator of its own, so that
batch, order, rank and restart cannot change what is drawn (`eval.items.draw_seed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from eval.lm.prefill import Prompt, prefill
from finetune.chat import CLOSE, FAMILIES, OPEN, Chat

NUCLEUS = 1024  # tokens among which the nucleus is looked for before the whole vocabulary is sorted


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn (a model's documented decoding). Temperature 0 is greedy, top_k 0 keeps all."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 64


@dataclass(frozen=True)
class Written:
    """What a model wrote: ids without the stop token, and what ended it."""

    ids: tuple[int, ...]
    finish: Literal["stop", "length"]


@torch.inference_mode()
def write(
    model: Any, chat: Chat, prompts: Sequence[Prompt], seeds: Sequence[int], how: Sampling, until: Sequence[str] = ()
) -> list[Written]:
    """Let the model answer each prompt, all in one batch. `until` strings end an answer, never a thought."""
    state = prefill(model, prompts)
    noise = [Generator(device=model.device).manual_seed(seed) for seed in seeds]
    answers = [_Answer(chat, until) for _ in prompts]
    rows, logits, size = list(range(len(prompts))), state.logits, vocabulary(chat)
    for step in range(1, how.max_new_tokens + 1):
        drawn = draw(logits[:, :size], [noise[row] for row in rows], how)
        goes_on = [answers[row].put(token) for row, token in zip(rows, drawn.tolist(), strict=True)]
        staying = [place for place, stays in enumerate(goes_on) if stays]
        if not staying or step == how.max_new_tokens:
            break
        if len(staying) < len(rows):
            rows, drawn, state = [rows[place] for place in staying], drawn[staying], state.take(staying)
        logits = state.advance(model, drawn[:, None], torch.ones_like(drawn[:, None]))[:, -1].float()
    return [answer.written() for answer in answers]


def draw(logits: Tensor, noise: Sequence[Generator], how: Sampling) -> Tensor:
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
    size, device = scores.shape[-1], scores.device
    # Double precision: single precision would cap the noise, and with it what a rare token can win.
    uniform = torch.stack([torch.rand(size, generator=one, device=device, dtype=torch.float64) for one in noise])
    return (scores - (-uniform.clamp(min=1e-300).log()).log()).argmax(dim=-1)


def _nucleus(scores: Tensor, top_p: float) -> Tensor:
    """Scores with all but the likeliest tokens, that together reach `top_p`, taken out (Holtzman et al. 2020)."""
    share = scores.softmax(dim=-1)
    for size in sorted({min(NUCLEUS, share.shape[-1]), share.shape[-1]}):
        likeliest = share.topk(size, dim=-1).values
        if bool((likeliest.sum(dim=-1) >= top_p).all()):
            break
    inside = likeliest.cumsum(dim=-1) - likeliest < top_p
    least = likeliest.masked_fill(~inside, torch.inf).amin(dim=-1, keepdim=True)
    return scores.masked_fill(share < least, -torch.inf)


def vocabulary(chat: Chat) -> int:
    """Ids that the tokenizer knows: embeddings have padding rows beyond, which must never be drawn."""
    return max(chat.tokenizer.get_vocab(with_added_tokens=True).values()) + 1


class _Answer:
    """One row's output as it grows."""

    def __init__(self, chat: Chat, until: Sequence[str]) -> None:
        self.chat, self.until = chat, [end for end in until if end]
        self.ids: list[int] = []
        self.stopped = False
        # Outside thoughts the answer begins here; None while a thought is open.
        inside = FAMILIES[chat.family].prefill[chat.think].strip() == OPEN
        self.begin: int | None = None if inside else 0
        # A character is at most four byte-level tokens, so this many hold the longest string.
        self.window = 4 * max(map(len, self.until), default=0) + 4

    def put(self, token: int) -> bool:
        """Take the next token; False when the answer has ended."""
        if token in self.chat.stops:
            self.stopped = True
            return False
        self.ids.append(token)
        if token == self.chat.markers.get(OPEN):
            self.begin = None
        elif token == self.chat.markers.get(CLOSE):
            self.begin = len(self.ids)
        self.stopped = self._reached_until()
        return not self.stopped

    def written(self) -> Written:
        return Written(tuple(self.ids), "stop" if self.stopped else "length")

    def _reached_until(self) -> bool:
        if not self.until or self.begin is None:
            return False
        start = max(self.begin, len(self.ids) - self.window)
        text = self.chat.decode(self.ids[start:])
        if start == self.begin > 0:
            text = text.lstrip("\n")  # the blank lines that follow a thought are no answer
        return any(end in text for end in self.until)
