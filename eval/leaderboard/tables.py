"""The board as Markdown, for people and pull requests, and as CSV, for a spreadsheet."""

from __future__ import annotations

import csv
import io
import re

from eval.leaderboard.board import Board, Card, Slice, Standing
from eval.report.figures import interval, number, points, share
from eval.signs import percent

COLUMNS = (
    "slice", "key", "rank", "rank_best", "rank_worst", "tier", "contender", "run", "model", "method", "prompted",
    "size", "licence", "score", "low", "high", "n", "clusters", "cost_per_1000", "currency", "tokens_in", "tokens_out",
    "think_share", "seconds", "memory_bytes", "doubt",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # beginnings that a spreadsheet would run


def markdown(board: Board) -> str:
    """One table for each slice that differs from the whole, then every pair of the whole."""
    parts, seen = ["# Leaderboard\n", _lead(board)], set()
    for each in board.slices:
        if each.standings not in seen:
            parts += [f"## {title(each)}\n", _table(board, each)]
        seen.add(each.standings)
    parts += ["## Every pair, on all questions\n", _p_value(board), _pairs(board.slices[0])]
    notes = [f"- {plain(card.contender)}: {plain(card.doubt)}" for card in board.contenders if card.doubt]
    return "\n".join([*parts, *(["## In doubt\n", *notes] if notes else [])]).rstrip() + "\n"


def comma(board: Board) -> str:
    """A row for each contender and slice, the blind row of each slice last; empty cells are not known."""
    out = io.StringIO()
    write = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    write.writeheader()
    for part in board.slices:
        facts = {"slice": part.kind, "key": part.key, "n": part.n, "clusters": part.clusters}
        for row in part.standings:
            write.writerow({name: _cell(value) for name, value in (facts | _facts(board, row)).items()})
        write.writerow(facts | {"contender": "blind", "score": part.blind.score})
    return out.getvalue()


def title(part: Slice) -> str:
    return "All of the exam" if part.kind == "all" else f"{part.kind}: {plain(part.key)}"


def plain(text: str) -> str:
    """Text that Markdown takes for nothing else: one line, marks escaped."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&$-])", r"\\\1", " ".join(text.split()))


def size(card: Card) -> str:
    """Parameters in billions, or millions below one."""
    if card.size is None:
        return "unknown"
    return f"{card.size / 1e9:.1f}B" if card.size >= 5e8 else f"{card.size / 1e6:.1f}M"


def made_by(card: Card) -> str:
    """How it was tuned and whether a frame asks it: two of one model differ by these."""
    parts = [*([card.method] if card.method != "none" else []), *(["prompt"] if card.prompted else [])]
    return " + ".join(parts) or "none"


def _lead(board: Board) -> str:
    return (
        f"Right answers per hundred, with {percent(board.confidence)} intervals clustered by document. Contenders of a "
        f"tier share a rank: they are not told apart from its best (Holm over all pairs). A span holds every rank that "
        f"the pairs leave open: from one more than are shown to be better to all but those shown to be worse. Costs "
        f"are per 1,000 queries; they, tokens, thought and seconds are means over the questions of each table.\n"
    )


def _table(board: Board, part: Slice) -> str:
    head = "| rank | span | contender | model | method | score | interval | cost | tokens out | thought | seconds |"
    lines = [f"n {part.n:,}, clusters {part.clusters:,}\n", head, "|" + " --- |" * (head.count("|") - 1)]
    for row in part.standings:
        card = board.card(row.contender)
        cells = [
            str(row.rank), span(row), plain(row.contender), plain(card.model), plain(made_by(card)),
            points(row.score, signed=False), _interval(row), money(row, card), known(row.tokens_out), thought(row),
            known(row.seconds),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    ways = ", ".join(f"{plain(task)}: {way}" for task, way in part.blind.ways.items())
    lines.append(f"| | | blind ({ways}) | | | {points(part.blind.score, signed=False)} | | | | | |")
    return "\n".join(lines) + "\n"


def span(row: Standing) -> str:
    return str(row.rank_best) if row.rank_best == row.rank_worst else f"{row.rank_best}–{row.rank_worst}"


def known(value: float | None) -> str:
    return "unknown" if value is None else number(value)


def money(row: Standing, card: Card) -> str:
    return "unknown" if row.cost is None else f"{number(row.cost)} {plain(card.currency)}"


def thought(row: Standing) -> str:
    return "unknown" if row.thinking is None else share(row.thinking)


def _interval(row: Standing) -> str:
    if row.low is None or row.high is None:
        return "not told"
    return f"{points(row.low, signed=False)} to {points(row.high, signed=False)}"


def _p_value(board: Board) -> str:
    return (
        f"p is two-sided, for no difference, by Holm over all pairs of the table; told apart where it is at most "
        f"{number(1 - board.confidence)}. Intervals are of one pair each, not corrected.\n"
    )


def _pairs(part: Slice) -> str:
    lines = ["| ahead | behind | difference | interval | p (Holm) | told apart |", "|" + " --- |" * 6]
    for duel in part.duels:
        told = "not told" if duel.low is None or duel.high is None else interval(duel.low, duel.high)
        sure = "yes" if duel.resolved else "no"
        cells = [plain(duel.ahead), plain(duel.behind), points(duel.gain), told, f"{duel.holm_p:.3f}", sure]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _facts(board: Board, row: Standing) -> dict[str, object]:
    card = board.card(row.contender)
    found = row.model_dump(exclude={"cost", "thinking"})
    found |= card.model_dump(include={"run", "model", "method", "prompted", "size", "licence", "currency"})
    return found | {
        "doubt": card.doubt, "cost_per_1000": row.cost, "think_share": row.thinking, "memory_bytes": card.memory,
    }  # fmt: skip


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula is told to be a text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def lines(part: Slice) -> list[str]:
    """The tiers for a terminal: rank, contender, score with its interval, span of ranks; the blind row last."""
    wide = max(len(row.contender) for row in part.standings)
    found = [
        f"{row.rank:>3}  {row.contender:<{wide}}  {points(row.score, signed=False):>5}  {_interval(row)}  "
        f"(rank {span(row)})"
        for row in part.standings
    ]
    return [*found, f"     {'blind':<{wide}}  {points(part.blind.score, signed=False):>5}"]
