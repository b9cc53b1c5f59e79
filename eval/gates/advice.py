"""Advice: a gate that decides nothing, and those that nobody could ask."""

from collections.abc import Mapping, Sequence

from eval.gates.gate import MERGE, SERVING, Gate, Words, gate


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


def unchecked(name: Words, why: Words) -> Gate:
    """A required gate that could not be asked."""
    return gate(name, "not_checked", why)
