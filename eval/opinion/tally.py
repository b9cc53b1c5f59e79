"""What a judge's opinions are worth: beside people's labels, by prediction-powered inference (decision.md 5.7).

    theta = mean_N f + mean_n (y - f),   Var = Var(f) / N + Var(y - f) / n        (Angelopoulos et al. 2023)

f: what the judge says of a pair, 1 for the challenger, -1 for its rival, 0 for a tie; y: what people say of it. N
pairs have the judge's opinion alone, n have both; both terms are clustered by document. People decide what is right,
the judge only narrows the interval; without them its own mean is advisory, however narrow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from eval.benchmark import Benchmark
from eval.opinion import WORTH, Choice, Opinion, read, shown_as
from eval.opinion.asking import identity
from eval.opinion.pairs import scorers
from eval.paired import Floats, Layout
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import RunDir

FROZEN = ConfigDict(frozen=True, extra="forbid")
ENOUGH = 100  # labels of people without which nothing is corrected


class Label(BaseModel):
    """One line of a labelled sheet; what else stands in it is not read."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    id: str
    pair: str
    label: Choice | Literal[""]


class Net(NamedTuple):
    """Share of pairs that prefer the challenger minus the share that prefers its rival; no interval in one cluster."""

    gain: float
    low: float | None
    high: float | None


class Tally(BaseModel):
    """One task of one challenger, as the judge and people see it. Preferences are net, in [-1, 1]."""

    model_config = FROZEN
    challenger: str
    rival: str
    task: str
    n: int  # pairs judged
    of: int  # pairs that there are
    clusters: int
    wins: int
    losses: int
    ties: int
    equal: int  # of the ties: answers alike, which nobody was asked about
    turned: float  # share of the pairs asked that were judged otherwise once swapped, or could not be read
    unread: float  # share of what was said in which no winner could be read
    first: float | None  # share of the winners named that stood first: 0.5 without a preference for places
    judged: Net  # the judge alone: advisory
    labels: int  # pairs with people's label too
    agreement: float | None  # share of those that both see alike
    corrected: Net | None  # None with fewer than 100 labels
    models: tuple[str, ...]  # as the server named itself; more than one is no fixed revision
    strays: int = 0  # labels of no pair that the judge has seen, of all tasks and challengers


def tallies_of(recipe: Recipe, benchmark: Benchmark, run: RunDir) -> tuple[Tally, ...]:
    """What the recipe's judge said of the answers as they were scored, task by task."""
    judge = recipe.exam.judge
    if judge is None:
        return ()
    labels, mark, found = read_labels(Path(judge.labels)) if judge.labels else {}, identity(judge), []
    strays = set(labels)
    for name in recipe.rule.challengers:
        of = scorers(recipe, benchmark, name)
        rows = [row for row in read(run.opinions(name)) if (row.judge, row.scorers) == (mark, of)]
        strays -= {row.pair for row in rows}
        for task in benchmark.tasks:
            mine = {row.id: row for row in rows if row.task == task.name}
            asked = sum(task.part(row) == "test" for row in task.rows)
            if mine:
                found.append(tally(list(mine.values()), asked, labels, recipe.rule.confidence))
    return tuple(each.model_copy(update={"strays": len(strays)}) for each in found)


def tally(opinions: Sequence[Opinion], of: int, labels: Mapping[str, Choice], confidence: float) -> Tally:
    """Of one task and challenger, one opinion a pair; `labels` by pair, as people saw it."""
    some, f = opinions[0], np.array([WORTH[each.side] for each in opinions])
    asked = [each for each in opinions if each.texts != ("", "")]
    said = [each for row in asked for each in row.said]
    named = [each for each in said if each in ("A", "B")]
    clusters = [each.cluster for each in opinions]
    seen = [_worth(each, labels.get(each.pair)) for each in opinions]
    both = [(place, value) for place, value in enumerate(seen) if value is not None]
    return Tally(
        challenger=some.challenger, rival=some.rival, task=some.task, n=len(f), of=of, clusters=len(set(clusters)),
        wins=int((f > 0).sum()), losses=int((f < 0).sum()), ties=int((f == 0).sum()), equal=len(f) - len(asked),
        turned=_share([not each.agreed for each in asked]), unread=_share([each is None for each in said]),
        first=_share([each == "A" for each in named]) if named else None,
        judged=_net(f, clusters, None, confidence), labels=len(both),
        agreement=_share([f[place] == value for place, value in both]) if both else None,
        corrected=_corrected(f, clusters, both, confidence) if len(both) >= ENOUGH else None,
        models=tuple(sorted({name for each in asked for name in each.models})),
    )  # fmt: skip


def _corrected(
    f: Floats, clusters: Sequence[object], both: Sequence[tuple[int, float]], confidence: float
) -> Net:  # fmt: skip
    """With the labels of people, where `both` gives place and value of each pair that they have seen too."""
    known = {place for place, _ in both}
    rest = [place for place in range(len(f)) if place not in known]
    return rectified(
        f[rest], [clusters[place] for place in rest], f[[place for place, _ in both]],
        [value for _, value in both], [clusters[place] for place, _ in both], confidence,
    )  # fmt: skip


def rectified(
    f: ArrayLike, clusters: Sequence[object], judged: ArrayLike, labels: ArrayLike, labelled: Sequence[object],
    confidence: float,
) -> Net:  # fmt: skip
    """The formula at the head: `f` [N] and `clusters` [N] of pairs that the judge alone has seen, `judged` and `labels`
    [n] and `labelled` [n] (clusters) of those that people have seen too. With N = 0 it is the mean of the labels."""
    alone, theirs, ours = np.asarray(f, float), np.asarray(judged, float), np.asarray(labels, float)
    if not len(alone):
        return _net(ours, labelled, None, confidence)
    # Two parts of equal weight, each doubled: their mean is the sum of the parts' means, and shared documents are kept.
    values = 2 * np.concatenate([alone, ours - theirs])
    parts = ["judged"] * len(alone) + ["labelled"] * len(ours)
    return _net(values, [*clusters, *labelled], parts, confidence, least=len(set(labelled)), most=np.array([2.0, 4.0]))


def _net(
    values: ArrayLike, clusters: Sequence[object], parts: Sequence[str] | None, confidence: float, least: int = 0,
    most: ArrayLike = 1.0,
) -> Net:  # fmt: skip
    """Where nothing varies the rule of three bounds it over `least` clusters (all of them without it); where one part
    does not, by the size that its values have at `most`."""
    array = np.asarray(values, float)
    try:
        found = Layout.of(clusters, parts).estimate(array, confidence=confidence, span=(-np.asarray(most), most))
    except ValueError:  # a part lies in one cluster
        names = np.asarray(parts if parts is not None else ["all"] * len(array))
        return Net(_inside(float(np.mean([array[names == one].mean() for one in dict.fromkeys(names)]))), None, None)
    low, high = found.low, found.high
    if not found.se:
        reach = min(1.0, -math.log((1 - confidence) / 2) / (least or len(set(clusters))))
        low, high = found.gain - (1 + found.gain) * reach, found.gain + (1 - found.gain) * reach
    return Net(_inside(found.gain), _inside(low), _inside(high))


def read_labels(path: Path) -> dict[str, Choice]:
    """Pair -> label, of lines that have one. BadInput names a line that is none, or that contradicts another."""
    found: dict[str, Choice] = {}
    try:
        lines = path.read_text("utf-8-sig").split("\n")  # an answer may hold other line breaks
    except (OSError, UnicodeDecodeError) as fault:
        raise BadInput(f"exam.judge.labels: {path} cannot be read ({fault}); give a labelled to_label.jsonl") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = Label.model_validate(json.loads(line))
        except (ValueError, RecursionError):
            raise BadInput(f"{path}:{number}: needs id, pair and label, which is A, B, tie or empty") from None
        if row.label and found.setdefault(row.pair, row.label) != row.label:
            raise BadInput(f"{path}:{number}: {row.id} has two unlike labels; leave one")
    return found


def _worth(row: Opinion, label: Choice | None) -> float | None:
    """What people say of a pair, as `f` is counted; None where they say nothing."""
    if label is None or label == "tie":
        return None if label is None else 0.0
    return 1.0 if (label == "A") == shown_as(row.pair) else -1.0


def _share(held: Sequence[object]) -> float:
    return sum(map(bool, held)) / len(held) if held else 0.0


def _inside(value: float) -> float:
    return max(-1.0, min(1.0, value))
