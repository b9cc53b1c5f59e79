"""Advice: a gate that decides nothing, and those that nobody could ask."""

from collections.abc import Mapping, Sequence

from eval.gates.gate import BUDGET, JUDGE, MERGE, RAISABLE, SERVING, Gate, Status, Words, gate
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


def token_budget(
    limits: Mapping[str, int | None], cut: Mapping[str, float], thoughts: Mapping[str, tuple[int, float]] | None = None
) -> Gate:
    """Contender that decides and writes -> tokens an answer may have (None: not known), and share of its answers that
    were cut; of those that think, tokens a thought may have, and the share that this ended. Unlike limits are unfair
    where the lower one was reached (decision.md 5.2, 5.13)."""
    figures = {f"{who}: limit": limit for who, limit in limits.items()} | {f"{who}: cut": cut[who] for who in limits}
    if found := _ended_thoughts(thoughts or {}):
        return gate(BUDGET, "failed", found, figures, required=False)
    unknown, known = [who for who, limit in limits.items() if limit is None], [each for each in limits.values() if each]
    if unknown:
        names = ", ".join(unknown), "、".join(unknown)
        words = (f"how long an answer of {names[0]} might be is not known", f"{names[1]} 的作答长度上限未知")
        return gate(BUDGET, "not_checked", words, figures, required=False)
    told = ", ".join(f"{who} {limit:,}" for who, limit in limits.items())
    less = [who for who, limit in limits.items() if limit != max(known) and cut[who]]
    if less:
        words = (f"unlike, and the lower one was reached by {', '.join(less)} (tokens an answer: {told})",
                 f"上限不同，且 {'、'.join(less)} 有答案触及较低的上限（每题 token：{told}）")  # fmt: skip
        return gate(BUDGET, "failed", words, figures, required=False)
    words = (f"the same for all: {known[0]:,} tokens", f"各方案相同：{known[0]:,} token")
    if len(set(known)) > 1:
        words = (f"unlike, but no answer reached a lower one ({told})", f"上限不同，但没有答案触及较低者（{told}）")
    return gate(BUDGET, "passed", words, figures, required=False)


def _ended_thoughts(thoughts: Mapping[str, tuple[int, float]]) -> Words | None:
    """What is unfair in budgets of thoughts; None where nothing is."""
    most = max((budget for budget, _ in thoughts.values()), default=0)
    less = [who for who, (budget, ended) in thoughts.items() if budget < most and ended]
    told = ", ".join(f"{who} {budget:,}" for who, (budget, _) in thoughts.items())
    if not less:
        return None
    return (
        f"budgets of thought are unlike, and the lower one ended some of {', '.join(less)} (tokens a thought: {told})",
        f"思考预算不同，且 {'、'.join(less)} 有思考因较低的预算而结束（每次思考 token：{told}）",
    )


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


def raised(checked: Sequence[Gate], names: Sequence[str]) -> list[Gate]:
    """The same gates, those named required; one that nobody asked in this study is not checked."""
    known = {each.name for each in checked}
    found = [each.model_copy(update={"required": True}) if each.name in names else each for each in checked]
    why = (
        "rule.required names it, and nothing in this study asks it",
        "rule.required 要求此项，但本研究无从检查",
    )
    return [*found, *(unchecked((name, RAISABLE[name]), why) for name in names if name not in known)]


def unchecked(name: Words, why: Words) -> Gate:
    """A required gate that could not be asked."""
    return gate(name, "not_checked", why)
