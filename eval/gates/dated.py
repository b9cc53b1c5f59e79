"""Dated questions: whether somebody does better on those that its model may have seen (decision.md 5.6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from eval.gates.gate import DATED, Gate, Status, Words, gate
from eval.signs import points

APART = 0.02  # a difference of so much between old and young questions is none
Span = tuple[float, float, float]  # gain, low, high: shares of a point


@dataclass(frozen=True)
class DatedFact:
    """The lead challenger against the incumbent, on both sides of the day after which no deciding model learned."""

    challenger: str
    incumbent: str
    items: int
    dated: int
    old: int
    young: int
    newest: date | None
    unknown: Sequence[str]  # deciding contenders of which it is not known until when they learned
    apart: Span | None  # delta on young questions minus delta on old ones; None: no task has both

    @property
    def lean(self) -> int:
        """Which way delta leans on old questions: -1 down, 1 up, 0 where neither is certain."""
        if self.apart is None:
            return 0
        return -1 if self.apart[1] > APART else 1 if self.apart[2] < -APART else 0


def dated(fact: DatedFact | None) -> Gate:
    """Advisory. It fails where a difference beyond APART is certain, and says which way delta leans.

    An untuned newer base that saw old questions has delta too low there, so that WORTH IT survives it; a tuned side
    whose base or rows knew them has it too high, and NOT WORTH IT survives.
    """
    if fact is None:
        words = ("no card dates its questions (`dates` of a data card)", "数据卡未注明题目日期（数据卡的 dates）")
        return gate(DATED, "not_checked", words, required=False)
    figures: dict[str, float | str | None] = {"dated": fact.dated, "old": fact.old, "young": fact.young}
    if fact.apart:
        figures |= {"young - old": fact.apart[0], "low": fact.apart[1], "high": fact.apart[2]}
        inside = fact.apart[1] > -APART and fact.apart[2] < APART
        status: Status = "failed" if fact.lean else "passed" if inside else "unresolved"
        words = told(fact)
        if status == "unresolved":
            words = (f"{words[0]}: too few to rule out a difference of {APART:.0%}",
                     f"{words[1]}：题目太少，不能排除 {APART:.0%} 的差异")  # fmt: skip
        return gate(DATED, status, words, figures, required=False)
    if fact.young == fact.items:
        words = (f"every question is younger than the models: public after {fact.newest}",
                 f"所有题目都晚于各模型：公开于 {fact.newest} 之后")  # fmt: skip
        return gate(DATED, "passed", words, figures, required=False)
    return gate(DATED, "not_checked", _untold(fact), figures, required=False)


def told(fact: DatedFact) -> Words:
    """What the two sides of the day say, and which way that leans. Needs a fact with a difference."""
    gain, low, high = map(points, fact.apart or (0.0, 0.0, 0.0))
    who, rival, day = fact.challenger, fact.incumbent, fact.newest
    span, span_zh = (
        f"{gain} points ({low} to {high})",
        f"{gain} 个百分点（{low} 至 {high}",
    )
    en = f"on questions public after {day} the gain of {who} over {rival} differs by {span} from that on older ones"
    zh = f"{who} 对 {rival} 的增益，{day} 之后公开的题目与旧题相差 {span_zh}）"
    if fact.lean < 0:
        return (f"{en}: {rival} may have seen the older ones, where Δ leans down; a 'worth it' survives that",
                f"{zh}：{rival} 可能见过旧题，Δ 在旧题上偏低；“值得”的结论不受影响")  # fmt: skip
    if fact.lean > 0:
        return (f"{en}: the base or the training rows of {who} may have held the older ones, where Δ leans up; a 'not "
                "worth it' survives that",
                f"{zh}：{who} 的底座或训练数据可能含有旧题，Δ 在旧题上偏高；“不值得”的结论不受影响")  # fmt: skip
    return en, zh


def _untold(fact: DatedFact) -> Words:
    """Why the two sides cannot be held against each other."""
    if fact.unknown:
        return (f"until when {', '.join(fact.unknown)} learned is not known; give its `cutoff`, or its model's "
                "`released`",
                f"{'、'.join(fact.unknown)} 的知识截止时间未知；请填写其 cutoff，或模型的 released")  # fmt: skip
    if not fact.young:
        return (f"none of the {fact.dated:,} dated questions is surely younger than {fact.newest}, when the last of "
                "the models could still learn",
                f"{fact.dated:,} 道有日期的题目中，没有一道确定晚于 {fact.newest}（各模型最晚的知识日期）")  # fmt: skip
    return (f"no task has questions from two clusters on both sides of {fact.newest}",
            f"没有任务在 {fact.newest} 前后都有来自至少两个题组的题目")  # fmt: skip
