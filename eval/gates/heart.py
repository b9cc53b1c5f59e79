"""Contamination as twins show it: who has learned the exam's items by heart does worse where they are turned."""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.gates.gate import LEARNED, Gate, Words, gate

DROP = 0.02  # a loss of so much on twins is none
KINDS: dict[str, Words] = {"options": ("options in another order", "选项换序"), "numbers": ("other figures", "换数字")}


@dataclass(frozen=True)
class DropFact:
    """One contender's score on the twins of a kind, less that on the items they are of."""

    contender: str
    kind: str
    tuned: bool
    gain: float
    low: float | None  # of an interval, simultaneous over all that are checked; None where there is none
    high: float | None


def known_by_heart(facts: Sequence[DropFact]) -> Gate:
    """Advisory. It fails where a loss beyond DROP is certain, and says which way delta leans (decision.md 5.6, 5.8).

    A tuned contender that knew the items has delta too high, so that NOT WORTH IT survives it; an untuned one has delta
    too low, and WORTH IT survives.
    """
    if not facts:
        words = ("no option or number twin was asked (exam.twins)", "未出选项或数字变体题（exam.twins）")
        return gate(LEARNED, "not_checked", words, required=False)
    figures = {f"{fact.contender}, {fact.kind}": fact.gain for fact in facts}
    fallen = [fact for fact in facts if fact.high is not None and fact.high < -DROP]
    if fallen:
        return gate(LEARNED, "failed", _told(fallen), figures, required=False)
    open_facts = [fact for fact in facts if fact.low is None or fact.low <= -DROP]
    if open_facts:
        some = open_facts[0]
        words = (f"a loss of {DROP:.0%} on twins cannot be ruled out for {some.contender} ({KINDS[some.kind][0]})",
                 f"不能排除 {some.contender} 在变体题上下降 {DROP:.0%}（{KINDS[some.kind][1]}）")  # fmt: skip
        return gate(LEARNED, "unresolved", words, figures, required=False)
    words = (f"none does worse on twins by {DROP:.0%}", f"没有方案在变体题上下降 {DROP:.0%}")
    return gate(LEARNED, "passed", words, figures, required=False)


def _told(fallen: Sequence[DropFact]) -> Words:
    en = [f"{f.contender} loses {-100 * f.gain:.1f} points with {KINDS[f.kind][0]}" for f in fallen]
    zh = [f"{f.contender} 在{KINDS[f.kind][1]}后下降 {-100 * f.gain:.1f} 个百分点" for f in fallen]
    up, down = any(fact.tuned for fact in fallen), any(not fact.tuned for fact in fallen)
    leans = {
        (True, False): ("Δ leans up; a 'not worth it' survives that", "Δ 偏高；“不值得”的结论不受影响"),
        (False, True): ("Δ leans down; a 'worth it' survives that", "Δ 偏低；“值得”的结论不受影响"),
        (True, True): ("Δ leans both ways", "Δ 两个方向都可能有偏"),
    }[up, down]
    return f"{'; '.join(en)}: {leans[0]}", f"{'；'.join(zh)}：{leans[1]}"
