"""How sure it is that tuning pays, on plain numbers: the interval of a ratio, and the odds of a net benefit.

Fieller 1954 for the ratio of two estimates; the acceptability curve (odds that the net benefit is above 0, against what
a right answer is worth) is that of health economics (Stinnett & Mullahy 1998; Fenwick et al. 2001).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval.paired import Floats

DRAWS = 20_000
SURE = 1.96  # half-widths of a declared range in standard deviations: it holds 95 of 100 times


def fieller(
    numerator: float, denominator: float, parts: tuple[float, float], shared: float = 0.0
) -> tuple[float | None, float | None]:
    """Bounds of numerator / denominator, both held to be above 0; None is never (beyond any number).

    `parts` are the half-widths of both intervals, at the same level, `shared` their correlation. Where the interval of
    the denominator holds 0 the upper bound is never; where it lies under 0, both are.
    """
    n, d, (hn, hd) = numerator, denominator, parts
    if d + hd <= 0:
        return None, None
    if n == hn == 0:
        return 0.0, 0.0 if d > hd else None
    a, b, c = d * d - hd * hd, n * d - shared * hn * hd, n * n - hn * hn
    root = math.sqrt(max(0.0, b * b - a * c))
    if a <= 0:  # the denominator may be 0
        low = c / (2 * b) if a == 0 else (b - root) / a if (b - root) / a > 0 else (b + root) / a
        return max(0.0, low), None
    return max(0.0, (b - root) / a), (b + root) / a


@dataclass(frozen=True)
class Chance:
    """A gain as a t distribution: what one sees, its standard error and degrees of freedom; and with it the difference
    of the rates of wrong answers, seen on the same questions, where one more of them costs `loss`."""

    gain: float
    se: float
    df: float
    wrong: float = 0.0
    wrong_se: float = 0.0
    shared: float = 0.0  # correlation of the two errors; below 0 where what is not right is wrong
    loss: float = 0.0
    hidden: tuple[float, float] = (0.0, 0.0)  # below and above, for each nat of error (`eval.paired.decision`)
    wrong_hidden: tuple[float, float] = (0.0, 0.0)


def odds(
    gain: Chance, horizon: float, extra: float, queries: float, unsure: float, values: Sequence[float], seed: int = 17
) -> Floats:
    """P(NB > 0) at each value of a right answer; `horizon` F (1 + R), `extra` the cost of a query beyond the rival's,
    both off by a share whose 95% range is `unsure`. The same draws stand behind every value, so the curve is smooth.
    Gain and rate of wrong answers are drawn together, as a t distribution of two (the second given the first).
    """
    import numpy as np  # not above: a plan of costs (eval.forecast) takes prices from here and nothing heavy

    rng = np.random.default_rng(seed)
    drawn = rng.standard_t(gain.df, DRAWS)
    gains = np.clip(gain.gain + gain.se * drawn + _beyond(drawn, gain.df, gain.hidden), -1, 1)
    off = 1 + unsure / SURE * rng.standard_normal((2, DRAWS))
    owed = extra * off[0] + horizon * off[1] / queries
    if gain.loss:
        apart = np.sqrt((1 - gain.shared**2) * (gain.df + drawn**2) / (gain.df + 1))
        beside = gain.shared * drawn + apart * rng.standard_t(gain.df + 1, DRAWS)
        wrong = gain.wrong + gain.wrong_se * beside + _beyond(-drawn, gain.df, gain.wrong_hidden)
        owed = owed + gain.loss * wrong
    return np.array([float(np.mean(value * gains > owed)) for value in values])


def _beyond(drawn: Floats, df: float, hidden: tuple[float, float]) -> Floats | float:
    """How much further the draws of a t distribution lie where tasks without spread may hide something: what has an
    error of alpha left beyond it by -ln(alpha) times that, so that the quantiles are the bounds of the interval."""
    if not any(hidden):
        return 0.0
    import numpy as np
    from scipy.special import stdtr

    return np.where(drawn < 0, -hidden[0], hidden[1]) * -np.log(stdtr(df, -np.abs(drawn)))
