"""Flips out of a judged run: who disagrees is told by the sheets, what they said by a few lines of their logs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from eval import columns
from eval.flips import Answer, Asked, Flips, Item
from eval.flips.texts import Texts, asked, bare, fitting, said
from eval.items import ItemScore, at_lines
from eval.sheet import Key
from eval.task import Task
from eval.verdict import Verdict
from eval.verdict.evidence import Evidence
from eval.verdict.turns import Side, deciding, sides, turned
from finetune.run import RunDir


def gather(evidence: Evidence, verdict: Verdict, run: RunDir, digest: str, texts: Texts) -> Flips:
    """The flips of every contrast that decides, the verdict's own first; none where no contest was held.

    `digest`: sha256 of verdict.json.
    """
    compared = deciding(verdict.comparisons, verdict.challenger)
    pairs = [(each.challenger, each.incumbent) for each in compared]
    found = {name: sides(evidence.sheets[name]) for pair in pairs for name in pair}
    flipped = [turned(found[ours], found[theirs]) for ours, theirs in pairs]
    wanted: dict[str, set[Key]] = {}
    for pair, keys in zip(pairs, flipped, strict=True):
        for name in pair:
            wanted.setdefault(name, set()).update(keys)
    answers = {name: _answers(evidence, run, name, keys, found[name]) for name, keys in wanted.items()}
    told = {task.name: texts.of(task.card) for task in evidence.benchmark.tasks}
    items, count = fitting(list(_items(evidence, answers, told)), flipped[0] if flipped else ())
    return Flips(
        verdict=digest, texts=count, private=any(task.private and told[task.name] for task in evidence.benchmark.tasks),
        contrasts=verdict.flips,
        tasks=tuple(_source(task, told[task.name]) for task in evidence.benchmark.tasks), items=tuple(items),
    )  # fmt: skip


def _source(task: Task, told: bool) -> Asked:
    card = task.card
    return Asked(
        task=task.name, scenario=task.scenario, title=card.title, licence=card.licence.name,
        licence_url=card.licence.url, commercial=card.licence.commercial,
        source=card.source.repository if card.source else "", told=told,
    )  # fmt: skip


def _items(evidence: Evidence, answers: Mapping[str, Mapping[Key, Answer]], told: Mapping[str, bool]) -> Iterator[Item]:
    """In the order of the exam; without texts where its card does not tell them."""
    for task in evidence.benchmark.tasks:
        for row in task.rows:
            given = {name: found[task.name, row.id] for name, found in answers.items() if (task.name, row.id) in found}
            if given:
                item = Item(task=task.name, id=row.id, lang=row.lang, answers=given, **asked(row))
                yield item if told[task.name] else bare(item)


def _answers(
    evidence: Evidence, run: RunDir, name: str, keys: Collection[Key], held: Mapping[Key, Side]
) -> dict[Key, Answer]:
    """Of each question the first answer, by seed and sample, that is as right as the contender is; one that the log
    does not hold is missing."""
    found: dict[Key, ItemScore] = {}
    for seed, stage in evidence.scored[name].items():
        left = {key: held[key].holds for key in keys if key not in found}
        log = run.seed(name, seed).items
        lines = _lines(columns.glance(log), stage.fingerprint, left) if left else frozenset()
        found |= {(row.task, row.id): row for row in at_lines(log, lines)}
    first = next(iter(evidence.scored[name]))
    return {key: _answer(found.get(key), first, held[key].right, held[key].of) for key in keys}


def _answer(row: ItemScore | None, seed: int, right: int, of: int) -> Answer:
    if row is None:
        return Answer(seed=seed, sample=0, right=right, of=of, outcome="missing")
    facts = {"rule": row.rule, "outcome": row.outcome, "seed": row.seed, "sample": row.sample}
    return Answer(right=right, of=of, **facts, **said(row))


def _lines(rows: columns.Columns, scorer: str, wanted: Mapping[Key, bool]) -> frozenset[int]:
    """Places in the log of the first samples that are right, or not, as is wanted of their question."""
    (task, tasks), (number, ids) = rows.coded("task"), rows.coded("id")
    at_task, at_id = ({word: at for at, word in enumerate(words)} for words in (tasks, ids))
    asks = np.full(len(tasks) * len(ids), -1, dtype=np.int8)
    for (name, which), right in wanted.items():
        if name in at_task and which in at_id:
            asks[at_task[name] * len(ids) + at_id[which]] = right
    code = task * len(ids) + number
    fits = (asks[code] == _is(rows, "outcome", "correct")) & _is(rows, "scorer", scorer) & _is(rows, "part", "test")
    hits = np.flatnonzero(fits)
    hits = hits[np.argsort(rows.numbers("sample")[hits], kind="stable")]
    _, first = np.unique(code[hits], return_index=True)
    return frozenset(hits[first].tolist())


def _is(rows: columns.Columns, name: str, word: str) -> NDArray[np.bool_]:
    codes, words = rows.coded(name)
    return codes == (words.index(word) if word in words else len(words))
