"""Guards: what tuning harmed, a challenger against its own untuned base (decision.md 5.6).

Non-inferiority by the interval of every other gain (5.3): a guard passes when the lower end lies above minus its
margin, fails when the upper end lies below it, and is unresolved otherwise. All guards of a challenger must pass, an
intersection-union claim (Berger 1982), so none is corrected for another. Several challengers are several such claims,
of which one is enough: Holm corrects them by the worst p of each, over rivals and guards, and the lower ends of guards
are taken at its levels (5.4). That a guard fails is held at the plain level: not worth it needs it of every challenger.

Where many answers of a side could not be graded, a guard passes or fails only where it does so whatever they were.

Guard questions that a challenger was tuned on flatter it, never the reverse: its guards are judged without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from eval.guards import Guard
from eval.guards import guards as declared
from eval.paired import Estimate, Floats, Layout
from eval.pairing import mismatch
from eval.power import more_items
from eval.sheet import CUT, UNREAD, BadPairing, Key, Question, Sheet
from eval.verdict.evidence import Evidence
from eval.verdict.guard_blanks import GuardBlanks, Shares, hidden
from eval.verdict.leaks import guard_leaks
from eval.verdict.ruling import Code, Reason, points
from finetune.recipe.guards import GuardKind

Words = tuple[str, str]  # English, Chinese
LANGS: dict[str, Words] = {"zh": ("Chinese", "中文"), "en": ("English", "英文")}
KINDS: dict[GuardKind, Words] = {
    "forgetting": ("general ability", "通用能力"), "language": ("finance", "金融任务"),
    "safety": ("compliance and refusal", "合规与拒答"),
}  # fmt: skip
HARMS: dict[GuardKind, tuple[Code, str, str]] = {
    "forgetting": ("forgets", "forgets", "出现遗忘"),
    "language": ("loses_language", "loses the other language", "削弱了另一种语言"),
    "safety": ("loosens", "loosens its compliance", "合规与拒答变差"),
}


class GuardRow(BaseModel):
    """One guard of one challenger. Gain and bounds: challenger minus its own base, shares of a point."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    challenger: str
    base: str
    kind: GuardKind
    lang: str
    tasks: tuple[str, ...]
    whole: bool = Field(description="The mean over the guard's sets; else one set of several, with a wider margin")
    status: Literal["passed", "failed", "unresolved"]
    gain: float
    low: float
    high: float
    margin: float = Field(description="Loss that is borne: the interval is held against minus this")
    n: int
    clusters: int
    mde: float
    needed: int | None = Field(description="Questions that would settle it, if the true change is the one seen")
    vacuous: bool = Field(description="The base has no more than the margin to lose above guessing: it cannot fail")
    score: float = Field(description="Of the challenger, as the next two a mean over the sets")
    base_score: float
    incumbent_score: float
    shown: int = Field(0, description="Questions that its training rows show: they flatter it, and are left out")
    flattered: tuple[float, float, float] | None = Field(None, description="Gain, low, high with them; None: no such")
    untold: bool = Field(False, description="What is left cannot be judged: all questions stand here, and none passes")
    unread: Shares = Field((0.0, 0.0), description="Shares of answers not read, of the challenger and of its base")
    cut: Shares = Field((0.0, 0.0), description="The same of answers cut off, or whose thought never closed")
    bounds: tuple[float, float] | None = Field(None, description="Low and high whatever many blanks were; None: few")
    blank: bool = Field(False, description="It would pass or fail, but not whatever the blanks were")

    @property
    def words(self) -> Words:
        """What is guarded: a harm in a language, and the set where it is one of several."""
        return guard_words(self.kind, self.lang, "" if self.whole else self.tasks[0])

    @property
    def reason(self) -> Reason:
        """Why it does not pass."""
        code, harm, harm_zh = HARMS[self.kind]
        (en, zh), who, base, limit = self.words, self.challenger, self.base, points(self.margin)
        if self.status == "failed":
            least = points(-self.high)
            text = f"{who} {harm}: {en} falls by at least {least} points against {base}, more than the {limit} borne"
            text_zh = f"{who} {harm_zh}：{zh}比 {base} 至少下降 {least} 个百分点，超过容许的 {limit}"
        elif self.untold:
            code = "guard_unresolved"
            text = f"the guard of {en} cannot pass: {self.shown:,} of its {self.n:,} questions show in what {who} was "
            text += "tuned on, and what is left cannot be judged"
            text_zh = (
                f"{zh}这一护栏不可能通过：{self.n:,} 道题中有 {self.shown:,} 道见于 {who} 的训练数据，剩余题目无法判定"
            )
        elif self.blank and self.bounds:
            code, low, high = "guard_unresolved", *map(points, self.bounds)
            (text, text_zh), (act, act_zh) = hidden(who, base, self.unread, self.cut)
            text = f"the guard of {en} cannot be told: {text}; whatever they were, the change lies between {low} and "
            text += f"{high} points, which holds the {points(-self.margin)} borne ({act}, and score again)"
            text_zh = f"{zh}这一护栏无从判断：{text_zh}；无论这些答案对错，变化在 {low} 至 {high} 个百分点之间，"
            text_zh += f"容许下限 {points(-self.margin)} 落在其中（请{act_zh}，再重新评分）"
        elif self.vacuous:
            code, seen = "guard_unresolved", points(self.base_score)
            text = f"the guard of {en} cannot fail: {base} itself scores {seen} there, which is no more than guessing"
            text_zh = f"{zh}这一护栏无从判断：{base} 自身得分 {seen}，与瞎猜无异"
        else:
            code, low, high, limit = "guard_unresolved", points(self.low), points(self.high), points(-self.margin)
            text = f"the guard of {en} is unresolved: {who} against {base} lies between {low} and {high} points, "
            text += f"which holds the {limit} borne"
            text_zh = (
                f"{zh}这一护栏未能判定：{who} 对 {base} 在 {low} 至 {high} 个百分点之间，容许下限 {limit} 落在其中"
            )
        return Reason(code=code, rival=base, text=text, text_zh=text_zh)


def guard_words(kind: str, lang: str, only: str) -> Words:
    """A guard in words, by the set where it is one of several; a kind of another version by its own name."""
    named: dict[str, Words] = {str(each): said for each, said in KINDS.items()}
    (en, zh), (of, of_zh) = named.get(kind, (kind, kind)), LANGS.get(lang, (lang, lang))
    return f"{en} in {of}{f' ({only})' if only else ''}", f"{of_zh}{zh}{f'（{only}）' if only else ''}"


@dataclass(frozen=True, eq=False)
class GuardTest:
    """One guard of one challenger, ready for a row at any level of error."""

    guard: Guard
    names: tuple[str, str, str]  # challenger, base, incumbent
    confidence: float
    layout: Layout
    gains: Floats  # [S, n], challenger minus base
    scores: tuple[float, float, float]  # of `names`
    shown: int
    whole: tuple[Layout, Floats] | None  # with the questions that training shows; None: there are none
    untold: bool
    blanks: GuardBlanks
    told: dict[float, GuardRow] = field(default_factory=dict)  # by level

    @classmethod
    def of(cls, evidence: Evidence, guard: Guard, challenger: str, leaked: frozenset[Key]) -> Self:
        """BadPairing: the challenger or its base did not answer what the guard asks."""
        rule = evidence.recipe.rule
        names = (challenger, rule.base, rule.incumbent)
        parts = [[_part(evidence, name, task.name) for task in guard.tasks] for name in names]
        for ours, base in zip(parts[0], parts[1], strict=True):
            if fault := mismatch(ours, base):
                raise BadPairing(fault)
        asked = [row for part in parts[0] for row in part.questions.values()]
        mine = np.array([row.lang == guard.lang for row in asked])
        clean = mine & np.array([(row.task, row.id) not in leaked for row in asked])
        shown, layout = int(mine.sum() - clean.sum()), _layout(asked, clean, guard)
        every = _layout(asked, mine, guard)
        if every is None:
            raise BadPairing(f"the guard of {' '.join(guard_words(guard.kind, guard.lang, ''))} cannot be judged")
        kept, untold = (mine, True) if layout is None else (clean, False)
        tuned, untuned, rival = (np.concatenate([part.scores for part in side], axis=1) for side in parts)
        rows, gains = [row for row, wanted in zip(asked, kept, strict=True) if wanted], tuned - untuned
        scores = _mean(rows, tuned[:, kept]), _mean(rows, untuned[:, kept]), _mean(rows, rival[:, kept])
        whole = (every, gains[:, mine]) if shown else None
        blanks = GuardBlanks.of(parts[:2], kept, lambda shares: _mean(rows, shares))
        return cls(guard, names, rule.confidence, layout or every, gains[:, kept], scores, shown, whole, untold, blanks)

    @cached_property
    def p(self) -> float:
        """One-sided: tuning loses the margin or more. 1 where it could not pass whatever was answered; where blanks are
        many, with those of the base right."""
        if self.untold or self.vacuous:
            return 1.0
        tried, extremes = [self.gains], self.blanks.extremes(self.gains)
        if extremes:
            tried.append(extremes[0])
        margin = -self.guard.margin
        return max(self.layout.estimate(gains, confidence=self.confidence, margin=margin).p for gains in tried)

    @property
    def vacuous(self) -> bool:
        return self.scores[1] - self.guard.guess_rate <= self.guard.margin

    def row(self, level: float) -> GuardRow:
        """With its lower end at a one-sided `level`, its upper end at the plain one."""
        if level not in self.told:
            self.told[level] = self._row(level)
        return self.told[level]

    def _row(self, level: float) -> GuardRow:
        found, guard = self._estimate(self.layout, self.gains, level), self.guard
        status, distance = verdict_of(found, guard.margin), abs(found.gain + guard.margin)
        blank, bounds = False, self._bounds(level)
        if bounds and status != "unresolved" and verdict_of(bounds, guard.margin) != status:
            status, blank = "unresolved", True
        if status == "passed" and (self.vacuous or self.untold):
            status = "unresolved"
        settles = status == "unresolved" and not (self.vacuous or self.untold or blank) and distance > 1e-6
        mde, (score, base, incumbent) = min(found.mde80, 1.0), self.scores
        every = self._estimate(*self.whole, level) if self.whole else None
        return GuardRow(
            challenger=self.names[0], base=self.names[1], kind=guard.kind, lang=guard.lang,
            tasks=tuple(task.name for task in guard.tasks), whole=guard.whole, status=status, gain=found.gain,
            low=found.low, high=found.high, margin=guard.margin, n=found.n, clusters=found.clusters, mde=mde,
            needed=max(found.n + 1, more_items(found.n, found.mde_parts, distance)) if settles else None,
            vacuous=self.vacuous, score=score, base_score=base, incumbent_score=incumbent, shown=self.shown,
            flattered=(every.gain, every.low, every.high) if every else None, untold=self.untold,
            unread=self.blanks.shares[UNREAD], cut=self.blanks.shares[CUT],
            bounds=(bounds.low, bounds.high) if bounds else None, blank=blank,
        )  # fmt: skip

    def _bounds(self, level: float) -> Estimate | None:
        """Manski: the lower end with every blank of the base right, the upper with every one of the challenger."""
        extremes = self.blanks.extremes(self.gains)
        if extremes is None:
            return None
        least, most = (self._estimate(self.layout, gains, level) for gains in extremes)
        return replace(least, high=most.high)

    def _estimate(self, layout: Layout, gains: Floats, level: float) -> Estimate:
        margin = -self.guard.margin
        plain = own = layout.estimate(gains, confidence=self.confidence, margin=margin)
        if level < (1 - self.confidence) / 2:
            own = layout.estimate(gains, confidence=1 - 2 * level, margin=margin)
        return replace(own, low=max(-1.0, own.low), high=min(1.0, plain.high))


def guard_tests(evidence: Evidence, challenger: str) -> tuple[GuardTest, ...]:
    """Every guard of one challenger. BadPairing: it or its base did not answer what the guard asks."""
    found = declared(evidence.recipe, evidence.benchmark)
    tasks = tuple({task.name: task for guard in found for task in guard.tasks}.values())
    leaked = guard_leaks(evidence, challenger, tasks)
    return tuple(GuardTest.of(evidence, guard, challenger, leaked) for guard in found)


def guard_rows(tests: Sequence[GuardTest], level: float) -> tuple[GuardRow, ...]:
    """As Holm leaves the challenger: `level` is its one-sided error."""
    return tuple(test.row(level) for test in tests)


def verdict_of(found: Estimate, margin: float) -> Literal["passed", "failed", "unresolved"]:
    """The rule itself: passed if L > -m, failed if U < -m."""
    return "passed" if found.low > -margin else "failed" if found.high < -margin else "unresolved"


def _layout(asked: Sequence[Question], kept: NDArray[np.bool_], guard: Guard) -> Layout | None:
    """None where some set of the guard has no two clusters left."""
    rows = [row for row, wanted in zip(asked, kept, strict=True) if wanted]
    if {row.task for row in rows} != {task.name for task in guard.tasks}:
        return None
    try:
        return Layout.of([row.cluster for row in rows], [row.task for row in rows])
    except ValueError:
        return None


def _part(evidence: Evidence, name: str, task: str) -> Sheet:
    """A contender's answers to one task: a guard's own, or the exam's."""
    own = evidence.guarded.get(name)
    return own.part(task) if own and task in own.samples else evidence.sheets[name].part(task)


def _mean(asked: Sequence[Question], scores: Floats) -> float:
    """Every task weighs the same."""
    tasks = [row.task for row in asked]
    each = scores.mean(axis=0)
    means = [each[[row == task for row in tasks]].mean() for task in dict.fromkeys(tasks)]
    return float(np.mean(means))
