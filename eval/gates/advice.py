"""Advice: gates that decide nothing unless they must, and those that nobody could ask."""

from collections.abc import Mapping

from eval.gates.gate import MERGE, PARITY, Gate, Words, gate


def engine_parity(engines: Mapping[str, tuple[str, str]]) -> Gate:
    """Contender -> (engine, dtype). Two of either meeting need a contender scored on both, which nothing here does.

    Weights in 4 bits (`nf4 bfloat16`) are the contender's own, as it would be served; the dtype is that of its sums.
    """
    shown = ", ".join(" ".join(kind) for kind in sorted(set(engines.values())))
    if len({(engine, dtype.removeprefix("nf4 ")) for engine, dtype in engines.values()}) > 1:
        words = (f"{shown} meet, and no contender was scored on both", f"同时出现 {shown}，且没有方案在两者上都评过分")
        return gate(PARITY, "not_checked", words)
    return gate(PARITY, "passed", (f"one engine and dtype: {shown}", f"同一引擎与精度：{shown}"), required=False)


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


def unchecked(name: Words, why: Words) -> Gate:
    """A required gate that could not be asked."""
    return gate(name, "not_checked", why)


def not_measured() -> tuple[Gate, ...]:
    """The advisory gates that no room measures yet."""
    later = {
        ("noise floor", "噪声下限"): ("no contender was scored twice", "没有方案重复评分"),
        ("batch invariance", "批次不变"): ("no probe of batch 1 against batch B", "未对比单条与批量的输出"),
    }
    return tuple(gate(name, "not_checked", reason, required=False) for name, reason in later.items())
