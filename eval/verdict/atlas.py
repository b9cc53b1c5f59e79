"""The verdict map: where does tuning pay? The gain by what institutions ask for (scenario) and by traits of the asking.

A survey of the field holds that tuning an older base is not worth it, but where the task is professional, precise,
specific to a house, or novel. So that "not worth it, except for ..." is an answer which can be defended, a part of the
exam is an exception only if its gain clears the margin against every rival, and pays where priced, with all parts
corrected for (Holm), and differs from the rest of the exam in a test of interaction (Holm too). A part is priced as if
every query were of its kind. Everything else on the map is for the eye.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from eval.paired import Estimate, Floats, Layout
from eval.pairing import Pair
from eval.significance import holm
from eval.verdict.bills import unpaid
from eval.verdict.contest import Contest
from eval.verdict.evidence import Evidence
from eval.verdict.ruling import Call, Guarded, Ruling, points
from eval.verdict.variants import kept_questions
from eval.verdict.wording import SCENARIOS, TRAITS, Words

FROZEN = ConfigDict(frozen=True, extra="forbid")
HARMED: Words = ("No part is an exception: a guard failed, and that harm is done whatever is gained where.",
                 "无例外：有护栏未通过，无论哪一部分有增益，损害都已造成。")  # fmt: skip
OPEN: Words = ("Not before every guard has passed.", "前提是各项护栏通过。")


class Rest(BaseModel):
    """The gain of a part minus that of the rest of the exam."""

    model_config = FROZEN
    gain: float
    low: float
    high: float
    holm_p: float = Field(description="Two-sided: the part gains as the rest does; Holm over the parts")


class Place(BaseModel):
    """A part of the exam: tasks of one scenario or trait. Gain and interval are over the incumbent, alone."""

    model_config = FROZEN
    keys: tuple[str, ...] = Field(description="Scenario and traits of exactly these tasks")
    name: str
    name_zh: str
    tasks: tuple[str, ...]
    n: int
    clusters: int
    weight: float = Field(description="Of these tasks in the gain")
    gain: float
    low: float
    high: float
    bound: float = Field(description="Lower bound against the hardest rival, at the level at which Holm tests it")
    ceiling: float = Field(description="Upper bound over the incumbent, at the level at which Holm tests it")
    holm_p: float = Field(
        description="Two-sided: at the margin, or paying nothing, against some rival; Holm over parts"
    )
    clears: bool = Field(description="Shown to be over the margin against every rival, and to pay where priced")
    falls_short: bool = Field(description="Shown to be under the margin against the incumbent")
    rest: Rest | None = Field(description="None where the part is the whole exam")


class Atlas(BaseModel):
    """All parts of the exam that are told apart, and those that the verdict's word does not hold for."""

    model_config = FROZEN
    challenger: str
    incumbent: str
    margin: float
    places: tuple[Place, ...]
    exceptions: tuple[str, ...] = Field(description="Names of parts where the opposite of the rule's word is shown")
    text: str
    text_zh: str


def atlas(evidence: Evidence, contest: Contest, lead: Ruling) -> Atlas | None:
    """The map of the challenger that the verdict speaks of; None where no task says what it is asked for."""
    rule, pairs = evidence.recipe.rule, contest.pairs[lead.challenger]
    groups = list(_groups(evidence))
    if not groups:
        return None
    error = 1 - rule.confidence
    places = compared(
        groups, pairs, evidence.weights, rule.margin, error, tried=len(contest.rulings),
        unpaid=lambda pair: unpaid(evidence, pair, evidence.recipe.costs),
    )  # fmt: skip
    told = _told(places, lead, contest.guards[lead.challenger], error)
    return Atlas(
        challenger=lead.challenger, incumbent=pairs[0].incumbent.name, margin=rule.margin, places=tuple(places), **told
    )  # fmt: skip


Group = tuple[tuple[str, ...], Words, tuple[str, ...]]  # keys, name, tasks


def _groups(evidence: Evidence) -> Iterator[Group]:
    """Scenarios, then traits; those of the very same tasks are one part under both names."""
    tasks = evidence.benchmark.tasks
    named: dict[str, Words] = {task.scenario: SCENARIOS[task.scenario] for task in tasks if task.scenario}
    named |= {trait: TRAITS[trait] for trait in TRAITS for task in tasks if trait in task.traits}
    keys: dict[tuple[str, ...], list[str]] = {}
    for key in named:
        within = tuple(task.name for task in tasks if key in (task.scenario, *task.traits))
        keys.setdefault(within, []).append(key)
    for within, found in keys.items():
        en, zh = (" · ".join(named[key][side] for key in found) for side in (0, 1))
        yield tuple(found), (en, zh), within


def compared(
    groups: Sequence[Group],
    pairs: Sequence[Pair],
    weights: dict[str, float],
    margin: float,
    error: float,
    *,
    tried: int = 1,
    unpaid: Callable[[Pair], float | None] = lambda _: None,
) -> list[Place]:
    """Every part judged on its own, against every rival (`pairs`, incumbent first) and against the rest of the exam;
    the challenger was picked among `tried`. `error` is two-sided, `unpaid` tells the p of a pair that pays nothing.
    ValueError where a task lies in one cluster."""
    level = error / 2 / tried
    parts = [_parts(pairs, tasks, weights) for _, _, tasks in groups]
    above = [max(max(p.estimate(level=level, margin=margin).p, unpaid(p) or 0.0) for p in made) for made in parts]
    below = [made[0].estimate(level=level, margin=margin).p_under for made in parts]
    rests = [_against_rest(pairs[0], tasks, weights, error) for _, _, tasks in groups]
    told = iter(holm([_two_sided(rest) for rest in rests if rest], error))
    places = []
    for group, made, over, under, rest in zip(
        groups, parts, holm(above, level), holm(below, level), rests, strict=True
    ):
        bound = min(p.estimate(level=over.level, margin=margin).low for p in made)
        ceiling = made[0].estimate(level=under.level, margin=margin).high
        places.append(Place(
            **_gain(group, made[0].estimate(level=error / 2, margin=margin), weights),
            bound=max(-1.0, bound), ceiling=min(1.0, ceiling), holm_p=min(1.0, 2 * over.adjusted_p),
            clears=over.rejected and bound > margin, falls_short=under.rejected and ceiling < margin,
            rest=_rest(rest, next(told).adjusted_p if rest else None),
        ))  # fmt: skip
    return places


def _gain(group: Group, found: Estimate, weights: dict[str, float]) -> dict[str, Any]:
    """Which part it is, and what is gained there over the incumbent."""
    keys, (name, name_zh), tasks = group
    return {
        "keys": keys, "name": name, "name_zh": name_zh, "tasks": tasks, "n": found.n, "clusters": found.clusters,
        "weight": sum(weights[task] for task in tasks) / sum(weights.values()), "gain": found.gain,
        "low": max(-1.0, found.low), "high": min(1.0, found.high),
    }  # fmt: skip


def _parts(pairs: Sequence[Pair], tasks: tuple[str, ...], weights: dict[str, float]) -> list[Pair]:
    """The pairs on these tasks alone."""
    rows = list(pairs[0].challenger.questions.values())
    kept = np.array([row.task in tasks for row in rows])
    change = kept_questions(kept, rows, weights)
    if change is None:
        raise ValueError(f"{', '.join(tasks)}: a task lies in one cluster")
    return [change(pair) for pair in pairs]


def _against_rest(pair: Pair, tasks: tuple[str, ...], weights: dict[str, float], error: float) -> Estimate | None:
    """Half of (gain within - gain in the rest): documents that lie in both are treated jointly, as in any gain."""
    rows = list(pair.challenger.questions.values())
    within = np.array([row.task in tasks for row in rows])
    if within.all():
        return None
    mass = {inside: sum(w for task, w in weights.items() if (task in tasks) == inside) for inside in (True, False)}
    layout = Layout.of(
        [row.cluster for row in rows], [row.task for row in rows],
        {task: w / mass[task in tasks] for task, w in weights.items()},
    )  # fmt: skip
    signed: Floats = pair.differences * np.where(within, 1.0, -1.0)
    return layout.estimate(signed, confidence=1 - error)


def _two_sided(found: Estimate) -> float:
    return found.p_two_sided if found.se else 1.0


def _rest(found: Estimate | None, holm_p: float | None) -> Rest | None:
    if found is None or holm_p is None:
        return None
    return Rest(gain=2 * found.gain, low=max(-2.0, 2 * found.low), high=min(2.0, 2 * found.high), holm_p=holm_p)


def _told(places: Sequence[Place], lead: Ruling, guards: Sequence[Guarded], error: float) -> dict[str, Any]:
    """`exceptions` and their words. None where a guard failed: a harm is done whatever is gained where."""
    differ = [place for place in places if place.rest and place.rest.holm_p <= error]
    opposite = {"worth_it": "falls_short", "not_worth_it": "clears"}
    found = [place for place in differ if lead.call in opposite and getattr(place, opposite[lead.call])]
    found = [p for p in found if p.rest and (p.rest.gain > 0) == (lead.call == "not_worth_it")]
    words, states = _words(lead.call, found, len(places)) if found else ("", ""), {guard.status for guard in guards}
    if found and "failed" in states:
        found, words = [], HARMED
    elif found and states - {"passed"}:
        words = f"{words[0]} {OPEN[0]}", f"{words[1]}{OPEN[1]}"
    return {"exceptions": tuple(place.name for place in found), "text": words[0], "text_zh": words[1]}


def _words(call: Call, found: Sequence[Place], looked: int) -> Words:
    """The exception, with the bounds that defend it."""
    if call == "not_worth_it":
        told = [f"{p.name} (at least {points(p.bound)} points over every rival)" for p in found]
        told_zh = [f"{p.name_zh}（比每个对手至少高 {points(p.bound)} 个百分点）" for p in found]
        head, head_zh = "Except for", "例外"
    else:
        told = [f"{p.name} (at most {points(p.ceiling)} points)" for p in found]
        told_zh = [f"{p.name_zh}（至多 {points(p.ceiling)} 个百分点）" for p in found]
        head, head_zh = "But not for", "但不包括"
    return (f"{head} {', '.join(told)}; {looked} parts of the exam were looked at, corrected for (Holm).",
            f"{head_zh}：{'、'.join(told_zh)}；共考察 {looked} 个部分，已作 Holm 校正。")  # fmt: skip
