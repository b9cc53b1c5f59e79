"""Pair two contenders question by question.

A bad pairing (other questions, another text under one id, another protocol) is refused with its reason; nothing is
dropped in silence. An answer that is not there scores 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

from eval.paired import Estimate, Floats, Layout
from eval.sheet import BadPairing, Sheet


def mismatch(a: Sheet, b: Sheet) -> str | None:
    """Why these two cannot be paired, or None."""
    unlike = _unlike(a, b) if a.questions != b.questions else None
    if unlike is None and min(len(a.seeds), len(b.seeds)) > 1 and len(a.seeds) != len(b.seeds):
        return f"{a.name} has {len(a.seeds)} seeds and {b.name} {len(b.seeds)}: seeds are paired one to one"
    return unlike


def _unlike(a: Sheet, b: Sheet) -> str | None:
    for one, other in ((a, b), (b, a)):
        only = [key for key in one.questions if key not in other.questions]
        if only:
            shown = ", ".join("/".join(key) for key in only[:3])
            return f"{one.name} answered questions that {other.name} did not ({len(only)}): {shown}"
    for key, row in a.questions.items():
        for part in ("protocol", "hash", "cluster"):
            ours, theirs = getattr(row, part), getattr(b.questions[key], part)
            if ours != theirs:
                return f"{'/'.join(key)}: {part} is {ours[:12]} for {a.name} and {theirs[:12]} for {b.name}"
    return None


class Estimated(Protocol):
    """What the rule asks of a pair."""

    @property
    def challenger(self) -> Sheet: ...
    @property
    def incumbent(self) -> Sheet: ...
    def estimate(self, *, level: float, margin: float, ratio: float = 0.0) -> Estimate: ...


@dataclass(frozen=True, eq=False)
class Pair:
    """Two contenders on the same questions, ready for any interval or test."""

    challenger: Sheet
    incumbent: Sheet
    layout: Layout
    differences: Floats  # [S, n]
    weight: Floats  # [n], sums to 1
    wrongs: Floats  # [S, n], differences of the rates of outcome `wrong`
    told: dict[tuple[float, float, float], Estimate] = field(default_factory=dict)  # by level, margin and ratio

    @classmethod
    def of(cls, challenger: Sheet, incumbent: Sheet, weights: Mapping[str, float]) -> Self:
        """BadPairing names the reason; ValueError where a task lies in one cluster."""
        reason = mismatch(challenger, incumbent)
        if reason:
            raise BadPairing(reason)
        differences = challenger.scores - incumbent.scores
        wrongs = challenger.share("wrong") - incumbent.share("wrong")
        layout, weight = challenger.layout(weights), challenger.item_weight(weights)
        return cls(challenger, incumbent, layout, differences, weight, wrongs)

    def estimate(self, *, level: float, margin: float, ratio: float = 0.0) -> Estimate:
        """With the one-sided error `level` on either side; of the gain less `ratio` times the wrong answers, with both
        errors at once, on the same clusters."""
        if (level, margin, ratio) not in self.told:
            values = self.differences - ratio * self.wrongs if ratio else self.differences
            span = -1 - ratio, 1 + ratio
            found = self.layout.estimate(values, confidence=1 - 2 * level, margin=margin, span=span)
            self.told[level, margin, ratio] = found
        return self.told[level, margin, ratio]
