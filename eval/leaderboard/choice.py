"""The contender that the evidence supports within limits, or "cannot tell" and why. Reads the board, computes nothing.

Supported is who scores most among those known to keep within the limits, told apart from every other of them (Holm
over all pairs), shown to beat answering blind, and not in doubt in its own run.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from eval.leaderboard.board import Board, Card, Slice, Standing, Versus
from eval.report.figures import interval, number, points
from eval.report.words import Said
from finetune.mistakes import BadInput, near

MOST = 100  # times the clusters, beyond which nobody would ask
UNITS = {"MB": 1e6, "GB": 1e9, "MiB": 2.0**20, "GiB": 2.0**30}


@dataclass(frozen=True)
class Limits:
    """None: no limit, or the whole exam."""

    cost: float | None = None  # of 1,000 queries, in the currency of the runs
    memory: float | None = None  # bytes
    scenario: str | None = None


class Choice(BaseModel):
    """Whom the evidence supports, and why; no contender where it cannot tell."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    contender: str | None
    reason: str
    reason_zh: str
    left_out: dict[str, Said] = Field(description="Contender -> why it was not looked at")


def choose(board: Board, limits: Limits) -> Choice:
    """BadInput: no task of the scenario, or costs in several currencies."""
    part = _part(board, limits.scenario)
    left_out = _left_out(board, part, limits)
    rows = [row for row in part.standings if row.contender not in left_out]
    contender, said = _weighed(board, part, rows)
    return Choice(contender=contender, reason=said.en, reason_zh=said.zh, left_out=left_out)


def parse_memory(text: str) -> float:
    """Bytes of `24GB` or `24GiB`. BadInput: no such size."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(MB|GB|MiB|GiB)\s*", text)
    if not found or not float(found[1]):
        raise BadInput(f"--max-memory {text}: no size; write a number and {', '.join(UNITS)}, such as 24GB")
    return float(found[1]) * UNITS[found[2]]


def _part(board: Board, scenario: str | None) -> Slice:
    if scenario is None:
        return board.slices[0]
    found = board.slice("scenario", scenario)
    if found is None:
        known = [part.key for part in board.slices if part.kind == "scenario"]
        raise BadInput(f"--scenario {scenario}: no task on this board is of it{near(scenario, known)}")
    return found


def _left_out(board: Board, part: Slice, limits: Limits) -> dict[str, Said]:
    """Who is known to break a limit, of whom it is not known, and whose scores are in doubt."""
    currencies = {card.currency for card in board.contenders if card.cost is not None}
    if limits.cost is not None and len(currencies) > 1:
        raise BadInput(f"--max-cost {limits.cost:g}: costs are in {' and '.join(sorted(currencies))}; name runs of one")
    why = {card.contender: _why(card, part.standing(card.contender).cost, limits) for card in board.contenders}
    return {name: reason for name, reason in why.items() if reason.en}


def _why(card: Card, cost: float | None, limits: Limits) -> Said:
    """Empty where it keeps within the limits; `cost` is that of the questions it is chosen on."""
    if card.doubt:
        return Said(card.doubt, card.doubt_zh)
    if limits.cost is not None and (cost is None or cost > limits.cost):
        part, part_zh = (" on these questions", "（按这些题目）") if limits.scenario else ("", "")
        told = f"{number(cost)} {card.currency}" if cost is not None else ""
        return Said(f"costs {told}{part}", f"成本 {told}{part_zh}") if told else Said("cost unknown", "成本未知")
    if limits.memory is not None and (card.memory is None or card.memory > limits.memory):
        told = f"{number(card.memory / 1e9)} GB" if card.memory is not None else ""
        return Said(f"takes {told}", f"占用 {told}") if told else Said("memory unknown", "显存未知")
    return Said("", "")


def _weighed(board: Board, part: Slice, rows: list[Standing]) -> tuple[str | None, Said]:
    """The best of the rows, best first, if it is shown to be."""
    if not rows:
        return None, Said("nobody is known to keep within the limits", "没有方案已知符合限制")
    best, blind = rows[0], points(part.blind.score, signed=False)
    if best.low is None or best.low <= part.blind.score:
        who, score = best.contender, _told(best)
        return None, Said(f"{who} scores most ({score}), but is not shown to beat answering blind ({blind})",
                          f"{who} 得分最高（{score}），但未证明优于盲答（{blind}）")  # fmt: skip
    others = {row.contender for row in rows[1:]}
    duels = [duel for duel in part.duels if _rival(duel, best.contender) in others]
    level = [duel for duel in duels if not duel.resolved]
    if level:
        return None, _tied(board, part, best, level)
    if not others:
        return best.contender, Said(f"the only one within the limits: {_told(best)}, blind {blind}",
                                    f"唯一符合限制者：{_told(best)}，盲答 {blind}")  # fmt: skip
    closest = min(duels, key=lambda duel: duel.gain)
    gap, rival = f"{points(closest.gain)} {_span(closest)}", _rival(closest, best.contender)
    return best.contender, Said(
        f"{_told(best)}, told apart from all {len(others)} others within the limits; the closest is {rival}: {gap}",
        f"{_told(best)}，与符合限制的其余 {len(others)} 个方案均有差异；最接近的是 {rival}：{gap}",
    )


def _rival(duel: Versus, name: str) -> str | None:
    """The other one of a duel that it fights."""
    return duel.behind if duel.ahead == name else duel.ahead if duel.behind == name else None


def _tied(board: Board, part: Slice, best: Standing, level: list[Versus]) -> Said:
    """Who is not told apart from the best, who of them is cheapest, and how many more questions would tell."""
    names = [str(_rival(duel, best.contender)) for duel in level]
    gaps = [f"{name} {points(duel.gain)} {_span(duel)}" for name, duel in zip(names, level, strict=True)]
    costs = {name: cost for name in (best.contender, *names) if (cost := part.standing(name).cost) is not None}
    en, zh = "", ""
    if len(costs) == len(names) + 1 and len({board.card(name).currency for name in costs}) == 1:
        cheapest = min(costs, key=lambda name: costs[name])
        en, zh = f"; the cheapest of them is {cheapest}", f"；其中成本最低的是 {cheapest}"
    need = max(_times(duel) for duel in level)
    if math.isfinite(need):
        en += f"; if the differences are as measured, about {number(need)} times as many clusters would tell"
        zh += f"；若差异确如所测，约需 {number(need)} 倍题组才能区分"
    elif all(duel.low is not None for duel in level):
        en += f"; to tell them apart would take over {MOST} times as many clusters"
        zh += f"；要区分它们，需超过 {MOST} 倍的题组"
    return Said(f"{best.contender} scores most, but is not told apart from {', '.join(gaps)}{en}",
                f"{best.contender} 得分最高，但无法与以下方案区分：{'、'.join(gaps)}{zh}")  # fmt: skip


def _times(duel: Versus) -> float:
    """How many times the clusters, so that the interval ends at zero: its width falls with their root."""
    if duel.low is None or duel.gain <= 0:
        return math.inf
    times = ((duel.gain - duel.low) / duel.gain) ** 2
    return max(2, math.ceil(times)) if times < MOST else math.inf


def _told(row: Standing) -> str:
    score = points(row.score, signed=False)
    if row.low is None or row.high is None:
        return score
    return f"{score} [{points(row.low, signed=False)}, {points(row.high, signed=False)}]"


def _span(duel: Versus) -> str:
    return "[–]" if duel.low is None or duel.high is None else interval(duel.low, duel.high)
