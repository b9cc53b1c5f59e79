"""The board as one offline page, in the dress of the verdict's: it loads nothing, and filters what it holds."""

from __future__ import annotations

import base64
import hashlib
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eval.leaderboard import pareto
from eval.leaderboard.board import Board, Card, Slice, Standing
from eval.leaderboard.tables import size, span
from eval.report import charts, figures, words
from eval.report import page as verdicts
from eval.report.words import Said, same
from eval.signs import percent

HERE = Path(__file__).parent
KINDS = {
    "all": Said("whole", "整体"), "suite": Said("suite", "套题"), "scenario": Said("scenario", "场景"),
    "lang": Said("language", "语言"), "task": Said("task", "任务"),
}  # fmt: skip
WAYS = {
    "guess": Said("guessing", "随机猜"), "frequent": Said("the most frequent answer", "最常见答案"),
    "longest": Said("the longest option", "最长选项"), "echo": Said("the question again", "复述题目"),
}  # fmt: skip
HEADS = [
    ("Rank", "名次", True), ("Span", "名次范围", True), ("Contender", "方案", False), ("Score", "得分", True),
    ("Cost of 1,000", "每千次成本", True), ("Tokens in", "输入词元", True), ("Tokens out", "输出词元", True),
    ("Thought", "思考占比", True), ("Seconds", "秒", True), ("Memory, GB", "显存 GB", True),
]  # fmt: skip
UNKNOWN = Said("unknown", "未知")


def render(board: Board) -> str:
    """The page, in English and Chinese by a switch. The same board gives the same bytes."""
    return _environment().get_template("board.html").render(_context(board)) + "\n"


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader([HERE, verdicts.HERE]),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters["number"] = figures.number
    made.globals |= {
        "points": figures.points, "interval": figures.interval, "probability": figures.probability,
        "say": lambda en, zh: words.spoken(Said(str(en), str(zh))), "spoken": words.spoken, "size": size, "span": span,
        "measures": measures,
    }  # fmt: skip
    return made


def _context(board: Board) -> dict[str, Any]:
    script, style = _joined("page.js", "board.js"), _joined("page.css", "board.css")
    found, titles = pareto.field(board), [title(part) for part in board.slices]
    numbered = groupby(enumerate(board.slices), lambda pair: pair[1].kind)
    return {
        "b": board, "words": words, "lead": lead(board), "level": percent(board.confidence),
        "error": figures.number(1 - board.confidence), "heads": HEADS,
        "ways": WAYS,
        "kinds": [(KINDS[kind], [(at, option(titles[at])) for at, _ in parts]) for kind, parts in numbered],
        "titles": titles, "facets": _facets(board), "caption": pareto.caption(found) if found else None,
        "drawn": charts.both("pareto", pareto.draw, found) if found else None,
        "unknown": found.unknown if found else (), "style": Markup(style), "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }  # fmt: skip


def _joined(theirs: str, ours: str) -> str:
    """A file of the verdict's page, and what the board adds to it."""
    return (verdicts.HERE / theirs).read_text("utf-8") + (HERE / ours).read_text("utf-8")


def title(part: Slice) -> Said:
    """The part of the exam by name."""
    if part.kind == "all":
        return Said("All of the exam", "全部考试")
    known = {"lang": words.LANGUAGES, "scenario": words.SCENARIOS}.get(part.kind, {})
    return known.get(part.key, same(part.key))


def option(said: Said) -> str:
    """Both languages in one line: an option of a list has no parts."""
    return said.en if said.en == said.zh else f"{said.en} · {said.zh}"


def lead(board: Board) -> Said:
    """Who heads the board, and with whom."""
    whole = board.slices[0]
    first = [row.contender for row in whole.standings if row.tier == 1]
    last = max(row.tier for row in whole.standings)
    facts = f"n {whole.n:,} · C {whole.clusters:,}"
    if len(first) == 1:
        return Said(f"{first[0]} leads, told apart from all others, in {last} tiers ({facts}).",
                    f"{first[0]} 领先，与其余方案均有差异；共 {last} 档（{facts}）。")  # fmt: skip
    head = first[0]
    return Said(f"{', '.join(first)} share the first of {last} tiers: not all are told apart from {head} ({facts}).",
                f"{'、'.join(first)} 并列第一档（共 {last} 档）：并非都与 {head} 有差异（{facts}）。")  # fmt: skip


def measures(card: Card, row: Standing) -> list[tuple[float | None, Said]]:
    """What its answers to these questions took, to sort by and to read; unknown where a log does not tell."""
    cost = None if row.cost is None else f"{figures.number(row.cost)} {card.currency}"
    thought = None if row.thinking is None else figures.share(row.thinking)
    memory = None if card.memory is None else card.memory / 1e9
    plain = [(value, None if value is None else figures.number(value)) for value in
             (row.tokens_in, row.tokens_out, row.seconds, memory)]  # fmt: skip
    told = [(row.cost, cost), plain[0], plain[1], (row.thinking, thought), plain[2], plain[3]]
    return [(value, UNKNOWN if text is None else same(text)) for value, text in told]


def _facets(board: Board) -> list[tuple[str, Said, list[str]]]:
    """What rows can be filtered by, where they differ in it."""
    every = [
        ("size", Said("Size", "规模"), [size(card) for card in board.contenders]),
        ("method", Said("Method", "方法"), [card.method for card in board.contenders]),
        ("licence", Said("Licence", "许可"), [card.licence or "–" for card in board.contenders]),
    ]
    return [(name, said, sorted(set(values))) for name, said, values in every]
