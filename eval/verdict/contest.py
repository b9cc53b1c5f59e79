"""The contest: every contrast that a recipe asks for, in points and in money, and a ruling on each challenger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from eval.compare import Comparison, Role, compare
from eval.gates import BlankFact
from eval.money import Bill
from eval.pairing import Estimated, Pair
from eval.sheet import BadPairing
from eval.verdict.bills import chance_of, price, unpaid
from eval.verdict.dates import Timeline, timeline
from eval.verdict.evidence import Evidence
from eval.verdict.guards import GuardRow, GuardTest, guard_rows, guard_tests
from eval.verdict.leaks import Leaks, leaks
from eval.verdict.ruling import Ruling, Standing, rule, stand
from finetune.mistakes import BadInput
from finetune.recipe import Costs


@dataclass(frozen=True)
class Contest:
    """Built once every contender is known to have answered the same questions."""

    comparisons: tuple[Comparison, ...]  # delta and alternatives of each challenger, its tau; gamma last
    standings: dict[str, Standing]
    bills: tuple[Bill, ...]
    rulings: tuple[Ruling, ...]
    pairs: dict[str, list[Pair]]  # of each challenger those that decide, incumbent first
    guards: dict[str, tuple[GuardRow, ...]]  # of each challenger
    guard_tests: dict[str, tuple[GuardTest, ...]]  # those that `guards` tells the rows of
    leaks: Leaks
    timeline: Timeline  # of the judged questions, beside the deciding contenders

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        """BadInput where a task lies in one cluster, so that no interval can be had."""
        terms, costs, pairs = evidence.recipe.rule, evidence.recipe.costs, _pairs(evidence)
        deciding = {name: [p for role, p in found if role != "tau"] for name, found in pairs.items()}
        tests = {name: guard_tests(evidence, name) for name in pairs}
        standings = stand(deciding, terms.confidence, terms.margin, tests, unpaid_of(evidence, deciding, costs))
        fields = {task.name: task.fields for task in evidence.benchmark.tasks}
        told: dict[str, Any] = {"confidence": terms.confidence, "margin": terms.margin, "fields": fields}
        comparisons = {
            name: [compare(pair, role=role, level=_level(role, standings[name]), **told) for role, pair in found]
            for name, found in pairs.items()
        }
        gamma = compare(_pair(evidence, terms.incumbent, terms.base), role="gamma", **told)
        bills, rulings = [], []
        guards = {name: guard_rows(found, standings[name].level) for name, found in tests.items()}
        for name, found in comparisons.items():
            against = [each for each in found if each.role != "tau"]
            due = []
            for each, pair in zip(against, deciding[name], strict=True):
                chance = chance_of(pair, each, costs.loss_per_wrong)
                due.append(price(evidence, pair, each, standings[name], costs, chance))
            rulings.append(rule(standings[name], against, due, costs.currency, guards[name]))
            bills += due
        rows = [each for found in comparisons.values() for each in found]
        shown, dates = leaks(evidence), timeline(evidence.recipe, evidence.benchmark, evidence.deciding)
        return cls((*rows, gamma), standings, tuple(bills), tuple(rulings), deciding, guards, tests, shown, dates)

    def find(self, role: Role, challenger: str) -> Comparison:
        return next(each for each in self.comparisons if (each.role, each.challenger) == (role, challenger))

    def blanks(self, evidence: Evidence, outcomes: Sequence[str]) -> list[BlankFact]:
        """Shares of answers with these outcomes, for every comparison that decides."""
        found = []
        for each in self.comparisons:
            if each.role in ("delta", "alternative"):
                shares = (evidence.share(each.challenger, *outcomes), evidence.share(each.incumbent, *outcomes))
                low = self.standings[each.challenger].lows[each.incumbent]
                found.append(BlankFact(each.challenger, each.incumbent, shares, low, each.high, each.margin))
        return found


def _level(role: Role, standing: Standing) -> float | None:
    """Holm's own of what decides; the base is no rival."""
    return None if role == "tau" else standing.level


def unpaid_of(evidence: Evidence, contests: Mapping[str, Sequence[Estimated]], costs: Costs) -> dict[str, list[float]]:
    """Of each challenger the p that it does not pay, against every rival where that is told."""
    told = {name: [unpaid(evidence, pair, costs) for pair in pairs] for name, pairs in contests.items()}
    return {name: [p for p in found if p is not None] for name, found in told.items()}


def _pairs(evidence: Evidence) -> dict[str, list[tuple[Role, Pair]]]:
    terms = evidence.recipe.rule
    against: list[tuple[Role, str]] = [("delta", terms.incumbent), *(("alternative", n) for n in terms.alternatives)]
    against.append(("tau", terms.base))
    return {name: [(role, _pair(evidence, name, rival)) for role, rival in against] for name in evidence.challengers}


def _pair(evidence: Evidence, challenger: str, rival: str) -> Pair:
    try:
        return Pair.of(evidence.sheets[challenger], evidence.sheets[rival], evidence.weights)
    except BadPairing:
        raise
    except ValueError as fault:
        raise BadInput(
            f"the exam cannot be judged: {fault}; name the questions' documents in the card's cluster"
        ) from None
