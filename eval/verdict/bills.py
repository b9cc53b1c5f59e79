"""One contrast in money: what it costs, what it nets at Holm's level, and the p of looking so without paying."""

from __future__ import annotations

from eval.compare import Comparison
from eval.money import Account, Bill, Gain, Serving, account, bill
from eval.money.odds import Chance
from eval.pairing import Estimated, Pair
from eval.verdict.evidence import Evidence
from eval.verdict.ruling import Contrasted, Standing
from finetune.recipe import Costs


def serving_seconds(evidence: Evidence, name: str, costs: Costs) -> float | None:
    """Device-seconds of a query where a server answers, which is faster than here and takes no trained prompt; what a
    server or vLLM has answered is measured as it is."""
    chosen, seconds = evidence.recipe.contenders[name], evidence.mean(name, "seconds")
    prompt = chosen.method is not None and chosen.method.kind.startswith("ptuning")
    return seconds / (1 if prompt or chosen.served or chosen.vllm else costs.speedup) if seconds is not None else None


def _serving(evidence: Evidence, who: str, rival: str, costs: Costs) -> Serving:
    seconds = (serving_seconds(evidence, name, costs) for name in (who, rival))
    return Serving(*seconds, *map(evidence.token_price, (who, rival)))


def _account(evidence: Evidence, who: str, rival: str, costs: Costs) -> Account:
    return account(evidence.effort(who), _serving(evidence, who, rival, costs), costs)


def _ratio(costs: Costs) -> float:
    """What a wrong answer takes of the worth of a right one."""
    return costs.loss_per_wrong / costs.value_per_correct if costs.value_per_correct else 0.0


def unpaid(evidence: Evidence, pair: Estimated, costs: Costs) -> float | None:
    """One-sided p of a net benefit at or below 0: under a level where the lower bound that `price` gives at that level
    is above 0. None where no net benefit is told."""
    rule, ratio = evidence.recipe.rule, _ratio(costs)
    plain, due = (1 - rule.confidence) / 2, _account(evidence, pair.challenger.name, pair.incumbent.name, costs)
    found = pair.estimate(level=plain, margin=rule.margin, ratio=ratio)
    needed = due.needed(found.gain, found.gain - found.low, costs)
    if needed is None or needed < -1 - ratio:  # less than that no answers can be worth
        return None if needed is None else 0.0
    return pair.estimate(level=plain, margin=needed, ratio=ratio).p


def price(
    evidence: Evidence,
    pair: Estimated,
    found: Contrasted,
    standing: Standing,
    costs: Costs,
    chance: Chance | None = None,
) -> Bill:
    """One contrast in money, at these prices; with the odds that it pays where `chance` is told."""
    who, rival = found.challenger, found.incumbent
    rule, ratio = evidence.recipe.rule, _ratio(costs)
    levels = standing.level, (1 - rule.confidence) / 2
    least, plain = (pair.estimate(level=each, margin=rule.margin, ratio=ratio) for each in levels)
    low = max(-1 - ratio, least.low)  # less than that no answers can be worth, as `unpaid` has it
    wrong, worth = evidence.share(who, "wrong") - evidence.share(rival, "wrong"), None
    if ratio:
        worth, wrong = (low, plain.high), (found.gain - plain.gain) / ratio
    half = plain.gain - plain.low
    sure = (least.gain - low) / half if half else 1.0
    gain = Gain(standing.lows[rival], found.gain, found.high, wrong, chance, worth, sure)
    return bill(who, rival, evidence.effort(who), _serving(evidence, who, rival, costs), gain, costs)


def chance_of(pair: Pair, found: Comparison, loss: float) -> Chance:
    """Errors of the gain and, where it costs, of the rate of wrong answers; the variance of their sum tells how the two
    go together."""
    hidden = pair.estimate(level=(1 - found.confidence) / 2, margin=found.margin).hidden
    if not loss:
        return Chance(found.gain, found.se, found.df, hidden=hidden)
    wrong, both = (pair.layout.estimate(values, draws=99) for values in (pair.wrongs, pair.differences + pair.wrongs))
    spread = 2 * found.se * wrong.se
    shared = (both.se**2 - found.se**2 - wrong.se**2) / spread if spread else 0.0
    joint = wrong.gain, wrong.se, max(-1.0, min(1.0, shared)), loss
    return Chance(found.gain, found.se, found.df, *joint, hidden, wrong.hidden)
