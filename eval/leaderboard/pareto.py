"""Cost against quality: who scores more than all that cost less, and the drawing of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from eval.leaderboard.board import Board, Standing
from eval.report.canvas import Canvas, Shape, colour, fitted, text_width
from eval.report.charts import WIDTH
from eval.report.figures import number, points
from eval.report.words import Said, same

ROOM = 15.0  # pixels that a label takes from top to bottom
HEIGHT = 380


class Spot(NamedTuple):
    """One contender of the drawing; `best`: nobody scores as much or more for as little or less."""

    row: Standing
    price: float
    best: bool


Point = tuple[float, float]  # x and y in pixels


class Box(NamedTuple):
    """A rectangle of the drawing, in pixels."""

    left: float
    right: float
    top: float
    bottom: float

    def shared(self, other: Box) -> float:
        """The area that both cover."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, wide) * max(0.0, high)

    def apart(self, point: Point) -> float:
        """Pixels from a point to its nearest edge."""
        x, y = point
        return math.hypot(max(self.left - x, 0, x - self.right), max(self.top - y, 0, y - self.bottom))


@dataclass(frozen=True)
class Field:
    """Contenders whose price is known, cheapest first, what the price is, and who has none."""

    unit: Said
    spots: tuple[Spot, ...]
    unknown: tuple[str, ...]


def field(board: Board) -> Field | None:
    """By cost where all costs are in one currency, else by written tokens, else by seconds; None: nothing is known of
    two contenders."""
    money = {card.currency for card in board.contenders if card.cost is not None}
    said = ", ".join(sorted(money))
    cards = board.contenders
    ways = [
        (Said("written tokens a query", "每次查询输出词元数"), [card.tokens_out for card in cards]),
        (Said("seconds a query", "每次查询秒数"), [card.seconds for card in cards]),
    ]
    if len(money) == 1:
        cost = Said(f"cost of 1,000 queries, {said}", f"每千次查询成本（{said}）")
        ways.insert(0, (cost, [card.cost for card in cards]))
    for unit, known in ways:
        prices = {card.contender: price or 0.0 for card, price in zip(cards, known, strict=True)}
        if sum(price > 0 for price in prices.values()) > 1:
            rows = board.slices[0].standings
            placed = sorted((row for row in rows if prices[row.contender] > 0), key=lambda row: prices[row.contender])
            spots = tuple(Spot(row, prices[row.contender], _best(row, placed, prices)) for row in placed)
            unknown = tuple(row.contender for row in rows if prices[row.contender] <= 0)
            return Field(unit, spots, unknown)
    return None


def _best(row: Standing, rows: Sequence[Standing], prices: dict[str, float]) -> bool:
    mine = (prices[row.contender], -row.score)
    theirs = ((prices[each.contender], -each.score) for each in rows)
    return not any(price <= mine[0] and score <= mine[1] and (price, score) != mine for price, score in theirs)


def caption(found: Field) -> Said:
    """What the drawing shows, for those who do not see it."""
    told = "; ".join(f"{spot.row.contender} {points(spot.row.score, signed=False)}, {number(spot.price)}"
                     for spot in found.spots if spot.best)  # fmt: skip
    return Said(
        f"Score against {found.unit.en}. On the frontier, where nobody scores as much for less: {told}.",
        f"得分与{found.unit.zh}。前沿（无人以更低代价取得同样得分）：{told}。",
    )


def draw(name: str, shape: Shape, found: Field) -> Markup:
    """Scores with their intervals over price, on a log scale; the frontier is a line, its contenders filled."""
    places = [math.log10(spot.price) for spot in found.spots]
    room = max(0.1 * (places[-1] - places[0]), 0.1)
    sides = (46.0, 120.0 if shape == "wide" else 16.0)
    canvas = Canvas(name, (WIDTH[shape], HEIGHT), sides, (places[0] - room, places[-1] + room))
    low = min(spot.row.score if spot.row.low is None else spot.row.low for spot in found.spots)
    high = max(spot.row.score if spot.row.high is None else spot.row.high for spot in found.spots)
    ends = (max(0.0, low - 0.03), min(1.0, high + 0.03))

    def y(score: float) -> float:
        return 34 + (ends[1] - score) / (ends[1] - ends[0]) * (canvas.depth - 34 - 10)

    _levels(canvas, ends, y)
    _prices(canvas, found.unit)
    line = [(place, y(spot.row.score)) for place, spot in zip(places, found.spots, strict=True) if spot.best]
    canvas.ax.plot(*zip(*line, strict=True), color=colour("shade"), linewidth=1.4, zorder=1)
    spots = [(canvas.x(place), spot) for place, spot in zip(places, found.spots, strict=True)]
    taken = [box for x, spot in spots for box in _ink(x, spot, y)]
    for place, (x, spot) in zip(places, spots, strict=True):
        _mark(canvas, place, spot, y)
        words = same(_ending(spot.row.contender, canvas.width / 3))
        mark, size = (x, y(spot.row.score)), (canvas.width, canvas.depth)
        others = [(beyond, y(other.row.score)) for beyond, other in spots if other is not spot]
        label = beside(mark, text_width(words.en, 12), size, taken, others)
        canvas.write(label.left, label.top + ROOM / 2, words, size=12)
        taken.append(label)
    return canvas.svg()


def _levels(canvas: Canvas, ends: tuple[float, float], y: Callable[[float], float]) -> None:
    """Scores along the left edge."""
    rough = 100 * (ends[1] - ends[0]) / 6
    step = next(each for each in (0.5, 1, 2, 5, 10, 20) if each >= rough or each == 20)
    for tick in range(math.ceil(100 * ends[0] / step), math.floor(100 * ends[1] / step) + 1):
        at = y(tick * step / 100)
        canvas.ax.plot(canvas.ends, [at, at], color=colour("line"), linewidth=1, zorder=0)
        canvas.write(canvas.left - 6, at, same(f"{tick * step:g}"), size=12, color=colour("muted"), ha="right")
    canvas.write(0, 10, Said("right answers per hundred", "每百题答对数"), size=12, color=colour("muted"))


def _prices(canvas: Canvas, unit: Said) -> None:
    """Round prices under the plot."""
    first, last = canvas.ends
    ticks = [k * 10.0**power for power in range(math.floor(first), math.ceil(last) + 1) for k in (1, 2, 5)]
    shown: dict[float, str] = {}
    for tick in (each for each in ticks if first <= math.log10(each) <= last):
        at, text = canvas.x(math.log10(tick)), number(tick)
        if all(abs(at - other) > text_width(text, 12) + 8 for other in shown):
            shown[at] = text
            canvas.write(at, canvas.depth + 12, same(text), size=12, color=colour("muted"), ha="center")
    canvas.ax.set_xticks([])
    canvas.write(canvas.left + canvas.plot / 2, canvas.height - 8, unit, size=12, color=colour("muted"), ha="center")


def _mark(canvas: Canvas, place: float, spot: Spot, y: Callable[[float], float]) -> None:
    row, name = spot.row, "accent" if spot.best else "muted"
    if row.low is not None and row.high is not None:
        canvas.rule(place, name, y(row.high), y(row.low), linewidth=1.6, zorder=2)
    face = colour(name if spot.best else "paper")
    style = {"marker": "o", "markersize": 9, "markerfacecolor": face, "markeredgecolor": colour(name)}
    canvas.ax.plot([place], [y(row.score)], markeredgewidth=2, zorder=5, **style)


def _ink(x: float, spot: Spot, y: Callable[[float], float]) -> list[Box]:
    """What a contender's mark and interval cover."""
    row, at = spot.row, y(spot.row.score)
    mark = Box(x - 6, x + 6, at - 6, at + 6)
    return [mark] if row.low is None or row.high is None else [mark, Box(x - 1, x + 1, y(row.high), y(row.low))]


def _ending(name: str, width: float) -> str:
    """As much of a name as fits, from its end on: contenders of one run begin alike."""
    return fitted(same(name[::-1]), width, 12).en[::-1]


def beside(
    mark: Point, width: float, size: tuple[float, float], taken: Sequence[Box], others: Sequence[Point] = ()
) -> Box:
    """Where the name of a mark goes in a drawing of this size: where it covers least of marks, intervals and other
    names, then where no other mark lies about as near to it, and of such places the nearest, rather on the right."""
    x, y = mark

    def cost(box: Box) -> tuple[float, int, float, bool]:
        own = box.apart(mark)
        nearer = sum(box.apart(other) < 1.5 * own for other in others)
        return sum(map(box.shared, taken)), nearer, abs(box.top + ROOM / 2 - y), box.left < x

    lefts = [left for left in (x + 10, x - 10 - width) if 0 <= left <= size[0] - width] or [0.0]
    rows = [y + step * ROOM / 2 for step in range(-8, 9) if ROOM < y + step * ROOM / 2 < size[1] - ROOM / 2]
    places = [Box(left, left + width, row - ROOM / 2, row + ROOM / 2) for row in rows for left in lefts]
    return min(places, key=cost)
