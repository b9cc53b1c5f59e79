"""Guards: what tuning harmed, a challenger against its own untuned base (decision.md 5.6).

Non-inferiority by the interval of every other gain (5.3): a guard passes when the lower end lies above minus its
margin, fails when the upper end lies below it, and is unresolved otherwise. All guards of a challenger must pass, an
intersection-union claim, so none is corrected for another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from eval.compare import mismatch
from eval.guards import Guard
from eval.guards import guards as declared
from eval.paired import Estimate, Floats, Layout
from eval.sheet import BadPairing, Question, Sheet
from eval.verdict.evidence import Evidence
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


def guard_rows(evidence: Evidence, challenger: str) -> tuple[GuardRow, ...]:
    """Every guard of one challenger. BadPairing: it or its base did not answer what the guard asks."""
    return tuple(_row(evidence, guard, challenger) for guard in declared(evidence.recipe, evidence.benchmark))


def verdict_of(found: Estimate, margin: float) -> Literal["passed", "failed", "unresolved"]:
    """The rule itself: passed if L > -m, failed if U < -m."""
    return "passed" if found.low > -margin else "failed" if found.high < -margin else "unresolved"


def _row(evidence: Evidence, guard: Guard, challenger: str) -> GuardRow:
    rule = evidence.recipe.rule
    names = (challenger, rule.base, rule.incumbent)
    parts = [[_part(evidence, name, task.name) for task in guard.tasks] for name in names]
    questions = [row for part in parts[0] for row in part.questions.values()]
    chosen = np.array([row.lang == guard.lang for row in questions])
    asked = [row for row, wanted in zip(questions, chosen, strict=True) if wanted]
    layout = Layout.of([row.cluster for row in asked], [row.task for row in asked])
    for ours, base in zip(parts[0], parts[1], strict=True):
        if fault := mismatch(ours, base):
            raise BadPairing(fault)
    scores = [np.concatenate([part.scores for part in side], axis=1)[:, chosen] for side in parts]
    found = layout.estimate(scores[0] - scores[1], confidence=rule.confidence, margin=-guard.margin)
    return _told(guard, names, found, [_mean(asked, each) for each in scores])


def _told(guard: Guard, names: tuple[str, str, str], found: Estimate, scores: Sequence[float]) -> GuardRow:
    status, distance = verdict_of(found, guard.margin), abs(found.gain + guard.margin)
    vacuous = scores[1] - guard.guess_rate <= guard.margin
    if vacuous and status == "passed":
        status = "unresolved"
    settles = status == "unresolved" and not vacuous and distance > 1e-6
    mde = min(found.mde80, 1.0)
    return GuardRow(
        challenger=names[0], base=names[1], kind=guard.kind, lang=guard.lang,
        tasks=tuple(task.name for task in guard.tasks), whole=guard.whole, status=status, gain=found.gain,
        low=max(-1.0, found.low), high=min(1.0, found.high), margin=guard.margin, n=found.n, clusters=found.clusters,
        mde=mde, needed=max(found.n + 1, math.ceil(found.n * (mde / distance) ** 2)) if settles else None,
        vacuous=vacuous, score=scores[0], base_score=scores[1], incumbent_score=scores[2],
    )  # fmt: skip


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
