"""Answers written by a model: rows under a token budget, seeded one by one, stopped by markers and the task's strings.

The loop is our own: a row that has ended leaves and the next prompt comes in, the samples of a question share the
prompt that was run once, and each row draws from a generator of its own; so batch, order, rank, restart and what memory
there is cannot change what is drawn (`eval.items.draw_seed`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Generator, Tensor

from eval.answer import Answer, Written
from eval.lm.budget import Budget, batches, held
from eval.lm.context import Context, Prompt, one_row_of, read, shared_header
from eval.lm.draw import Sampling, draw, noise, vocabulary
from eval.lm.slots import Slots
from finetune.chat import Chat

MARGIN = 64  # tokens that a row can still write when it comes in; fewer: rows come in sooner, and are sent back oftener


def write(
    model: Any, chat: Chat, prompts: Sequence[Prompt], seeds: Sequence[int], how: Sampling, until: Sequence[str] = (),
    tokens: int = 8192,
) -> list[Written]:  # fmt: skip
    """Let the model answer each prompt. `until` strings end an answer, never a thought."""
    found: dict[int, Written] = {}
    for done in writing(model, chat, prompts, seeds, how, until, Budget(tokens)):
        found |= dict(done)
    return [found[place] for place in range(len(prompts))]


@torch.inference_mode()
def writing(
    model: Any, chat: Chat, prompts: Sequence[Prompt], seeds: Sequence[int], how: Sampling, until: Sequence[str],
    budget: Budget,
) -> Iterator[list[tuple[int, Written]]]:  # fmt: skip
    """The same, (index, answer) of the rows that end together, as they end. Rows times the longest hold as many tokens
    as fit into the memory of a forward of the budget; rows that outgrow it go back, and come in again with what they
    have written."""
    rows = [
        _Row(
            place,
            tuple(prompt),
            Generator(device=model.device).manual_seed(seed),
            Answer(chat, until, how.thinking_tokens),
        )
        for place, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True))
    ]
    rows.sort(key=lambda row: (-len(row.prompt), row.prompt))  # equal ones together
    writer = _Writer(model, how, budget, rows, vocabulary(chat))
    while writer.waiting or writer.running:
        budget.within(writer.admit)
        if writer.running and (done := budget.within(writer.step)):
            yield done


@dataclass(eq=False)
class _Row:
    """An answer on its way."""

    place: int
    prompt: tuple[int, ...]
    generator: Generator
    answer: Answer
    uniform: Tensor | None = None  # noise of its next token; kept where a step is taken again
    seconds: float = 0.0

    @property
    def ids(self) -> tuple[int, ...]:
        """All its tokens: the last one has not been read yet."""
        return (*self.prompt, *self.answer.ids)

    @property
    def last(self) -> int:
        return self.answer.ids[-1] if self.answer.ids else self.prompt[-1]


class _Writer:
    """Rows that wait and rows that run; `running` is in the order of the slots."""

    def __init__(self, model: Any, how: Sampling, budget: Budget, waiting: list[_Row], size: int) -> None:
        self.model, self.how, self.budget, self.size = model, how, budget, size
        self.waiting, self.running, self.slots = waiting, list[_Row](), Slots(model)
        self.held = held(model.config)
        self.shared = shared_header([row.prompt for row in waiting])
        self.header: Context | None = None
        self.kept: tuple[tuple[int, ...], Context] | None = None  # a prompt of which samples still wait

    @property
    def room(self) -> int:
        """Tokens that all rows may hold together, each counted as long as the longest."""
        return int(self.budget.tokens * self.held)

    def admit(self) -> None:
        """Take in the rows for which there is room. Their prompts are read together, equal ones once."""
        chosen = self._fitting()
        if not chosen:
            return
        began = time.perf_counter()
        if self.shared and self.header is None:
            self.header = read(self.model, [chosen[0].prompt[: self.shared]], self.budget.tokens)
        alike = [list(same) for _, same in groupby(chosen, key=lambda row: row.ids)]
        tokens = min(self.budget.tokens, one_row_of(self.shared) if self.shared else self.budget.tokens)
        for batch in batches([len(same[0].ids) - self.shared for same in alike], tokens):
            part = [alike[place] for place in batch]
            for same, context in zip(part, self._read([same[0].ids for same in part]), strict=True):
                self._take_in(same, context)
            for row in (rows := [row for same in part for row in same]):
                row.seconds += (time.perf_counter() - began) / len(rows)
            began = time.perf_counter()

    def step(self) -> list[tuple[int, Written]]:
        """One token for every row; gives those that ended with it."""
        began = time.perf_counter()
        self._send_back()
        if self.how.temperature:
            for row in self.running:
                row.uniform = noise(row.generator, self.size) if row.uniform is None else row.uniform
        logits = self.slots.step([row.last for row in self.running])[:, : self.size]
        drawn = draw(logits, [row.uniform for row in self.running if row.uniform is not None], self.how).tolist()
        self.slots.advance()  # from here on nothing can run out of memory, and the step counts
        share = (time.perf_counter() - began) / len(self.running)
        ended = []
        for number, (row, token) in enumerate(zip(self.running, drawn, strict=True)):
            row.seconds, row.uniform = row.seconds + share, None
            if not row.answer.put(token) or len(row.answer.ids) == self.how.max_new_tokens:
                ended.append(number)
        done = [self.running[number] for number in ended]
        self._leave(ended)
        return [(row.place, row.answer.written(row.seconds)) for row in done]

    def _fitting(self) -> list[_Row]:
        """The waiting rows that can come in, in their order; one at least where none runs."""
        longest, count = self.slots.width, 0
        for row in self.waiting:
            longest = max(longest, len(row.ids))
            room = min(MARGIN, self.how.max_new_tokens - len(row.answer.ids))
            if (len(self.running) + count + 1) * (longest + room) > self.room:
                break
            count += 1
        return self.waiting[: max(count, not self.running)]

    def _read(self, prompts: Sequence[tuple[int, ...]]) -> Iterator[Context]:
        """What each row that begins with a prompt goes on from: all of it but the last token."""
        if self.kept and prompts[0] == self.kept[0]:
            yield self.kept[1]
            prompts = prompts[1:]
        if prompts:
            context = read(self.model, [ids[self.shared : -1] for ids in prompts], self.budget.tokens, self.header)
            yield from (context.alone(place) for place in range(len(prompts)))

    def _take_in(self, rows: Sequence[_Row], context: Context) -> None:
        self.slots.admit(context, len(rows))
        self.running += rows
        taken = {row.place for row in rows}
        self.waiting = [row for row in self.waiting if row.place not in taken]
        goes_on = bool(self.waiting) and self.waiting[0].ids == rows[0].ids
        self.kept = (rows[0].ids, context) if goes_on else None

    def _send_back(self) -> None:
        """Rows that have written least wait again where the budget is outgrown; one always stays."""
        while len(self.running) > 1 and len(self.running) * (self.slots.width + 1) > self.room:
            least = min(range(len(self.running)), key=lambda number: len(self.running[number].answer.ids))
            self.waiting.insert(0, self.running[least])
            self._leave([least])

    def _leave(self, gone: Sequence[int]) -> None:
        if gone:
            self.running = [self.running[number] for number in self.slots.drop(gone)]
