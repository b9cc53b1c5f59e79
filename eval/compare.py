"""How far apart two paired contenders are: on the whole exam, by task and language; where the variance comes from."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eval.extract.fields import Fields
from eval.labels import CorpusRow, corpus_rows
from eval.noise import Noise, noise
from eval.paired import Estimate, Floats, Layout
from eval.pairing import Pair
from eval.scarce import SmallRow, small_rows
from eval.sheet import Sheet
from eval.significance import holm, mcnemar_clustered, mcnemar_midp, tango
from eval.spread import TINY, Spread, design_effect, mde_by_samples, samples_that_pay

FROZEN = ConfigDict(frozen=True, extra="forbid")
Role = Literal["delta", "alternative", "tau", "gamma"]  # against incumbent, alternative, own base; bases


class TaskRow(BaseModel):
    """One task of a comparison; `variance_share` is its part of the whole variance, `weight` its part of the gain."""

    model_config = FROZEN
    task: str
    lang: str
    n: int
    clusters: int
    gain: float
    low: float
    high: float
    mde: float
    variance_share: float
    weight: float
    holm_p: float  # two-sided against no difference, Holm over the tasks
    sigma2: tuple[float, float] | None  # variance of one sample (challenger, incumbent); None with one sample each
    omega2: float | None  # variance of the difference that more samples cannot remove
    deff: float | None = None  # design effect: variance over that of as many independent questions


class LangRow(BaseModel):
    """One language of a comparison; no interval where its questions lie in one cluster."""

    model_config = FROZEN
    lang: str
    n: int
    clusters: int
    gain: float
    low: float | None
    high: float | None
    mde: float | None
    weight: float
    holm_p: float | None


Row = TypeVar("Row", TaskRow, LangRow)


class Comparison(BaseModel):
    """Challenger minus incumbent on the same questions. Gains are shares of a point, in [-1, 1]; bounds too."""

    model_config = FROZEN
    role: Role
    challenger: str
    incumbent: str
    gain: float
    low: float
    high: float
    se: float
    df: float
    n: int
    clusters: int
    effective_clusters: float
    confidence: float
    method: str
    t_interval: tuple[float, float]
    wild_interval: tuple[float, float] | None
    margin: float
    p: float  # one-sided: the true gain is at or below the margin
    mde: float  # true distance from the margin that 80 of 100 such exams would find, at the level that decides
    mde_parts: tuple[float, float]  # what falls with the root of the questions' number, and what with the number itself
    wins: int
    losses: int
    ties: int
    seeds: int
    seed_variance: float
    seed_gains: tuple[float, ...]
    samples: dict[str, tuple[int, int]]  # task -> (challenger, incumbent)
    sampling_share: float | None  # of the variance: what more samples would remove; None with one sample each
    mcnemar: float | None  # two-sided mid-p, clusters and weights ignored; single 0/1 samples of one seed only
    tango: tuple[float, float] | None = None  # score interval of the plain difference, where `mcnemar` stands
    mcnemar_clustered: tuple[float, float] | None = None  # p after Obuchowski and after Durkalski; None as `mcnemar`
    tasks: tuple[TaskRow, ...]
    langs: tuple[LangRow, ...]
    spread: Spread | None = None
    corpus: tuple[CorpusRow, ...] = ()  # macro-F1 where questions share their labels; decides nothing
    small: tuple[SmallRow, ...] = ()  # tasks of few questions with rates near 0 or 1; decides nothing

    @property
    def drawn(self) -> tuple[int, int]:
        """Fewest and most samples that either side gave to a question: what is chosen by likelihood has one."""
        counts = [count for sides in self.samples.values() for count in sides]
        return min(counts), max(counts)


def compare(
    pair: Pair, *, role: Role, confidence: float, margin: float, fields: Mapping[str, Fields] | None = None,
    level: float | None = None,
) -> Comparison:  # fmt: skip
    """Everything that is said of one contrast. `level` is the one-sided error at which it decides, where that is not
    the plain one (Holm): the mde is of it, the interval is not."""
    found = pair.estimate(level=(1 - confidence) / 2, margin=margin)
    deciding = found if level is None else pair.estimate(level=level, margin=margin)
    each = pair.differences.mean(axis=0)
    tasks = _tasks(pair, found, confidence)
    noisy = [row for row in tasks if row.sigma2 is not None]
    return Comparison(
        role=role, challenger=pair.challenger.name, incumbent=pair.incumbent.name, gain=found.gain,
        low=_inside(found.low), high=_inside(found.high), se=found.se, df=found.df, n=found.n, clusters=found.clusters,
        effective_clusters=found.effective_clusters, confidence=confidence, method=found.method,
        t_interval=_clipped(found.t_interval), wild_interval=found.wild_interval and _clipped(found.wild_interval),
        margin=margin, p=found.p, mde=min(deciding.mde80, 1.0), mde_parts=deciding.mde_parts,
        wins=int((each > 0).sum()), losses=int((each < 0).sum()), ties=int((each == 0).sum()), seeds=found.seeds,
        seed_variance=found.seed_variance,
        seed_gains=tuple(pair.layout.estimate(row).gain for row in pair.differences),
        samples={task: (count, pair.incumbent.samples[task]) for task, count in pair.challenger.samples.items()},
        sampling_share=_sampling_share(pair, noisy, found.se) if noisy else None,
        **_expected(pair, confidence),
        tasks=tasks, langs=_langs(pair, confidence), spread=_spread(pair, found, tasks, deciding.mde_parts),
        corpus=corpus_rows(pair.challenger, pair.incumbent, confidence, fields), small=small_rows(pair, confidence),
    )  # fmt: skip


def _inside(bound: float) -> float:
    """Scores lie in [0, 1], so no difference lies outside [-1, 1], whatever a wide interval says."""
    return max(-1.0, min(1.0, bound))


def _clipped(interval: tuple[float, float]) -> tuple[float, float]:
    return _inside(interval[0]), _inside(interval[1])


def _slice(pair: Pair, chosen: NDArray[np.bool_], confidence: float) -> Estimate:
    """The estimate on some of the questions, each task weighing what its chosen questions weigh in the whole."""
    rows = [question for question, wanted in zip(pair.challenger.questions.values(), chosen, strict=True) if wanted]
    mass: dict[str, float] = {}
    for row, part in zip(rows, pair.weight[chosen].tolist(), strict=True):
        mass[row.task] = mass.get(row.task, 0.0) + part
    layout = Layout.of([row.cluster for row in rows], [row.task for row in rows], mass)
    return layout.estimate(pair.differences[:, chosen], confidence=confidence)


def _tasks(pair: Pair, whole: Estimate, confidence: float) -> tuple[TaskRow, ...]:
    questions = list(pair.challenger.questions.values())
    rows = []
    for task, weight in zip(pair.layout.tasks, pair.layout.weight.tolist(), strict=True):
        found = _slice(pair, np.array([row.task == task for row in questions]), confidence)
        split = _noise(pair, task)
        rows.append(TaskRow(
            task=task, lang="+".join(sorted({row.lang for row in questions if row.task == task})), n=found.n,
            clusters=found.clusters, gain=found.gain, low=_inside(found.low), high=_inside(found.high),
            mde=min(found.mde80, 1.0), variance_share=whole.shares[task], weight=weight, holm_p=found.p_two_sided,
            sigma2=(split.sigma2_a, split.sigma2_b) if split else None, omega2=split.omega2 if split else None,
            deff=design_effect(_clustered(found), _independent(pair, task) / found.n),
        ))  # fmt: skip
    return _holm(rows)


def _langs(pair: Pair, confidence: float) -> tuple[LangRow, ...]:
    questions = list(pair.challenger.questions.values())
    rows = []
    for lang in sorted({row.lang for row in questions}):
        chosen = np.array([row.lang == lang for row in questions])
        mass = pair.weight[chosen]
        try:
            found = _slice(pair, chosen, confidence)
        except ValueError:  # a task lies in one cluster in this language: a mean can be told, an interval cannot
            found = None
        rows.append(LangRow(
            lang=lang, n=len(mass), clusters=len({row.cluster for row in questions if row.lang == lang}),
            gain=float(pair.differences.mean(axis=0)[chosen] @ mass / mass.sum()), weight=float(mass.sum()),
            low=_inside(found.low) if found else None, high=_inside(found.high) if found else None,
            mde=min(found.mde80, 1.0) if found else None, holm_p=found.p_two_sided if found else None,
        ))  # fmt: skip
    return _holm(rows)


def _holm(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The same rows with their p-values adjusted for how many of them there are."""
    known = [row for row in rows if row.holm_p is not None]
    adjusted = iter(step.adjusted_p for step in holm([row.holm_p or 0.0 for row in known], 0.05))
    return tuple(row if row.holm_p is None else row.model_copy(update={"holm_p": next(adjusted)}) for row in rows)


def _noise(pair: Pair, task: str) -> Noise | None:
    """How much of a task's variance is the luck of single answers; None where each question has one answer a side."""
    first, second = (_samples(sheet, task, pair.differences.shape[0]) for sheet in (pair.challenger, pair.incumbent))
    return noise(first, second) if max(first.shape[1], second.shape[1]) > 1 else None


def _samples(sheet: Sheet, task: str, seeds: int) -> Floats:
    """[S * n, K] scores; a contender of one seed stands against each seed of the other."""
    scores = sheet.drawn(task)
    shape = (len(scores), seeds, scores.shape[2])
    return np.broadcast_to(scores, shape).transpose(1, 0, 2).reshape(-1, scores.shape[2])


def _sampling_share(pair: Pair, rows: Sequence[TaskRow], se: float) -> float:
    """Part of the whole variance that comes from drawing K answers rather than all."""
    return min(1.0, _drawn(pair, rows, pair.challenger.samples, pair.incumbent.samples) / se**2) if se else 0.0


def _drawn(pair: Pair, rows: Sequence[TaskRow], *samples: Mapping[str, int]) -> float:
    """Variance of the gain that comes from drawing, with so many answers a question by (challenger, incumbent)."""
    total = 0.0
    for row in rows:
        for sheet, sigma2, drawn in zip((pair.challenger, pair.incumbent), row.sigma2 or (0, 0), samples, strict=True):
            total += row.weight**2 / row.n * sigma2 / (drawn[row.task] * len(sheet.seeds))
    return total


def _spread(pair: Pair, found: Estimate, rows: Sequence[TaskRow], parts: tuple[float, float]) -> Spread:
    """Where the variance comes from; `kept` is what no further sample removes. `parts` of the mde, seen and hidden."""
    variance, mde, hidden = found.se**2, min(sum(parts), 1.0), parts[1]
    independent = sum(row.weight**2 * _independent(pair, row.task) / row.n for row in rows)
    told = any(row.sigma2 for row in rows) and variance > 0
    once = {row.task: 1 for row in rows}
    drawn = _drawn(pair, rows, once, once)
    kept = max(0.0, variance - _drawn(pair, rows, pair.challenger.samples, pair.incumbent.samples))
    return Spread(
        deff=design_effect(_clustered(found), independent),
        seed_share=found.seed_variance / found.seeds / variance if variance else 0.0,
        samples_that_pay=samples_that_pay(kept, drawn) if told else None,
        drawn_to_kept=drawn / kept if told and kept > TINY else None,
        mde_by_samples=mde_by_samples(mde, variance, kept, drawn, min(mde, hidden)) if told else (),
    )


def _clustered(found: Estimate) -> float:
    """Variance of the gain without what lies between training seeds."""
    return max(0.0, found.se**2 - found.seed_variance / found.seeds)


def _independent(pair: Pair, task: str) -> float:
    """Variance of one question's difference in a task, as if each stood for itself."""
    chosen = np.array([name == task for name, _ in pair.challenger.questions])
    return float(np.var(pair.differences.mean(axis=0)[chosen], ddof=1))


def _expected(pair: Pair, confidence: float) -> dict[str, Any]:
    """What some readers expect, where every answer is right or wrong: McNemar's test, Tango's interval."""
    single = {1} == {*pair.challenger.samples.values(), *pair.incumbent.samples.values()}
    if not single or len(pair.differences) > 1 or not set(np.unique(pair.differences)) <= {-1.0, 0.0, 1.0}:
        return {"mcnemar": None}
    wins, losses = int((pair.differences > 0).sum()), int((pair.differences < 0).sum())
    cluster = np.unique([row.cluster for row in pair.challenger.questions.values()], return_inverse=True)[1]
    net, sizes = np.bincount(cluster, weights=pair.differences[0]), np.bincount(cluster)
    return {
        "mcnemar": mcnemar_midp(wins, losses),
        "tango": tango(wins, losses, pair.differences.size, confidence),
        "mcnemar_clustered": mcnemar_clustered(net.tolist(), sizes.tolist()),
    }
