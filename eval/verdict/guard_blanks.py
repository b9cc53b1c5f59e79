"""What blanks hide of a guard: answers of a challenger or its base that were not there to be graded.

Beyond the limits of the gates `unparsed` and `truncated` the answers of a guard are told by Manski's bounds, as those
of the exam are: absence of evidence is unresolved (decision.md 5.6, 5.7). A base that was cut off has little to lose,
and a challenger that was cut off seems to have lost what it may still know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from eval import gates
from eval.paired import Floats
from eval.sheet import CUT, UNREAD, Sheet

Words = tuple[str, str]  # English, Chinese
Shares = tuple[float, float]  # of the challenger, of its base
LIMITS = {UNREAD: gates.UNPARSED, CUT: gates.TRUNCATED}
SAID: dict[tuple[str, ...], tuple[Words, Words]] = {  # what became of them, what to do
    UNREAD: (("could not be read", "无法提取"),
             ("ask for a form that is read", "在提示中要求可提取的作答形式")),
    CUT: (("were cut off", "被截断"),
          ("allow longer answers (decoding.max_new_tokens)", "放宽作答长度（decoding.max_new_tokens）")),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class GuardBlanks:
    """Of one guard's questions, by kind of blank: shares of samples [S, n] of the challenger and of its base."""

    found: dict[tuple[str, ...], tuple[Floats, Floats]]
    shares: dict[tuple[str, ...], Shares]  # their means, every task alike

    @classmethod
    def of(
        cls, sides: Sequence[Sequence[Sheet]], kept: NDArray[np.bool_], mean: Callable[[Floats], float]
    ) -> Self:  # fmt: skip
        """From the parts of challenger and base; of the questions that are `kept`."""
        found = {}
        for kind in LIMITS:
            ours, base = (np.concatenate([part.share(*kind) for part in side], axis=1)[:, kept] for side in sides)
            found[kind] = ours, base
        return cls(found, {kind: (mean(ours), mean(base)) for kind, (ours, base) in found.items()})

    def extremes(self, gains: Floats) -> tuple[Floats, Floats] | None:
        """With every blank of the base right, and with every one of the challenger; of the kinds that are many, since
        neither may turn what both together do. None: there are few, and alike."""
        kinds = many(self.shares[UNREAD], self.shares[CUT])
        if not kinds:
            return None
        ours, base = (sum((self.found[kind][side] for kind in kinds), np.zeros(1)) for side in (0, 1))
        return gains - base, gains + ours


def many(unread: Shares, cut: Shares) -> list[tuple[str, ...]]:
    """The kinds of blanks that are beyond the limits of their gate."""
    told = {UNREAD: unread, CUT: cut}
    return [kind for kind, limits in LIMITS.items() if not gates.few(told[kind], limits)]


def hidden(who: str, base: str, unread: Shares, cut: Shares) -> tuple[Words, Words]:
    """Who left how much without a grade, and what to do about it."""
    told, texts, acts = {UNREAD: unread, CUT: cut}, [], []
    for kind in many(unread, cut):
        (ours, theirs), (most, gap), ((en, zh), act) = told[kind], LIMITS[kind], SAID[kind]
        texts.append((f"{ours:.1%} of the answers of {who} and {theirs:.1%} of {base} {en} (limits: {most:.0%}, "
                      f"{100 * gap:g} pt apart)",
                      f"{who} 有 {ours:.1%}、{base} 有 {theirs:.1%} 的答案{zh}（上限：{most:.0%}，相差 "
                      f"{100 * gap:g} 个百分点）"))  # fmt: skip
        acts.append(act)
    joined = [(" and ".join(en for en, _ in each), "，".join(zh for _, zh in each)) for each in (texts, acts)]
    return joined[0], joined[1]
