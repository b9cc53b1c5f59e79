"""The outlook: what this exam could see, and the cheapest measurement that would settle what it left open."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from eval.benchmark import Benchmark
from eval.compare import Comparison
from eval.gates import Gate
from eval.money import Shelf
from eval.money.odds import fieller
from eval.power import more_items, power
from eval.spread import best_samples
from eval.verdict.guards import GuardRow
from eval.verdict.ruling import Ruling
from eval.verdict.wording import Words
from finetune.recipe import Costs, Recipe

FROZEN = ConfigDict(frozen=True, extra="forbid")
MUCH = 0.1  # share of the variance above which more samples are worth their cost (decision.md 5.3)


class Paying(BaseModel):
    """How many samples a question see most for the money (decision.md 5.3)."""

    model_config = FROZEN
    samples: int
    question: float  # price of one more question
    answer: float  # price of one more answer, of both sides and all their seeds together


class Power(BaseModel):
    """Before the run by assumption (`psi`, `rho`), after it by the variance that was found."""

    model_config = FROZEN
    mde: float  # true distance from the margin that 80 of 100 such exams would find
    margin: float
    n: int
    clusters: int
    effective_clusters: float
    df: float
    sampling_share: float | None
    items_for_margin: int | None  # questions with which `mde` would equal the margin; None for a margin of 0 or less
    mde_before: float
    psi: float
    rho: float
    paying: Paying | None = None  # None: no price of a question was declared, or the luck of an answer is not known


def shelf(delta: Comparison, tau: Comparison, gamma: Comparison, released: tuple[str, str]) -> Shelf | None:
    """How many generations of bases, each bringing what this one brought, the tuning outlives (delta = tau - gamma).

    The three share their questions, so the variance of delta tells how tau and gamma go together. `released` are the
    dates of both bases. None where tuning adds nothing.
    """
    if tau.gain <= 0:
        return None
    if gamma.gain <= 0:
        return Shelf(generations=None, low=None, high=None, months=None)
    spread = 2 * tau.se * gamma.se
    shared = (tau.se**2 + gamma.se**2 - delta.se**2) / spread if spread else 0.0
    halves = (tau.high - tau.low) / 2, (gamma.high - gamma.low) / 2
    low, high = fieller(tau.gain, gamma.gain, halves, max(-1.0, min(1.0, shared)))
    generations = tau.gain / gamma.gain
    try:
        apart = date.fromisoformat(released[1]) - date.fromisoformat(released[0])
    except ValueError:
        apart = timedelta(0)
    months = generations * apart.days / 30.44 if apart.days > 0 else None
    return Shelf(generations=generations, low=low, high=high, months=months)


class Settle(BaseModel):
    """One thing that would settle an open question; `number` of questions or samples, where it can be told."""

    model_config = FROZEN
    what: Literal["items", "samples", "seeds", "gate", "costs", "sensitivity", "guard"]
    number: int | None
    text: str
    text_zh: str


def paying(found: Comparison, costs: Costs, answer: float | None) -> Paying | None:
    """From the split of the variance that was found; None where a price or the split is not known."""
    ratio = found.spread.drawn_to_kept if found.spread else None
    if not costs.question or not answer or ratio is None:
        return None
    return Paying(samples=best_samples(costs.question, answer, ratio), question=costs.question, answer=answer)


def surely(recipe: Recipe, benchmark: Benchmark) -> tuple[float, str]:
    """Confidence at which each of several confirmed challengers is sure to be tested, as Holm's first step tests, and
    that in words; the recipe's own where one is confirmed alone, as a development part lets it."""
    count, confidence = len(recipe.rule.challengers), recipe.rule.confidence
    if count == 1 or any(task.dev for task in benchmark.tasks):
        return confidence, ""
    return 1 - (1 - confidence) / count, f", {count} challengers held to Holm"


def seen(found: Comparison, benchmark: Benchmark, confidence: float, best: Paying | None = None) -> Power:
    sizes = {
        task.name: Counter(task.cluster(row) for row in task.rows if task.part(row) == "test")
        for task in benchmark.tasks
    }
    before = power(sizes, {task.name: task.weight for task in benchmark.tasks}, confidence=confidence)
    return Power(
        mde=found.mde, margin=found.margin, n=found.n, clusters=found.clusters,
        effective_clusters=found.effective_clusters, df=found.df, sampling_share=found.sampling_share,
        items_for_margin=_items(found, found.margin) if found.margin > 0 else None,
        mde_before=before.mde80, psi=before.psi, rho=before.rho,
        paying=best,
    )  # fmt: skip


AGREEING = Settle(
    what="sensitivity", number=None, text="More questions, until every way of looking agrees, would settle it.",
    text_zh="需要更多题目，直到各种分析方式得出同一结论。",
)  # fmt: skip
SURER = Settle(
    what="costs", number=None, text="A narrower gain or firmer prices would settle whether it pays.",
    text_zh="需要更窄的增益区间或更确切的价格，才能判断是否划算。",
)  # fmt: skip


def settle(
    found: Comparison,
    ruling: Ruling,
    unchecked: Sequence[Gate],
    turned: Sequence[Words] = (),
    guards: Sequence[GuardRow] = (),
    best: Paying | None = None,
) -> tuple[Settle, ...]:
    """For the contrast that is open, cheapest first: a gate, a price, seeds, samples, questions; then each guard."""
    steps = [
        Settle(
            what="gate", number=None, text=f"{_do(gate)[0]} {gate.name}.", text_zh=f"{_do(gate)[1]}“{gate.name_zh}”。"
        )
        for gate in unchecked
    ]
    codes = {reason.code for reason in ruling.reasons}
    steps += [AGREEING] if turned else []
    steps += [SURER] if "price_unresolved" in codes else []
    if "unresolved" in codes:
        steps += _measure(found, best)
    return (*steps, *(_guard(row) for row in guards if row.status == "unresolved"))


def _do(gate: Gate) -> Words:
    return ("Check", "检查") if gate.status == "not_checked" else ("Resolve", "解决")


def _guard(row: GuardRow) -> Settle:
    en, zh = row.words
    more = (row.needed or row.n) - row.n
    if row.blank:
        text = f"Guard of {en}: no number of questions settles it before those answers are whole."
        text_zh = f"护栏“{zh}”：这些答案不完整时，再多题目也不能定论。"
    elif row.vacuous:
        text = f"Guard of {en}: name sets on which {row.base} does better than guessing."
        text_zh = f"护栏“{zh}”：换用 {row.base} 得分高于瞎猜的题集。"
    elif row.needed is None:
        text = f"Guard of {en}: the change lies at the limit itself; no number of questions tells them apart."
        text_zh = f"护栏“{zh}”：变化恰在容许下限上，再多题目也分不开。"
    else:
        text = f"Guard of {en}: about {more:,} more such questions would settle it, if the true change is the one seen."
        text_zh = f"护栏“{zh}”：若真实变化即为所见，约需再加同类题目 {more:,} 道。"
    return Settle(what="guard", number=None if row.needed is None else more, text=text, text_zh=text_zh)


def _measure(found: Comparison, best: Paying | None) -> list[Settle]:
    """`best` tells the samples that pay where prices are known; the rival is named where it is not the incumbent."""
    steps, drawn = [], max(own for own, _ in found.samples.values())
    over, over_zh = (f" over {found.incumbent}", f"对 {found.incumbent} 的") if found.role != "delta" else ("", "")
    if found.se and found.seed_variance / found.seeds > found.se**2 / 2:
        steps.append(Settle(
            what="seeds", number=None, text="More training seeds: most of the uncertainty lies between them.",
            text_zh="增加训练种子：大部分不确定性来自种子之间。",
        ))  # fmt: skip
    upto = best.samples if best else found.spread.samples_that_pay if found.spread else None
    if (found.sampling_share or 0) > MUCH and (best is None or best.samples > drawn):
        steps.append(_samples(found.sampling_share or 0, upto))
    needed = _items(found, found.gain - found.margin)
    if needed is None:
        text, zh = (
            f"The gain{over} lies at the margin itself; no number of questions tells them apart.",
            f"{over_zh}增益恰在门槛上，再多题目也分不开。",
        )
    else:
        text = f"About {needed:,} such questions would settle it, if the true gain{over} is the one seen."
        zh = f"若{over_zh}真实增益即为所见，约需同类题目 {needed:,} 道方可定论。"
    return [*steps, Settle(what="items", number=needed, text=text, text_zh=zh)]


def _samples(share: float, paying: int | None) -> Settle:
    """With the number of answers a question beyond which drawing hardly adds to the variance, where it can be told."""
    upto, upto_zh = (f", up to about {paying}", f"（至多约 {paying} 次）") if paying else ("", "")
    return Settle(
        what="samples", number=paying, text=f"More samples a question{upto}: {share:.0%} of the variance is luck.",
        text_zh=f"增加每题作答次数{upto_zh}：方差的 {share:.0%} 来自作答的偶然。",
    )  # fmt: skip


def _items(found: Comparison, distance: float) -> int | None:
    """Questions of this kind with which the mde would equal a distance."""
    return more_items(found.n, found.mde_parts, abs(distance)) if abs(distance) > 1e-6 else None
