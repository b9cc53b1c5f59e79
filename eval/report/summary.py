"""The verdict in a terminal: one table and one sentence, in both languages."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eval import terminal
from eval.compare import Comparison
from eval.report import view
from eval.report.figures import interval, number, points
from eval.report.words import TRENDS
from eval.verdict import Verdict
from eval.verdict.curve import Curve

STYLES = {
    "worth_it": "bold green",
    "not_worth_it": "bold red",
    "inconclusive": "bold yellow",
    "invalid": "bold magenta",
    "exploratory": "bold blue",
    "plumbing": "bold",
}


def table(verdict: Verdict) -> RenderableType:
    """Contenders best first: score, gain over the incumbent and an alternative that decides, what tuning and a query
    cost; then the sentence."""
    word = view.word(verdict)
    head = Text.assemble((f"{word.en} · {word.zh}", STYLES[verdict.outcome]), f"   {verdict.question}")
    said = Text(f"\n{verdict.sentence}\n{verdict.sentence_zh}")
    trends = [Text(_trend(each), "dim") for each in verdict.curves]
    return Group(Text(), head, _checks(verdict) if verdict.plumbing else _scores(verdict), *trends, said)


def _trend(curve: Curve) -> str:
    """The last step of one family in one line."""
    step, (fewer, more) = curve.step, curve.points[-2:]
    word, found = TRENDS[step.trend], step.gain
    told = step.fault
    if found:
        seeds = f"{found.seeds} seed{'s' if found.seeds > 1 else ''}"
        told = f"{points(found.gain)} {interval(found.low, found.high)}, {seeds}"
    rows = f"{number(fewer.rows)} → {number(more.rows)} rows"
    return f"more data? 加数据？ {step.more}, {rows}: {word.en} · {word.zh} ({told}); exploratory 仅供探索"


def _scores(verdict: Verdict) -> Table:
    rivals = dict.fromkeys(([verdict.deciding.incumbent] if verdict.deciding else []) + [verdict.incumbent])
    numbers = "rank", "score", *(f"over {name}" for name in rivals), "training cost", "cost a query"
    found = terminal.table("", "rank", "contender", "role", *numbers[1:], numbers=numbers)
    against = {(c.challenger, c.incumbent): c for c in verdict.comparisons if c.role in ("delta", "alternative")}
    for row in view.board(verdict):
        c = row.c
        score = points(c.score, signed=False) + (f" ± {points(row.half, signed=False)}" if row.half is not None else "")
        over = [_over(verdict, against.get((c.name, rival))) for rival in rivals]
        style = "bold" if c.name == verdict.challenger and verdict.delta else ""
        costs = (number(c.training_cost), "unknown" if c.cost_per_query is None else number(c.cost_per_query))
        found.add_row(row.rank, c.name, ", ".join(c.roles), score, *over, *costs, style=style)
    return found


def _over(verdict: Verdict, gain: Comparison | None) -> str:
    return f"{points(gain.gain)} {interval(view.deciding_low(verdict, gain), gain.high)}" if gain else "–"


def _checks(verdict: Verdict) -> Table:
    found = terminal.table("", "", "check", "found")
    for check in verdict.plumbing.checks if verdict.plumbing else ():
        fault = Text("fail", "red") if check.decides else Text("low", "yellow")
        found.add_row(Text("pass", "green") if check.passed else fault, check.name, check.text)
    return found
