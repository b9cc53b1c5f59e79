"""Sensitivity: would the word have been another, had the same answers been looked at in another way? (decision.md 5.12)

A table of verdicts, not of p-values. Rows on how to measure are as good a priori as the declared analysis: one of them
that turns WORTH IT into NOT WORTH IT makes the headline INCONCLUSIVE. Rows on what a gain is worth (margin, prices) are
other questions, and say how far the declared ones are from the point where the word would turn.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from eval.pairing import Estimated
from eval.verdict import siblings
from eval.verdict.bills import price
from eval.verdict.contest import Contest, unpaid_of
from eval.verdict.evidence import Evidence
from eval.verdict.guards import guard_rows
from eval.verdict.leaks import LEAKED
from eval.verdict.moved import Stage
from eval.verdict.ruling import Call, Ruling, headline, overall, points, rule, stand
from eval.verdict.strata import strata
from eval.verdict.tipping import Terms, Tipping, tipping
from eval.verdict.variants import Kind, variants
from eval.verdict.wording import Words
from finetune.recipe import Costs

FROZEN = ConfigDict(frozen=True, extra="forbid")
MARGINS = (0.0, 0.01, 0.02, 0.03)
WORTH: tuple[Kind, ...] = ("margin", "price", "loss")  # what a gain is worth, not how it is measured


class Case(BaseModel):
    """The rule's word in one other way of looking; gain and bounds are of the challenger that the row speaks of,
    against the rival that is hardest for it."""

    model_config = FROZEN
    kind: Kind
    name: str
    name_zh: str
    a_priori: bool = Field(description="As good as the declared analysis: may turn the headline inconclusive")
    call: Call
    agrees: bool
    challenger: str
    rival: str
    gain: float
    low: float
    high: float


class Sensitivity(BaseModel):
    """Every row, the share of them that agree with the rule's word, and where it would turn."""

    model_config = FROZEN
    call: Call = Field(description="The rule's word on the declared analysis, before gates")
    agreeing: float
    cases: tuple[Case, ...]
    turning: tuple[str, ...] = Field(description="A-priori rows that say not worth it where the rule says worth it")
    turning_zh: tuple[str, ...]
    tipping: tuple[Tipping, ...]

    @property
    def turned(self) -> list[Words]:
        """Why a WORTH IT is none, in words; empty where no row says so."""
        pairs = zip(self.turning, self.turning_zh, strict=True)
        return [(f"by another analysis, as good a priori ({en}), it is not worth it",
                 f"按另一种同样合理的分析（{zh}），则不值得") for en, zh in pairs]  # fmt: skip


@dataclass(frozen=True)
class Bounds:
    """A contrast as the rule wants it."""

    challenger: str
    incumbent: str
    gain: float
    low: float
    high: float
    margin: float


Pairs = Mapping[str, Sequence[Estimated]]


def sensitivity(evidence: Evidence, contest: Contest) -> Sensitivity:
    """Judge again in every other way."""
    call = overall(contest.rulings)
    cases = (*_measured(evidence, contest, call), *_worth(evidence, contest, call))
    turning = [case for case in cases if case.a_priori and (call, case.call) == ("worth_it", "not_worth_it")]
    agreeing = sum(case.agrees for case in cases) / len(cases) if cases else 1.0
    return Sensitivity(
        call=call, agreeing=agreeing, cases=cases, turning=tuple(case.name for case in turning),
        turning_zh=tuple(case.name_zh for case in turning), tipping=_turning(evidence, contest),
    )  # fmt: skip


def _measured(evidence: Evidence, contest: Contest, call: Call) -> Iterator[Case]:
    every = [pair for pairs in contest.pairs.values() for pair in pairs]
    margin, costs = evidence.recipe.rule.margin, evidence.recipe.costs
    asked = list({sheet.name: None for pair in every for sheet in (pair.challenger, pair.incumbent)})
    told = asked, evidence.recipe.contenders, evidence.sheets
    groups = strata(evidence.benchmark)
    ways = variants(every, evidence.weights, groups, contest.leaks.of(*LEAKED), contest.timeline.young)
    for each in (*ways, *siblings.prompts(*told), *siblings.decodings(*told)):
        changed = {name: [each.change(pair) for pair in pairs] for name, pairs in contest.pairs.items()}
        yield _case(evidence, contest, changed, margin, costs, each.kind, each.words, call)


def _worth(evidence: Evidence, contest: Contest, call: Call) -> Iterator[Case]:
    margin, costs = evidence.recipe.rule.margin, evidence.recipe.costs
    for tried in MARGINS:
        if abs(tried - margin) > 1e-9:
            words = f"margin {points(tried)} points", f"门槛 {points(tried)} 个百分点"
            yield _case(evidence, contest, contest.pairs, tried, costs, "margin", words, call)
    if any(bill.net for bill in contest.bills):
        for kind, words, change in _prices(costs):
            yield _case(evidence, contest, contest.pairs, margin, costs.model_copy(update=change), kind, words, call)


def _prices(costs: Costs) -> Iterator[tuple[Kind, Words, dict[str, float]]]:
    """Half and twice of each declared price, and a wrong answer that costs nothing or what a right one is worth."""
    named = {"gpu_hour": ("device hours", "设备小时价"), "value_per_correct": ("worth of a right answer", "答对的价值"),
             "queries": ("queries", "查询量")}  # fmt: skip
    for key, (en, zh) in named.items():
        declared = getattr(costs, key) or 0
        for factor, word, word_zh in ((0.5, "half", "减半"), (2, "twice", "加倍")):
            if declared:
                yield "price", (f"{en}: {word}", f"{zh}{word_zh}"), {key: declared * factor}
    if costs.loss_per_wrong:
        yield "loss", ("a wrong answer costs nothing more", "答错无额外损失"), {"loss_per_wrong": 0.0}
    if costs.value_per_correct and costs.loss_per_wrong != costs.value_per_correct:
        words = "a wrong answer costs what a right one is worth", "答错的损失等于答对的价值"
        yield "loss", words, {"loss_per_wrong": costs.value_per_correct}


def _case(
    evidence: Evidence,
    contest: Contest,
    pairs: Pairs,
    margin: float,
    costs: Costs,
    kind: Kind,
    words: Words,
    declared: Call,
) -> Case:
    rulings, bounds = ruled(evidence, contest, pairs, margin, costs)
    call = overall(rulings)
    lead = headline(rulings, call)
    found = min(bounds[lead.challenger], key=lambda each: lead.lows[each.incumbent])
    return Case(
        kind=kind, name=words[0], name_zh=words[1], a_priori=kind not in WORTH, call=call, agrees=call == declared,
        challenger=lead.challenger, rival=found.incumbent, gain=found.gain, low=lead.lows[found.incumbent],
        high=found.high,
    )  # fmt: skip


def ruled(
    evidence: Evidence, contest: Contest, pairs: Pairs, margin: float, costs: Costs
) -> tuple[list[Ruling], dict[str, list[Bounds]]]:
    """The same rule as the headline's, on other pairs or prices; guards are of the same answers."""
    confidence = evidence.recipe.rule.confidence
    standings = stand(pairs, confidence, margin, contest.guard_tests, unpaid_of(evidence, pairs, costs))
    bounds = {name: [_bounds(pair, confidence, margin) for pair in found] for name, found in pairs.items()}
    rulings = []
    for name, found in bounds.items():
        due = [
            price(evidence, pair, each, standings[name], costs) for pair, each in zip(pairs[name], found, strict=True)
        ]
        guards = guard_rows(contest.guard_tests[name], standings[name].level)
        rulings.append(rule(standings[name], found, due, costs.currency, guards))
    return rulings, bounds


def _bounds(pair: Estimated, confidence: float, margin: float) -> Bounds:
    found = pair.estimate(level=(1 - confidence) / 2, margin=margin)
    low, high = max(-1.0, found.low), min(1.0, found.high)
    return Bounds(pair.challenger.name, pair.incumbent.name, found.gain, low, high, margin)


def _turning(evidence: Evidence, contest: Contest) -> tuple[Tipping, ...]:
    """Where the word of the rule turns, the same answers read in the same way."""
    asked, costs = evidence.recipe.rule, evidence.recipe.costs
    stage = Stage.of(contest.pairs, asked.confidence, asked.margin)

    def again(terms: Terms) -> list[Ruling]:
        return ruled(evidence, contest, stage.moved(terms.shift), terms.margin, terms.costs)[0]

    return tuple(tipping(again, Terms(asked.margin, costs), contest.bills))
