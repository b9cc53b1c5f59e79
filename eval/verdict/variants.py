"""Other ways to look at the same answers, none of them wrong: what the table of sensitivity tries one by one.

Each is a change of the pairs that decide (weights, clusters, which questions, which samples, how blanks count); rows of
the table that change prices instead stand in `sensitivity`. Source: decision.md 5.12; Manski 2003 for the bounds.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.paired import Floats, Layout
from eval.pairing import Pair
from eval.sheet import CUT, UNREAD, Key, Question, Sheet
from eval.verdict.strata import Stratum, partition
from eval.verdict.wording import Words

Kind = Literal[
    "weights",
    "task",
    "language",
    "clean",
    "dated",
    "clusters",
    "extractor",
    "prompt",
    "decoding",
    "blanks",
    "samples",
    "seed",
    "margin",
    "price",
    "loss",
]
BLANKS: dict[tuple[str, ...], Words] = {
    UNREAD: ("answers not read", "无法提取的答案"),
    CUT: ("answers cut off", "被截断的答案"),
    ("missing",): ("answers that are missing", "缺失的答案"),
}


@dataclass(frozen=True)
class Variant:
    """One other way; `change` makes of a pair the one that it would have been."""

    kind: Kind
    words: Words
    change: Callable[[Pair], Pair]


def variants(
    pairs: Sequence[Pair],
    weights: dict[str, float],
    strata: Sequence[Stratum] = (),
    leaked: Collection[Key] = (),
    young: Collection[Key] = (),
) -> Iterator[Variant]:
    """All that change these pairs at all; `strata` are other groups than the declared clusters, `leaked` questions that
    training shows, `young` those that no deciding model can have seen."""
    asked = list(pairs[0].challenger.questions.values())
    yield from _weights(asked, weights)
    yield from _left_out(asked, weights)
    if leaked:
        words = "without questions that training shows", "去掉训练数据中出现过的题目"
        yield from _kept("clean", words, np.array([(q.task, q.id) not in leaked for q in asked]), asked, weights)
    if 0 < len(young) < len(asked):
        words = "questions younger than the models alone", "只看晚于各模型的题目"
        yield from _kept("dated", words, np.array([(q.task, q.id) in young for q in asked]), asked, weights)
    yield from _clusters(asked, weights, strata)
    sheets = {sheet.name: sheet for pair in pairs for sheet in (pair.challenger, pair.incumbent)}
    yield from _second(list(sheets.values()))
    yield from _blanks(list(sheets.values()))
    yield from _samples(list(sheets.values()))
    yield from _seeds(pairs)


def _laid(words: Words, kind: Kind, layout: Layout) -> Variant:
    return Variant(kind, words, lambda pair: replace(pair, layout=layout, told={}))


def _weights(asked: Sequence[Question], weights: dict[str, float]) -> Iterator[Variant]:
    """Where there are several tasks: every question alike, every task alike, unless that is what was declared."""
    tasks = [row.task for row in asked]
    if len(set(tasks)) < 2:
        return
    clusters = [row.cluster for row in asked]
    sizes = {task: float(tasks.count(task)) for task in dict.fromkeys(tasks)}
    words = {
        "items": ("every question weighs the same", "每道题同权"),
        "tasks": ("every task weighs the same", "每个任务同权"),
    }
    for name, tried in {"items": sizes, "tasks": dict.fromkeys(sizes, 1.0)}.items():
        declared = [weights.get(task, 1.0) / tried[task] for task in sizes]
        if not np.allclose(declared, declared[0]):
            yield _laid(words[name], "weights", Layout.of(clusters, tasks, tried))


def _left_out(asked: Sequence[Question], weights: dict[str, float]) -> Iterator[Variant]:
    tasks, langs = ({getattr(row, part): None for row in asked} for part in ("task", "lang"))
    for task in tasks if len(tasks) > 1 else ():
        kept = np.array([row.task != task for row in asked])
        yield from _kept("task", (f"without task {task}", f"去掉任务 {task}"), kept, asked, weights)
    named = {"zh": ("Chinese", "中文"), "en": ("English", "英文")}
    for lang in langs if len(langs) > 1 else ():
        kept = np.array([row.lang != lang for row in asked])
        words = f"without {named[lang][0]}", f"去掉{named[lang][1]}"
        yield from _kept("language", words, kept, asked, weights)


def _kept(
    kind: Kind, words: Words, kept: NDArray[np.bool_], asked: Sequence[Question], weights: dict[str, float]
) -> Iterator[Variant]:
    """Some of the questions; nothing where no interval can be had."""
    change = kept_questions(kept, asked, weights)
    if change:
        yield Variant(kind, words, change)


def kept_questions(
    kept: NDArray[np.bool_], asked: Sequence[Question], weights: dict[str, float]
) -> Callable[[Pair], Pair] | None:
    """Makes of a pair the one on these questions [n] alone; None where what is left of a task lies in one cluster."""
    rows = [row for row, wanted in zip(asked, kept, strict=True) if wanted]
    named = {row.task: weights.get(row.task, 1.0) for row in rows}
    try:
        layout = Layout.of([row.cluster for row in rows], [row.task for row in rows], named)
    except ValueError:
        return None
    counts = Counter(row.task for row in rows)
    weight = np.array([named[row.task] / counts[row.task] for row in rows])
    return lambda pair: replace(
        pair, layout=layout, differences=pair.differences[:, kept], wrongs=pair.wrongs[:, kept],
        weight=weight / weight.sum(), told={},
    )  # fmt: skip


def _clusters(asked: Sequence[Question], weights: dict[str, float], strata: Sequence[Stratum]) -> Iterator[Variant]:
    """Finer than declared (each question for itself), and other groups than declared, each way once."""
    tasks, clusters = [row.task for row in asked], [row.cluster for row in asked]
    named = {task: weights.get(task, 1.0) for task in dict.fromkeys(tasks)}
    seen = {partition(clusters), partition(range(len(asked)))}
    if len(set(clusters)) < len(asked):
        layout = Layout.of(range(len(asked)), tasks, named)
        yield _laid(("every question a cluster of its own", "每道题自成一组"), "clusters", layout)
    for stratum in strata:
        groups = stratum.groups(asked)
        new = (same := partition(groups)) not in seen
        if new and not (stratum.coarse and len(set(groups)) >= len(set(clusters))):
            seen.add(same)
            yield from _grouped(stratum.words, groups, tasks, named)


def _grouped(words: Words, groups: Sequence[str], tasks: Sequence[str], named: dict[str, float]) -> Iterator[Variant]:
    """By these groups; nothing where a task lies in one."""
    with suppress(ValueError):
        yield _laid(words, "clusters", Layout.of(groups, tasks, named))


def _scored(kind: Kind, words: Words, scores: dict[str, Floats], wrong: dict[str, Floats]) -> Variant:
    """Other scores [S, n] of each contender, and the rates of wrong answers that go with them."""

    def change(pair: Pair) -> Pair:
        ours, theirs = pair.challenger.name, pair.incumbent.name
        return replace(pair, differences=scores[ours] - scores[theirs], wrongs=wrong[ours] - wrong[theirs], told={})

    return Variant(kind, words, change)


def _second(sheets: Sequence[Sheet]) -> Iterator[Variant]:
    """Every written answer read strictly where it was read leniently, and the other way round."""
    told = {sheet.name: sheet.second for sheet in sheets}
    scores = {name: found for name, found in told.items() if found is not None}
    if len(scores) == len(told) and any((scores[sheet.name] != sheet.scores).any() for sheet in sheets):
        words = "answers read the other way, strictly for leniently", "答案改用另一种读法（宽松改严格）"
        yield _scored("extractor", words, scores, {sheet.name: sheet.second_wrong for sheet in sheets})


def _blanks(sheets: Sequence[Sheet]) -> Iterator[Variant]:
    """Both of Manski's extremes, where there are blanks."""
    for outcomes, (en, zh) in BLANKS.items():
        if any(sheet.count(*outcomes) for sheet in sheets):
            rivals, ours = extremes(sheets, outcomes)
            yield Variant("blanks", (f"{en}: all of the rival's right", f"{zh}：对手的全算对"), rivals)
            yield Variant("blanks", (f"{en}: all of the challenger's right", f"{zh}：挑战者的全算对"), ours)


def extremes(sheets: Sequence[Sheet], outcomes: Sequence[str]) -> tuple[Callable[[Pair], Pair], Callable[[Pair], Pair]]:
    """Manski: all blanks of the challenger wrong and all of its rivals right, and the other way round. A blank that
    becomes wrong is charged as a wrong answer is."""
    shares = {sheet.name: sheet.share(*outcomes) for sheet in sheets}

    def rivals(pair: Pair) -> Pair:
        ours, theirs = shares[pair.challenger.name], shares[pair.incumbent.name]
        return replace(pair, differences=pair.differences - theirs, wrongs=pair.wrongs + ours, told={})

    def challengers(pair: Pair) -> Pair:
        ours, theirs = shares[pair.challenger.name], shares[pair.incumbent.name]
        return replace(pair, differences=pair.differences + ours, wrongs=pair.wrongs - theirs, told={})

    return rivals, challengers


def _samples(sheets: Sequence[Sheet]) -> Iterator[Variant]:
    if max(count for sheet in sheets for count in sheet.samples.values()) < 2:
        return
    halves, wrong = ({sheet.name: sheet.halves(*of) for sheet in sheets} for of in ((), ("wrong",)))
    said = ("half of the samples", "一半作答"), ("the other half of the samples", "另一半作答")
    for half, words in enumerate(said):
        parts = ({name: found[half] for name, found in each.items()} for each in (halves, wrong))
        yield _scored("samples", words, *parts)


def _seeds(pairs: Sequence[Pair]) -> Iterator[Variant]:
    """Each training seed alone."""
    seeds = max((pair.challenger.seeds for pair in pairs), key=len)
    for place, seed in enumerate(seeds if len(seeds) > 1 else ()):
        yield Variant("seed", (f"training seed {seed} alone", f"只用训练种子 {seed}"), _alone(place))


def _alone(place: int) -> Callable[[Pair], Pair]:
    def change(pair: Pair) -> Pair:
        one = [place % len(pair.differences)]
        return replace(pair, differences=pair.differences[one], wrongs=pair.wrongs[one], told={})

    return change
