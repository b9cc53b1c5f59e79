"""Steadiness: what a contender differs by from itself, before it may differ from another (decision.md 5.7).

Nobody measures these unasked (`tuneworth score --probe`). Once measured they count: one that fails makes the comparison
invalid. What the sample was too small to see is unresolved, and decides nothing.
"""

from collections.abc import Iterable, Mapping, Sequence

from eval.gates.gate import BATCHES, NOISE, PARITY, UNKNOWN, Figures, Gate, Status, Words, gate
from eval.repeatability import Apart, Changes, Kind, Parity, Repeatability
from eval.signs import interval, points

REACH = 0.1  # an interval that reaches further than ten points to either side could hide any gain worth finding
PADDED = 16  # questions, or answers that shared a batch, below which nothing is said
FEW = 0.02  # share of answers that may change by rounding alone
Measured = Mapping[str, Repeatability | None]  # who decides -> what was measured; None: nothing
COMMAND = "tuneworth score RECIPE --probe"


def noise_floor(measured: Measured, gains: Mapping[str, float]) -> Gate:
    """Each contender against itself, other draws and batches. `gains` (contrast -> share) are printed beside."""
    found = {who: each.floor for who, each in measured.items() if each}
    told = [(who, _state(each.apart, each.changes), _apart(each.apart)) for who, each in found.items()]
    beside = [f"{who} {points(gain)}" for who, gain in gains.items()]
    ends = ("; beside " + ", ".join(beside), "；对照 " + "、".join(beside)) if beside else ("", "")
    en, zh = "against themselves, in points, 99 %: ", "与自身相差（百分点，99%）："
    figures = {f"{who}: {name}": value for who, each in found.items() for name, value in _bounds(each.apart)}
    return _told(NOISE, measured, told, (en, zh), ends, figures)


def batch_invariance(measured: Measured) -> Gate:
    """Each contender's answers alone and in batches."""
    told: list[tuple[str, Status, str]] = []
    figures: dict[str, float | str | None] = {}
    for who, each in measured.items():
        if each and each.batching:
            seen, count = each.batching.changes, each.batching.together
            status: Status = "failed" if seen.answers > FEW else "passed" if count >= PADDED else "unresolved"
            largest = "" if seen.largest is None else f", |Δll| ≤ {seen.largest:.1g}"
            told.append((who, status, f"{seen.answers:.1%} (n {count}{largest})"))
            figures |= {f"{who}: {name}": value for name, value in seen.model_dump().items()} | {f"{who}: n": count}
    en, zh = "answers that change when asked alone: ", "逐条作答时改变的答案："
    return _told(BATCHES, measured, told, (en, zh), ("", ""), figures)


def engine_parity(engines: Mapping[str, Kind], parities: Sequence[Parity] = (), mixed: Sequence[str] = ()) -> Gate:
    """Contender -> (engine, dtype). Where two of either meet, a contender scored on both must link them.

    Quantised weights (`nf4 bfloat16`) are the contender's own, as it would be served; the dtype is that of its sums.
    `mixed` names those whose own log holds answers of several engines, which no probe can link.
    """
    if mixed:
        who = ", ".join(mixed)
        return gate(PARITY, "failed", (f"the log of {who} mixes engines", f"{who} 的作答记录混有多种引擎"))
    unseen = ", ".join(name for name, kind in engines.items() if UNKNOWN in kind)
    if unseen:
        return gate(PARITY, "not_checked", (f"nothing says what {unseen} ran on", f"{unseen} 的运行引擎未知"))
    kinds = sorted({_plain(kind) for kind in engines.values()})
    shown = ", ".join(" ".join(kind) for kind in sorted(set(engines.values())))
    if len(kinds) == 1:
        return gate(PARITY, "passed", (f"one engine and dtype: {shown}", f"同一引擎与精度：{shown}"), required=False)
    links = [each for each in parities if {_plain(each.here), _plain(each.there)} & set(kinds)]
    if not _linked(kinds, links):
        words = (f"{shown} meet, and no contender was scored on both ({COMMAND})",
                 f"同时出现 {shown}，且没有方案在两者上都评过分（{COMMAND}）")  # fmt: skip
        return gate(PARITY, "not_checked", words)
    return _across(links)


def _across(links: Sequence[Parity]) -> Gate:
    """One checkpoint on both engines: how far its answers agree."""
    states = [_state(each.apart, each.changes) for each in links]
    status: Status = next((each for each in ("failed", "unresolved") if each in states), "passed")
    said = "; ".join(
        f"{each.there[0]}: {1 - each.changes.answers:.1%}, {_apart(each.apart)}, {each.prefix:.0%}" for each in links
    )
    words = (f"one checkpoint on both, greedily: answers that agree, points apart (99 %), common beginning: {said}",
             f"同一权重、贪心解码、两种引擎：一致率、差值（百分点，99%）、共同开头：{said}")  # fmt: skip
    figures = {
        f"{each.there[0]}: {name}": value for each in links
        for name, value in [("answers changed", each.changes.answers), ("prefix", each.prefix),
                            ("prefix tokens", each.prefix_tokens), ("same prompts", each.same_prompts),
                            *_bounds(each.apart)]
    }  # fmt: skip
    return gate(PARITY, status, words, figures)


def _told(
    name: Words, measured: Measured, told: Sequence[tuple[str, Status, str]], begin: Words, end: Words, figures: Figures
) -> Gate:
    """Failed before unchecked before unresolved before passed; required once it is measured."""
    lacking = [who for who in measured if who not in {each for each, _, _ in told}]
    states = {status for _, status, _ in told} | ({"not_checked"} if lacking else set())
    order: tuple[Status, ...] = ("failed", "not_checked", "unresolved", "passed")
    status = next(each for each in order if each in states)
    said = "; ".join(f"{who} {text}" for who, _, text in told)
    en, zh = (f"{begin[0]}{said}{end[0]}", f"{begin[1]}{said}{end[1]}") if told else ("", "")
    if lacking:
        names = ", ".join(lacking)
        en = "; ".join(filter(None, [en, f"not measured: {names} ({COMMAND})"]))
        zh = "；".join(filter(None, [zh, f"未测量：{names}（{COMMAND}）"]))
    return gate(name, status, (en, zh), figures, required=status in ("failed", "passed"))


def _state(found: Apart, seen: Changes) -> Status:
    """Failed: the interval does not hold 0. Passed: it does, and was narrow, or hardly an answer changed at all."""
    if found.low is not None and found.high is not None and not found.low <= 0 <= found.high:
        return "failed"
    if found.n < PADDED:
        return "unresolved"
    narrow = found.low is not None and found.high is not None and max(-found.low, found.high) <= REACH
    return "passed" if narrow or seen.answers <= FEW else "unresolved"


def _apart(found: Apart) -> str:
    span = "" if found.low is None or found.high is None else f" {interval(found.low, found.high)}"
    return f"{points(found.gain)}{span}"


def _bounds(found: Apart) -> Iterable[tuple[str, float | None]]:
    return ("gain", found.gain), ("low", found.low), ("high", found.high)


def _plain(kind: Kind) -> Kind:
    return kind[0], kind[1].rpartition(" ")[2]


def _linked(kinds: Sequence[Kind], links: Sequence[Parity]) -> bool:
    """Whether the measured pairs join all kinds into one."""
    joined, grown = {kinds[0]}, True
    while grown:
        sides = [{_plain(each.here), _plain(each.there)} for each in links]
        more = {kind for pair in sides if pair & joined for kind in pair} - joined
        joined, grown = joined | more, bool(more)
    return set(kinds) <= joined
