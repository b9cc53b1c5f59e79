"""Answers: what one contender is asked for each question, how its model is run over a batch, and what that is worth.

An answer is graded without its thought. One that ran into the length limit, or never closed its thought, is an outcome
of its own and is never graded from what stands there. A contender with a classification head writes nothing: its
label stands for the answer, and is graded as one that was chosen or written.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any, Literal
from unicodedata import normalize

from eval.answer import Written
from eval.answerable import texts
from eval.benchmark import LETTERS
from eval.grading import HEAD, graded, named
from eval.items import ItemScore, draw_seed
from eval.lm import Choice, encode
from eval.lm.budget import Budget
from eval.lm.draw import Sampling
from eval.lm.generate import writing
from eval.lm.labels import label_scores, token_tags
from eval.lm.options import scored
from eval.lm.vllm_engine import Paged
from eval.score.candidate import Candidate
from eval.score.parts import Key
from eval.score.questions import Question
from finetune.card import tagged_of
from finetune.card.labels import NONE
from finetune.chat import Chat
from finetune.files import digest_of
from finetune.methods import tagging
from finetune.methods.heads import Head
from finetune.mistakes import BadInput
from finetune.recipe import Contender, Exam
from finetune.recipe.engine_fit import Words


@dataclass(frozen=True, eq=False)
class Entry:
    """One answer to be given: a question, which of its samples, and its ids for this contender."""

    question: Question
    sample: int
    prompt: tuple[int, ...]
    options: tuple[tuple[int, ...], ...] = ()
    labels: tuple[int, ...] = ()  # with a head: the labels to choose among, an index each, in the order of the options


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
    head: Head | None = None  # the contender's classification head
    templates: tuple[str, str] = ("", "")  # digests of the rendering: of written answers, of options
    why: Words | None = None  # its engine is this one, where the recipe names none

    def entries(self, question: Question) -> Iterator[Entry]:
        """A question's answers to be given: one over its options, or one for each sample."""
        frame = self.contender.prompt
        text = frame.wrap(question.text) if frame else question.text
        if self.head:
            prompt = tuple(self.chat.prompt([{"role": "user", "content": text}]))
            among = self._labels(question) if self.head.kind == "sequence" else ()
            count = self.exam.samples if question.task.protocol == "generated" else 1
            yield from (Entry(question, sample, prompt, labels=among) for sample in range(count))
            return
        if question.task.protocol == "generated":
            prompt = tuple(self.chat.prompt([{"role": "user", "content": text}]))
            yield from (Entry(question, sample, prompt) for sample in range(self.exam.samples))
            return
        chat = likelihood_chat(self.chat)
        before = question.delimiter if chat.family == "plain" else ""
        pairs = [encode(chat, text, before + option) for option in question.options]
        choice = Choice(pairs[0][0], tuple(option for _, option in pairs))
        yield Entry(question, 0, choice.prompt, choice.options)

    def _labels(self, question: Question) -> tuple[int, ...]:
        """Where the options stand among the head's labels; all of its labels for a question without options.

        BadInput: an option is no label. Options shown by letter are known by their words.
        """
        assert self.head is not None, "asked for a contender with a head"
        said, row = question.options, question.row
        named = texts(row) if row.options and len(said) in (0, len(row.options)) else said
        unknown = [text for text in named if text.strip() not in self.head.labels]
        if unknown:
            option = f"option {unknown[0]!r}" if question.task.card.shows(asked=False) else "an option"
            raise BadInput(
                f"task {question.task.name}, {row.id}: {option} is not among the labels of {self.name}'s "
                f"head; leave the task out, or the head"
            )
        return tuple(self.head.labels.index(text.strip()) for text in named) or tuple(range(len(self.head.labels)))

    @property
    def candidate(self) -> Candidate:
        engine: Literal["hf", "vllm"] = "vllm" if self.contender.vllm else "hf"
        return Candidate(self.name, self.seed, self.scorer, self.rank, engine, why=self.why)

    def key(self, entry: Entry) -> Key:
        return self.candidate.key(entry.question, entry.sample)

    def room(self, entry: Entry) -> int:
        """Tokens that may follow the prompt."""
        if self.head:
            return 0
        return max(map(len, entry.options)) if entry.options else self.contender.model.decoding.max_new_tokens

    def answers(self, model: Any, entries: Sequence[Entry], budget: Budget) -> Iterator[list[ItemScore]]:
        """Answer entries of one task, rows as soon as they are made; each with its share of the seconds."""
        if not entries:
            return
        if not (self.head or entries[0].options):
            yield from self._write(model, entries, budget)
            return
        made = self._label(model, entries, budget) if self.head else self._choose(model, entries, budget)
        began = time.perf_counter()
        for rows in made:
            yield timed(rows, time.perf_counter() - began)
            began = time.perf_counter()

    def _label(self, model: Any, entries: Sequence[Entry], budget: Budget) -> Iterator[list[ItemScore]]:
        prompts = [entry.prompt for entry in entries]
        token = self.head is not None and self.head.kind == "token"
        run: Any = token_tags if token else label_scores
        row: Any = self._tagged if token else self._labelled
        for batch, found in run(model, prompts, budget):
            yield [row(entries[i], said) for i, said in zip(batch, found, strict=True)]

    def _choose(self, model: Any, entries: Sequence[Entry], budget: Budget) -> Iterator[list[ItemScore]]:
        choices = [Choice(entry.prompt, entry.options) for entry in entries]
        for batch, found in model.scored(choices) if isinstance(model, Paged) else scored(model, choices, budget):
            yield [self._chosen(entries[i], choices[i], said) for i, said in zip(batch, found, strict=True)]

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

    def _labelled(self, entry: Entry, found: Sequence[float]) -> ItemScore:
        """The likeliest label, whatever its length, graded by the task as the option chosen or the answer written."""
        assert self.head is not None, "asked for a contender with a head"
        question, values = entry.question, tuple(found[place] for place in entry.labels)
        if not all(map(math.isfinite, values)):
            raise RuntimeError(f"{question.row.id}: the head gives no finite score ({values})")
        chosen = values.index(max(values))
        said: dict[str, Any] = {"loglikelihoods": values, "tokens_in": len(entry.prompt), "tokens_thinking": 0}
        if question.task.protocol == "generated":
            row, label = question.row, self.head.labels[entry.labels[chosen]]
            text = LETTERS[chosen] if question.task.answer == "letter" else label
            facts = named(question.task, row, text)
            return self._row(entry, text=text, finish="stop", tokens_out=0, **said, **facts)
        # Whatever the metric divides by, of these the chosen one is the largest.
        score = question.score([(0.0, True) if place == chosen else (-1.0, False) for place in range(len(values))])
        return self._row(
            entry, text=question.options[chosen], finish="likelihood", extracted=LETTERS[chosen], rule=HEAD,
            outcome="correct" if score == 1 else "wrong", score=score, tokens_out=0, **said,
        )  # fmt: skip

    def _tagged(self, entry: Entry, tags: Sequence[int]) -> ItemScore:
        """The passages that the tags cut out of the question's text, as a list, graded as one that was written."""
        row, task = entry.question.row, entry.question.task
        try:
            text = normalize("NFC", tagged_of(row)[0])
            prompt, offsets, inside = tagging.places(self.chat.tokenizer, entry.prompt, text)
        except BadInput as fault:
            said = (
                fault if task.card.shows(asked=False) else "the text to be tagged does not stand in its prompt as it is"
            )
            raise BadInput(f"task {task.name}, {row.id}: {said}") from None
        kept = list(compress(zip(offsets, tags, strict=True), inside))
        found = tagging.passages(prompt, [place for place, _ in kept], [tag for _, tag in kept])
        text = "，".join(found) or NONE[0]
        facts = named(task, row, text)
        return self._row(
            entry, text=text, finish="stop", tokens_in=len(entry.prompt), tokens_thinking=0, tokens_out=0, **facts,
        )  # fmt: skip

    def _write(self, model: Any, entries: Sequence[Entry], budget: Budget) -> Iterator[list[ItemScore]]:
        how = Sampling(**self.contender.model.decoding.model_dump())
        seeds = [self._seed(entry) for entry in entries]
        prompts, until = [entry.prompt for entry in entries], entries[0].question.until
        asked = self.chat, prompts, seeds, how, until
        for done in model.writing(*asked) if isinstance(model, Paged) else writing(model, *asked, budget):
            yield [self._graded(entries[place], written) for place, written in done]

    def _seed(self, entry: Entry) -> int:
        name = f"{entry.question.task.name}/{entry.question.row.id}"
        return draw_seed(self.exam.seed, name, entry.sample)

    def _graded(self, entry: Entry, written: Written) -> ItemScore:
        question, reply = entry.question, self.chat.split(written.ids)
        facts = graded(question.task, question.row, reply.answer, closed=reply.closed, finish=written.finish)
        return self._row(
            entry, text=self.chat.decode(written.ids), finish=written.finish, tokens_in=len(entry.prompt),
            tokens_thinking=reply.thinking_tokens, tokens_out=len(written.ids), counted="text",
            seconds=written.seconds, given=written.given,
            draw_seed=self._seed(entry) if self.contender.model.decoding.temperature else None, **facts,
        )  # fmt: skip

    def _row(self, entry: Entry, **facts: Any) -> ItemScore:
        who = self.candidate
        asked = {"prompt": digest_of(entry.prompt), "template": self.templates[bool(entry.options)]}
        return who.row(entry.question, entry.sample, **asked, **facts)


def likelihood_chat(chat: Chat) -> Chat:
    """The rendering under which options are scored: one that thinks first is handed an empty thought."""
    return replace(chat, think="empty") if chat.think == "keep" else chat


def timed(rows: Sequence[ItemScore], seconds: float) -> list[ItemScore]:
    """The batch's time shared out over its rows by their tokens."""
    tokens = [(row.tokens_in or 0) + (row.tokens_out or 0) for row in rows]
    return [
        row.model_copy(update={"seconds": seconds * part / sum(tokens)}) for row, part in zip(rows, tokens, strict=True)
    ]
