"""Answers: what one contender is asked for each question, how its model is run over a batch, and what that is worth.

An answer is graded without its thought. One that ran into the length limit, or never closed its thought, is an outcome
of its own and is never graded from what stands there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eval.benchmark import LETTERS
from eval.extract import grade
from eval.items import ItemScore
from eval.lm import Choice, encode, likelihoods
from eval.lm.generate import Sampling, Written, cut, draw_seed, write
from eval.score.parts import Key
from eval.score.questions import Question
from finetune.chat import Chat
from finetune.recipe import Contender, Exam


@dataclass(frozen=True, eq=False)
class Entry:
    """One answer to be given: a question, which of its samples, and its ids for this contender."""

    question: Question
    sample: int
    prompt: tuple[int, ...]
    options: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Desk:
    """Where one contender and seed answers."""

    name: str
    seed: int
    contender: Contender
    exam: Exam
    chat: Chat
    scorer: str  # score fingerprint
    rank: int  # of the process

    def entries(self, question: Question) -> Iterator[Entry]:
        """A question's answers to be given: one over its options, or one for each sample."""
        frame = self.contender.prompt
        text = frame.wrap(question.text) if frame else question.text
        if question.task.protocol == "generated":
            prompt = tuple(self.chat.prompt([{"role": "user", "content": text}]))
            yield from (Entry(question, sample, prompt) for sample in range(self.exam.samples))
            return
        chat = likelihood_chat(self.chat)
        before = question.delimiter if chat.family == "plain" else ""
        pairs = [encode(chat, text, before + option) for option in question.options]
        choice = Choice(pairs[0][0], tuple(option for _, option in pairs))
        yield Entry(question, 0, choice.prompt, choice.options)

    def key(self, entry: Entry) -> Key:
        return self.scorer, entry.question.task.name, entry.question.row.id, entry.sample

    def room(self, entry: Entry) -> int:
        """Tokens that may follow the prompt."""
        return max(map(len, entry.options)) if entry.options else self.contender.model.decoding.max_new_tokens

    def answer(self, model: Any, batch: Sequence[Entry]) -> list[ItemScore]:
        """Answer a batch of one task's entries; `seconds` is left at 0."""
        return self._choose(model, batch) if batch[0].options else self._write(model, batch)

    def _choose(self, model: Any, batch: Sequence[Entry]) -> list[ItemScore]:
        choices = [Choice(entry.prompt, entry.options) for entry in batch]
        scored = likelihoods(model, choices, self.exam.batch_tokens)
        return [self._chosen(*each) for each in zip(batch, choices, scored, strict=True)]

    def _chosen(self, entry: Entry, choice: Choice, found: Sequence[tuple[float, bool]]) -> ItemScore:
        question, values = entry.question, tuple(total for total, _ in found)
        if not all(map(math.isfinite, values)):
            raise RuntimeError(f"{question.row.id}: the model gives no finite log-likelihood ({values})")
        chosen, score = question.choose(values), question.score(found)
        return self._row(
            entry, text=question.options[chosen], loglikelihoods=values, finish="likelihood", extracted=LETTERS[chosen],
            rule=question.task.metric, outcome="correct" if score == 1 else "wrong", score=score,
            tokens_in=choice.tokens, tokens_thinking=0, tokens_out=0,
        )  # fmt: skip

    def _write(self, model: Any, batch: Sequence[Entry]) -> list[ItemScore]:
        how = Sampling(**self.contender.model.decoding.model_dump())
        names = [f"{entry.question.task.name}/{entry.question.row.id}" for entry in batch]
        seeds = [draw_seed(self.exam.seed, name, entry.sample) for name, entry in zip(names, batch, strict=True)]
        found = write(model, self.chat, [entry.prompt for entry in batch], seeds, how, batch[0].question.until)
        return [self._graded(entry, written) for entry, written in zip(batch, found, strict=True)]

    def _graded(self, entry: Entry, written: Written) -> ItemScore:
        question, reply = entry.question, self.chat.split(written.ids)
        facts: dict[str, Any] = {"extracted": None, "rule": "", "score": 0.0}
        if not reply.closed:
            facts["outcome"] = "unclosed_thinking"
        elif written.finish == "length":
            facts["outcome"] = "truncated"
        else:
            answer, row = cut(reply.answer, question.until), question.row
            facts = vars(grade(question.task.answer, answer, row.answer or "", row.options))
        return self._row(
            entry, text=self.chat.decode(written.ids), finish=written.finish, tokens_in=len(entry.prompt),
            tokens_thinking=reply.thinking_tokens, tokens_out=len(written.ids), **facts,
        )  # fmt: skip

    def _row(self, entry: Entry, **facts: Any) -> ItemScore:
        question, task, row = entry.question, entry.question.task, entry.question.row
        return ItemScore(
            contender=self.name, seed=self.seed, scorer=self.scorer, task=task.name, id=row.id, hash=row.digest,
            content=question.content, cluster=task.cluster(row), part=task.part(row), lang=row.lang,
            protocol=task.protocol, sample=entry.sample, question=row.asked, options=row.options,
            gold=row.answer or "", seconds=0.0, rank=self.rank, **facts,
        )  # fmt: skip


def likelihood_chat(chat: Chat) -> Chat:
    """The rendering under which options are scored: one that thinks first is handed an empty thought."""
    return replace(chat, think="empty") if chat.think == "keep" else chat


def timed(rows: Sequence[ItemScore], seconds: float) -> list[ItemScore]:
    """The batch's time shared out over its rows by their tokens."""
    tokens = [row.tokens_in + row.tokens_out for row in rows]
    return [
        row.model_copy(update={"seconds": seconds * part / sum(tokens)}) for row, part in zip(rows, tokens, strict=True)
    ]
