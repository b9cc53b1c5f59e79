"""The clean subset: what the rule says without the exam's questions that show in the training rows (decision.md 5.6).

Such questions make the gain too high, never too low: NOT WORTH IT survives them, WORTH IT must hold without them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from eval.gates.gate import CLEAN, Gate, Status, gate
from eval.signs import interval, points

Call = Literal["worth_it", "not_worth_it", "inconclusive"]
Span = tuple[float, float, float]  # gain, low, high: shares of a point
CALLS = {"worth_it": ("worth it", "值得"), "not_worth_it": ("not worth it", "不值得"),
         "inconclusive": ("inconclusive", "尚无定论")}  # fmt: skip

AFRESH = ("tune without them (train.exclude), or ask others", "请去掉后重新微调（train.exclude），或换用其他题目")


@dataclass(frozen=True)
class CleanFact:
    """The lead challenger against the incumbent, on all questions and on the clean ones."""

    items: int
    shown: int  # of them, in the training rows
    taught: Sequence[str]
    unknown: Sequence[str]  # challengers whose training data nobody here knows
    call: Call
    all: Span
    clean_call: Call | None = None  # None: nothing is left out, or what is left cannot be judged
    clean: Span | None = None


def clean_subset(fact: CleanFact) -> Gate:
    """Failed where the clean questions say the opposite; unresolved where they no longer carry a WORTH IT; not checked
    where what is known passes and the data of some challenger are not."""
    known = _known(fact)
    if known.status != "passed" or not fact.unknown:
        return known
    words = (
        f"what {', '.join(fact.unknown)} was tuned on is not known here",
        f"{'、'.join(fact.unknown)} 的训练数据在此未知",
    )
    if fact.taught:
        words = f"{words[0]}; of what is known: {known.reason}", f"{words[1]}；就已知者而言：{known.reason_zh}"
    return gate(CLEAN, "not_checked", words, known.figures, required=False)


def _known(fact: CleanFact) -> Gate:
    """By the training rows that are at hand."""
    figures = {"items": fact.items, "shown in training": fact.shown, "gain": fact.all[0]}
    if not fact.shown:
        words = ("no question of the exam shows in the training rows", "训练数据中没有出现考题")
        return gate(CLEAN, "passed", words, figures)
    en = f"{fact.shown:,} of {fact.items:,} questions show in the training rows ({', '.join(fact.taught)})"
    zh = f"{fact.items:,} 道题中有 {fact.shown:,} 道见于训练数据（{'、'.join(fact.taught)}）"
    if fact.clean is None or fact.clean_call is None:
        words = (f"{en}; what is left cannot be judged; {AFRESH[0]}", f"{zh}；剩余题目无法判定；{AFRESH[1]}")
        return gate(CLEAN, "unresolved" if fact.call == "worth_it" else "passed", words, figures)
    (said, said_zh), told = CALLS[fact.clean_call], f"{_told(fact.all)} -> {_told(fact.clean)}"
    words = (f"{en}; without them the rule says {said} (points over the incumbent: {told})",
             f"{zh}；去掉后规则判断为“{said_zh}”（对现任，百分点：{told}）")  # fmt: skip
    status = _status(fact.call, fact.clean_call, fact.all, fact.clean)
    if status != "passed":
        words = f"{words[0]}; {AFRESH[0]}", f"{words[1]}；{AFRESH[1]}"
    return gate(CLEAN, status, words, figures | _bounds(fact.clean))


def _status(call: Call, clean: Call, all_: Span, left: Span) -> Status:
    turned = (all_[1] > 0 and left[2] < 0) or (all_[2] < 0 and left[1] > 0)  # a sign that is certain both times
    if turned or {call, clean} == {"worth_it", "not_worth_it"}:
        return "failed"
    return "unresolved" if call == "worth_it" and clean != "worth_it" else "passed"


def _told(span: Span) -> str:
    return f"{points(span[0])} {interval(*span[1:])}"


def _bounds(span: Span) -> dict[str, float]:
    return {"clean gain": span[0], "clean low": span[1], "clean high": span[2]}
