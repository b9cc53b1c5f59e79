"""Advice: a gate that decides nothing, and those that nobody could ask."""

from collections.abc import Mapping, Sequence

from eval.gates.gate import JUDGE, MERGE, SERVING, Gate, Status, Words, gate
from eval.opinion.tally import ENOUGH, Tally


def merge_faithful(differences: Mapping[str, float | None]) -> Gate:
    """Who was tuned here -> largest difference of a logit once merged; None where it does not merge.

    Training keeps no adapter whose merged weights answer otherwise, so a difference that is there has passed.
    """
    known: dict[str, float | str | None] = {who: apart for who, apart in differences.items() if apart is not None}
    largest = max((apart for apart in differences.values() if apart is not None), default=None)
    if largest is None:
        words = ("no adapter here merges into its base", "没有可合并的适配器")
        return gate(MERGE, "not_checked", words, required=False)
    words = (f"scored unmerged; merged, the logits differ by at most {largest:.2g} (who merges: {len(known)})",
             f"评分时未合并；合并后输出最多相差 {largest:.2g}（可合并：{len(known)} 个）")  # fmt: skip
    return gate(MERGE, "passed", words, known, required=False)


def serving_cost(unpriced: Sequence[str]) -> tuple[Gate, ...]:
    """Only where a net benefit is asked for and someone's serving cost is not known: it might turn the word."""
    who = ", ".join(unpriced)
    words = (
        f"what a query of {who} costs is not known; give query_cost",
        f"{who} 每次查询的成本未知；请给出 query_cost",
    )
    return (gate(SERVING, "not_checked", words),) if unpriced else ()


def judge(tallies: Sequence[Tally]) -> Gate:
    """Blind and order-swapped by its making; here: one revision throughout, and enough labels of people.

    What a judge says decides nothing, so neither does this.
    """
    if not tallies:
        words = ("the recipe names a judge, and nobody asked it (tuneworth opinions RECIPE)",
                 "配方声明了裁判模型，但尚未询问（tuneworth opinions RECIPE）")  # fmt: skip
        return gate(JUDGE, "not_checked", words, required=False)
    least = min(each.labels for each in tallies)
    figures = {f"{each.challenger}, {each.task}: labels": float(each.labels) for each in tallies}
    figures |= {f"{each.challenger}, {each.task}: turned": each.turned for each in tallies}
    names = sorted({name for each in tallies for name in each.models})
    left = sum(each.of - each.n for each in tallies)
    status: Status = "not_checked" if left or least < ENOUGH else "passed"
    words = (f"blind, both orders, one revision; labels of people: {least}, needed: {ENOUGH}; pairs left: {left}",
             f"盲评、两种顺序、同一版本；人工标注 {least} 条，需要 {ENOUGH} 条；尚余 {left} 对")  # fmt: skip
    if strays := max(each.strays for each in tallies):
        words = (f"{words[0]}; {strays} labels are of no pair judged here (exam.judge.labels)",
                 f"{words[1]}；{strays} 条标注不属于此处已评的任何一对（exam.judge.labels）")  # fmt: skip
    if len(names) > 1:
        status = "failed"
        words = (f"the server named itself in several ways: {', '.join(names)}", f"服务端先后自称：{'、'.join(names)}")
    return gate(JUDGE, status, words, figures, required=False)


def unchecked(name: Words, why: Words) -> Gate:
    """A required gate that could not be asked."""
    return gate(name, "not_checked", why)
