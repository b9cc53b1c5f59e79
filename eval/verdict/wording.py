"""What the verdict says in words, in English and Chinese; every number it speaks is one of the verdict's own."""

from collections.abc import Mapping, Sequence
from datetime import date

from eval.compare import Comparison
from eval.gates import Gate
from eval.signs import percent
from eval.verdict.guards import GuardRow
from eval.verdict.ruling import GUARDS, Ruling, borne, points

Words = tuple[str, str]  # English, Chinese
SCENARIOS: dict[str, Words] = {
    "compliance": ("compliance Q&A", "合规问答"), "guidance": ("business guidance", "业务指引"),
    "knowledge": ("knowledge lookup", "知识查询"), "research": ("research and reports", "投研与报告"),
    "service": ("customer service", "客户服务"), "risk": ("risk control", "风险控制"),
    "credit": ("credit", "信贷"), "calculation": ("calculation", "计算"),
    "extraction": ("extraction", "信息抽取"), "general": ("general ability", "通用能力"),
}  # fmt: skip
TRAITS: dict[str, Words] = {
    "professional": ("professional tasks", "专业任务"), "precise": ("precise tasks", "精确任务"),
    "specific": ("specific tasks, of a house's own conventions", "特定任务（机构自有约定）"),
    "novel": ("novel tasks", "新颖任务"),
}  # fmt: skip
PARTS: dict[str, Words] = {
    "training": ("training", "训练"), "search": ("search", "搜索"), "failed": ("failed runs", "失败的运行"),
    "evaluation": ("evaluation", "评测"), "data": ("data", "数据"), "people": ("people", "人力"),
    "declared": ("declared", "声明"),
}  # fmt: skip
NO_GUARD: Words = ("No guard was declared.", "未声明护栏指标。")


def guarded(rows: Sequence[GuardRow]) -> Words:
    """That every guard passed, with the means that say so."""
    told = [(*row.words, f"{points(row.gain)} ({points(row.low)} to {points(row.high)}; {points(-row.margin)} borne)",
             f"{points(row.gain)}（{points(row.low)} 至 {points(row.high)}，容许 {points(-row.margin)}）")
            for row in rows if row.whole]  # fmt: skip
    ours, theirs = ", ".join(f"{en} {span}" for en, _, span, _ in told), "、".join(f"{z} {s}" for _, z, _, s in told)
    return (
        f"Every guard passed, in points against {rows[0].base}: {ours}.",
        f"各项护栏通过（对 {rows[0].base}，百分点）：{theirs}。",
    )


def left_out(rows: Sequence[GuardRow]) -> list[Words]:
    """How many guard questions the challenger was tuned on, each guard as a whole, and which way they lean."""
    told = [(*row.words, row.shown, row.n if row.untold else row.n + row.shown)
            for row in rows if row.whole and row.shown]  # fmt: skip
    if not told:
        return []
    en, zh = (
        ", ".join(f"{en} {shown:,} of {items:,}" for en, _, shown, items in told),
        "、".join(f"{zh} {items:,} 题中 {shown:,} 题" for _, zh, shown, items in told),
    )
    who = rows[0].challenger
    return [(f"What {who} was tuned on shows questions of its guards, which flatter it there and are left out: {en}.",
             f"{who} 的训练数据中出现护栏题目，会抬高其护栏成绩，已剔除：{zh}。")]  # fmt: skip


def chosen(trials: Mapping[str, float]) -> Words:
    """Who was chosen on the development questions, and over whom."""
    ranked = sorted(trials, key=trials.__getitem__, reverse=True)
    scores = [f"{name} {points(trials[name])}" for name in ranked]
    told, told_zh = ", ".join(scores), "、".join(scores)
    return (f"{ranked[0]} was chosen on the development questions ({told}) and confirmed once on the rest.",
            f"{ranked[0]} 是在开发题上选出的（{told_zh}），再用其余题目检验一次。")  # fmt: skip


def searched(trials: Mapping[str, int], rivals: Sequence[str]) -> Words:
    """The budget of both sides (decision.md 5.8): trials of each challenger's knobs, and of the rivals' prompts."""
    bare = [name for name, count in trials.items() if not count]
    told = ", ".join(f"{name} {_count(count, 'trial')}" for name, count in trials.items() if count)
    told_zh = "、".join(f"{name} {count} 次" for name, count in trials.items() if count)
    parts = [(f"Knobs were searched on training rows held out: {told}.", f"在留出的训练行上搜索超参数：{told_zh}。")]
    if bare:
        parts.append((f"{', '.join(bare)}: no trial, so what parts the challengers may be the search.",
                      f"{'、'.join(bare)} 未作试验，挑战者之间的差别可能来自搜索。"))  # fmt: skip
    parts.append((f"Prompts of {', '.join(rivals)}: as declared, no trial.",
                  f"{'、'.join(rivals)} 的提示词按声明使用，未作试验。"))  # fmt: skip
    return join(parts)


def quantised(packed: Mapping[str, str], unknown: Sequence[str]) -> Words:
    """Who ran on weights quantised how (empty: not at all), and of whom nobody knows; rounding leans against whom."""
    told = [(f"{name} {kind}", f"{name} 为 {kind}") for name, kind in packed.items() if kind]
    told += [(f"{name} not", f"{name} 未量化") for name, kind in packed.items() if not kind]
    told += [(f"{name} not known", f"{name} 未知") for name in unknown]
    return (f"Weights are not quantised alike ({', '.join(en for en, _ in told)}); rounding leans against who has it.",
            f"各方案权重的量化不同（{'，'.join(zh for _, zh in told)}），量化会压低其成绩。")  # fmt: skip


def public(items: int, young: int) -> Words:
    """That a newer base may have seen public questions; of `items` those that are `young` it cannot have."""
    if young:
        return (f"The newer base may have seen {items - young:,} of the {items:,} items: all of them are public.",
                f"题目均已公开，{items:,} 道中有 {items - young:,} 道新底座可能见过。")  # fmt: skip
    return "The newer base may have seen these items: all of them are public.", "题目均已公开，新底座可能见过。"


def fresh(young: int, newest: date | None) -> Words:
    """That questions which no model can have seen carry a NOT WORTH IT alone."""
    return (f"Not worth it on the {young:,} items that no model can have seen, public after {newest}, too.",
            f"仅看各模型不可能见过的 {young:,} 道题（公开于 {newest} 之后），同样不值得。")  # fmt: skip


def perturbed(items: int) -> Words:
    """That number twins carry a NOT WORTH IT alone."""
    return (f"Not worth it on {items:,} questions with other figures, which no model can have seen, too.",
            f"仅看换了数字的 {items:,} 道变体题（各模型不可能见过），同样不值得。")  # fmt: skip


def join(parts: Sequence[Words]) -> Words:
    """Sentences one after another; Chinese needs no space between them."""
    return " ".join(part[0] for part in parts), "".join(part[1] for part in parts)


def measured(told: Sequence[Comparison], ruling: Ruling, rulings: Sequence[Ruling]) -> Words:
    """Gain, interval, margin and size of the contrasts that are told, with the lower bounds that decide; where an
    alternative decides, its contrast stands first, Δ behind it."""
    found, *more = told
    low, high = points(ruling.lows[found.incumbent]), points(found.high)
    gain, margin, level, tried = points(found.gain), points(found.margin), percent(found.confidence), len(rulings)
    holm = (
        (f", lower end corrected for {tried} challengers", f"，下限已按 {tried} 个方案校正") if tried > 1 else ("", "")
    )
    also = [(each.incumbent, points(each.gain), points(ruling.lows[each.incumbent]), points(each.high))
            for each in more]  # fmt: skip
    rest = "".join(f"; against {rival}: {gain} points ({low} to {high})" for rival, gain, low, high in also)
    rest_zh = "".join(f"；对 {rival}：{gain} 个百分点（{low} 至 {high}）" for rival, gain, low, high in also)
    each, each_zh = _samples(found)
    return (
        f"{found.challenger} against {found.incumbent}: {gain} points ({level} interval {low} to {high}{holm[0]}; "
        f"margin {margin}){rest}, {found.n:,} questions in {found.clusters:,} clusters, {each}.",
        f"{found.challenger} 对 {found.incumbent}：{gain} 个百分点（{level} 区间 {low} 至 {high}{holm[1]}；"
        f"门槛 {margin}）{rest_zh}，{found.n:,} 道题、{found.clusters:,} 个题组，{each_zh}。",
    )


def _samples(found: Comparison) -> Words:
    """How many samples a question has, which may differ by task."""
    least, most = found.drawn
    if least < most:
        return f"{least} to {most} samples each, by task", f"每题作答 {least} 至 {most} 次（依任务）"
    return f"{_count(most, 'sample')} each", f"每题作答 {most} 次"


def claim(found: Comparison) -> Words:
    """One checkpoint supports a claim on itself; a recipe needs three seeds (decision.md 5.1)."""
    if found.seeds >= 3:
        return (f"A claim on the recipe ({found.seeds} training seeds).",
                f"结论适用于该配方（{found.seeds} 个训练种子）。")  # fmt: skip
    return (
        f"A claim on this artifact, not on the recipe ({_count(found.seeds, 'training seed')}).",
        f"结论只适用于这一产物，不适用于配方（{found.seeds} 个训练种子）。",
    )


def terms(found: Comparison, cost: Words, until: Words) -> Words:
    """What the claim is of, what a tuning campaign costs (`campaign`), and how long it stands; each may be empty."""
    return join([each for each in (claim(found), cost, until) if each[0]])


def campaign(parts: Mapping[str, float], cost: str) -> Words:
    """F whole, with what it is made of: the device time of training alone is a part of it."""
    paid = [PARTS[name] for name, price in parts.items() if price]
    return (f"One tuning campaign ({', '.join(en for en, _ in paid)}) costs {cost} in all.",
            f"一轮微调的全部成本（{'、'.join(zh for _, zh in paid)}）为 {cost}。")  # fmt: skip


def until(newest: str, released: str) -> Words:
    """`newest` is the newest base that was considered, with its day of release where that is known."""
    since = (f" (released {released})", f"（{released} 发布）") if released else ("", " ")
    return (f"It stands until a base newer than {newest}{since[0]} is out.",
            f"结论有效至比 {newest}{since[1]}更新的底座问世。")  # fmt: skip


def worth_it(told: Sequence[Comparison], ruling: Ruling, rulings: Sequence[Ruling], terms: Words) -> Words:
    parts = ("; ".join(en for en, _ in _over(ruling)), "；".join(zh for _, zh in _over(ruling)))
    head = f"Worth it: {parts[0]}.", f"值得微调：{parts[1]}。"
    return join([head, measured(told, ruling, rulings), terms])


def _over(ruling: Ruling) -> list[Words]:
    """Whom it beats; and of whom it may lose a little, which a margin below 0 bears, how much at most."""
    who, beaten = ruling.challenger, [rival for rival, low in ruling.lows.items() if low > 0]
    said = [(f"{who} beats {' and '.join(beaten)}", f"{who} 优于 {'、'.join(beaten)}")] if beaten else []
    return said + [borne(who, rival, low) for rival, low in ruling.lows.items() if rival not in beaten]


def not_worth_it(told: Sequence[Comparison], ruling: Ruling, rulings: Sequence[Ruling], terms: Words) -> Words:
    reason = ruling.reasons[0]
    others = [each.challenger for each in rulings if each.challenger != ruling.challenger]
    also = (f" Neither is {' nor '.join(others)}.", f"{'、'.join(others)} 也不值得。") if others else ("", "")
    named = [reason, *(each for each in ruling.reasons[1:] if each.code in GUARDS)]  # a harm is said beside any other
    why, why_zh = "; ".join(each.text for each in named), "；".join(each.text_zh for each in named)
    head = f"Not worth it: {why}.{also[0]}", f"不值得微调：{why_zh}。{also[1]}"
    return join([head, measured(told, ruling, rulings), terms])


def unclear(open_gates: Sequence[Gate]) -> list[Words]:
    """What each gate left open."""
    said = {"not_checked": ("was not checked", "未检查")}
    states = [(g, *said.get(g.status, ("is unresolved", "未能判定"))) for g in open_gates]
    return [(f"{g.name} {en}: {g.reason}", f"{g.name_zh}{zh}：{g.reason_zh}") for g, en, zh in states]


def inconclusive(
    told: Sequence[Comparison], ruling: Ruling, rulings: Sequence[Ruling], terms: Words, doubts: Sequence[Words],
    settle: Sequence[Words],
) -> Words:  # fmt: skip
    """Names what is open, what would settle it, and what to do meanwhile: the reversible thing. `doubts` are gates left
    open and other ways of looking that contradict."""
    why, apart = list(doubts), [reason for reason in ruling.reasons if reason.code not in GUARDS]
    guards = [reason for reason in ruling.reasons if reason.code in GUARDS]
    for reason in [*apart[: 0 if why else 1], *guards]:
        plain = reason.code == "unresolved" and reason.rival == told[0].incumbent  # its figures follow anyway
        why.append(("the interval holds the margin", "区间包含门槛") if plain else (reason.text, reason.text_zh))
    head = f"Inconclusive: {'; '.join(en for en, _ in why)}.", f"尚无定论：{'；'.join(zh for _, zh in why)}。"
    until = f"Until then keep {told[-1].incumbent}, untuned.", f"在此之前，沿用未微调的 {told[-1].incumbent}。"
    return join([head, measured(told, ruling, rulings), terms, *settle, until])


def invalid(failed: Sequence[Gate]) -> Words:
    head = "; ".join(f"{gate.name}: {gate.reason}" for gate in failed)
    zh = "；".join(f"{gate.name_zh}：{gate.reason_zh}" for gate in failed)
    return f"Invalid, no winner is named. {head}.", f"比较无效，不宣布胜者。{zh}。"


def exploratory(plan: Gate, found: Comparison, ruling: Ruling, rulings: Sequence[Ruling], terms: Words) -> Words:
    head = (f"Exploratory, not a verdict: {plan.reason}.", f"仅为探索，不作结论：{plan.reason_zh}。")
    return join([head, measured([found], ruling, rulings), terms])


def plumbing(passed: bool, failed: Sequence[Words]) -> Words:
    if passed:
        return "Plumbing only: every room works. Never a verdict.", "仅检查流程：各环节运行正常。不作结论。"
    names = ", ".join(en for en, _ in failed), "、".join(zh for _, zh in failed)
    return f"Plumbing only: failed at {names[0]}. Never a verdict.", f"仅检查流程：未通过 {names[1]}。不作结论。"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
