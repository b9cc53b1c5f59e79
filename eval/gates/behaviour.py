"""How the answers behave: none under blind guessing, few that could not be graded, or none that could turn the call."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eval.gates.gate import BELOW_CHANCE, TRUNCATED_NAME, UNPARSED_NAME, Gate, Words, gate

UNPARSED = (0.02, 0.01)  # largest share of one contender, largest gap of two
TRUNCATED = (0.05, 0.02)


def few(shares: tuple[float, float], limits: tuple[float, float]) -> bool:
    """Blanks of two sides that may be left at nothing: few of each, and alike."""
    most, gap = limits
    return max(shares) <= most and abs(shares[0] - shares[1]) <= gap


@dataclass(frozen=True)
class ChanceFact:
    """One contender's mean score on one choice task."""

    contender: str
    task: str
    guess: float
    score: float
    high: float  # upper end of its clustered interval, simultaneous over all rows that are checked


def below_chance(facts: Sequence[ChanceFact], name: Words = BELOW_CHANCE, required: bool = True) -> Gate:
    """Worse than blind guessing is a fault of extraction until shown otherwise."""
    fallen = [fact for fact in facts if fact.high < fact.guess - 1e-9]  # one letter always is at it
    figures = {f"{fact.contender}, {fact.task}": fact.score for fact in fallen or facts}
    if fallen:
        en = [f"{f.contender} on {f.task}: {f.score:.1%}, at most {f.high:.1%}, blind {f.guess:.1%}" for f in fallen]
        zh = [f"{f.contender} 在 {f.task}：{f.score:.1%}，上限 {f.high:.1%}，瞎猜 {f.guess:.1%}" for f in fallen]
        return gate(name, "failed", ("; ".join(en), "；".join(zh)), figures, required)
    words = (f"none of {len(facts)} choice scores is shown to lie under blind guessing",
             f"{len(facts)} 个选择题得分中，没有一个被证实低于瞎猜")  # fmt: skip
    return gate(name, "passed", words, figures, required)


@dataclass(frozen=True)
class BlankFact:
    """Weighted shares of answers that were not there to be graded, of the two sides of one comparison that decides."""

    challenger: str
    rival: str
    shares: tuple[float, float]
    low: float
    high: float
    margin: float
    beside: tuple[float, float] = (0.0, 0.0)  # shares of blanks of the other kind, where those are many too
    stands: bool | None = None  # by the whole rule, whatever the blanks were; None: by the margin alone

    @property
    def bounds(self) -> tuple[float, float]:
        """Manski: whatever the blanks would have scored, the interval lies within these."""
        ours, theirs = (mine + other for mine, other in zip(self.shares, self.beside, strict=True))
        return self.low - theirs, self.high + ours

    def agrees(self) -> bool:
        return self.clears() if self.stands is None else self.stands

    def clears(self) -> bool:
        """By the margin alone."""
        low, high = self.bounds
        return _side(self.low, self.high, self.margin) == _side(low, high, self.margin)


def _side(low: float, high: float, margin: float) -> int:
    return 1 if low > margin else -1 if high < margin else 0


def unparsed(facts: Sequence[BlankFact], cut: Sequence[BlankFact] = ()) -> Gate:
    """`cut`: of the same comparisons, the answers that were cut."""
    return _blanks(UNPARSED_NAME, _together(facts, cut, TRUNCATED), UNPARSED)


def truncated(facts: Sequence[BlankFact], unread: Sequence[BlankFact] = ()) -> Gate:
    """Cut by the length limit, or a thought that never closed. `unread`: those that were not parsed."""
    return _blanks(TRUNCATED_NAME, _together(facts, unread, UNPARSED), TRUNCATED)


def _together(
    facts: Sequence[BlankFact], others: Sequence[BlankFact], limits: tuple[float, float]
) -> Sequence[BlankFact]:
    """With the blanks of the other kind where those are many too: neither kind alone may turn what both together do."""
    if not others:
        return facts
    return [
        replace(fact, beside=(0.0, 0.0) if few(other.shares, limits) else other.shares)
        for fact, other in zip(facts, others, strict=True)
    ]


def _blanks(name: tuple[str, str], facts: Sequence[BlankFact], allowed: tuple[float, float]) -> Gate:
    """Few and alike, or so many that the verdict would stand whatever they had been."""
    shares = {who: s for f in facts for who, s in zip((f.challenger, f.rival), f.shares, strict=True)}
    many = [fact for fact in facts if not few(fact.shares, allowed)]
    turned = [fact for fact in many if not fact.agrees()]
    shown = ", ".join(f"{who} {share:.1%}" for who, share in shares.items())
    figures: dict[str, float | str | None] = dict(shares)
    for fact in many:
        figures |= zip(
            (f"{fact.challenger} - {fact.rival}, {end}" for end in ("low", "high")), fact.bounds, strict=True
        )
    limits = f"{allowed[0]:.0%}, {100 * allowed[1]:g}"
    if turned:
        also = ("", "")
        if all(fact.clears() for fact in turned):
            also = (" (not by the margin alone: net benefit and every rival count too)",
                    "（不单看门槛：净收益与各对手一并计入）")  # fmt: skip
        words = (f"{shown} (limits: {limits} pt apart), and the decision could turn on them{also[0]}",
                 f"{shown}（上限：{limits} 个百分点之差），结论可能因此改变{also[1]}")  # fmt: skip
        return gate(name, "failed", words, figures)
    if many:
        words = (f"{shown}; many, but no call hangs on them (Manski bounds)",
                 f"{shown}；虽多，但没有结论取决于它们（Manski 界）")  # fmt: skip
        return gate(name, "passed", words, figures)
    return gate(name, "passed", (shown or "nothing to count", shown or "无可统计"), figures)
