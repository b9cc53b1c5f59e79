"""Blanks of the exam: whether what is called stands, whatever the answers would have been that nobody could grade.

Asked of the whole rule (margin, every rival, net benefit, guards) at both of Manski's extremes, with the very changes
that the table of sensitivity makes, so that a gate and a row of that table say the same. Only where blanks are many.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from eval import gates
from eval.gates import BlankFact, Gate
from eval.sheet import CUT, UNREAD
from eval.verdict.contest import Contest
from eval.verdict.evidence import Evidence
from eval.verdict.ruling import Call, Ruling, overall
from eval.verdict.sensitivity import ruled
from eval.verdict.variants import extremes

Called = list[Ruling]
OPEN: Call = "inconclusive"


def blank_gates(evidence: Evidence, contest: Contest) -> list[Gate]:
    """`unparsed` and `truncated`; where a challenger has many of both, neither may turn what both together do."""
    facts = {kind: contest.blanks(evidence, kind) for kind in (UNREAD, CUT)}
    many = {UNREAD: _many(facts[UNREAD], gates.UNPARSED), CUT: _many(facts[CUT], gates.TRUNCATED)}
    asked = {kind: names for kind, names in {**many, UNREAD + CUT: many[UNREAD] & many[CUT]}.items() if names}
    turned = {kind: _turned(contest, _called(evidence, contest, kind), names) for kind, names in asked.items()}
    unread, cut = (
        [_judged(fact, many[kind], turned.get(kind, set()) | turned.get(UNREAD + CUT, set())) for fact in facts[kind]]
        for kind in (UNREAD, CUT)
    )
    return [gates.unparsed(unread, cut), gates.truncated(cut, unread)]


def _many(facts: Sequence[BlankFact], limits: tuple[float, float]) -> set[str]:
    """Challengers that are held against a rival with many blanks on either side."""
    return {fact.challenger for fact in facts if not gates.few(fact.shares, limits)}


def _judged(fact: BlankFact, many: Collection[str], turned: Collection[str]) -> BlankFact:
    return replace(fact, stands=fact.challenger not in turned if fact.challenger in many else None)


def _called(evidence: Evidence, contest: Contest, outcomes: Sequence[str]) -> list[Called]:
    """What the rule says at either extreme."""
    margin, costs = evidence.recipe.rule.margin, evidence.recipe.costs
    every = [pair for pairs in contest.pairs.values() for pair in pairs]
    sheets = {sheet.name: sheet for pair in every for sheet in (pair.challenger, pair.incumbent)}
    found = []
    for change in extremes(list(sheets.values()), outcomes):
        changed = {name: [change(pair) for pair in pairs] for name, pairs in contest.pairs.items()}
        found.append(ruled(evidence, contest, changed, margin, costs)[0])
    return found


def _turned(contest: Contest, tried: Sequence[Called], many: Collection[str]) -> set[str]:
    """Of the challengers with many blanks those whose call is another at an extreme: always where that turns the whole
    verdict. One that was left open beside a verdict that stands was called nothing, so it cannot be undone."""
    declared, turned = contest.rulings, set()
    for rulings in tried:
        there = {each.challenger: each for each in rulings}
        mixed = [there[each.challenger] if each.challenger in many else each for each in declared]
        other = {was.challenger for was, now in zip(declared, mixed, strict=True) if was.call != now.call}
        whole = overall(mixed) != overall(declared)
        turned |= {was.challenger for was in declared if was.challenger in other and (whole or was.call != OPEN)}
    return turned
