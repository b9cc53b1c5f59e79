"""The curve: the gain against the number of training rows, of contenders alike but for their data_share.

It asks whether more data is what is missing, beside the verdict and never within it: it is exploratory, its intervals
stand alone (no correction for how many are read), and no gate of the plan is asked of it. Scores that do not stand make
no point: a pair that fails a required gate of decision.md 5.7, or could not be asked, has no gain and says why. (Where
a contender was not scored at all, there is no verdict either: `evidence` refuses the run.)
"""

from collections.abc import Iterator
from statistics import fmean
from typing import Literal

from pydantic import BaseModel, ConfigDict

from eval import gates
from eval.gates import BlankFact, Gate
from eval.money import device_price
from eval.paired import Estimate
from eval.pairing import Pair
from eval.sheet import BadPairing
from eval.signs import percent
from eval.verdict.evidence import Evidence
from eval.verdict.ruling import points
from eval.verdict.wording import Words, join
from finetune.recipe.shares import families

FROZEN = ConfigDict(frozen=True, extra="forbid")
Trend = Literal["rising", "falling", "no_rise_seen"]
SOUND: Words = ("", "")


class Difference(BaseModel):
    """One contender minus another on the same questions, with its clustered interval; shares of a point."""

    model_config = FROZEN
    gain: float
    low: float
    high: float
    n: int
    clusters: int
    seeds: int


class Point(BaseModel):
    """One share of the rows; `gain` is over the incumbent, None where the scores do not stand, and `fault` says why."""

    model_config = FROZEN
    contender: str
    share: float
    rows: int  # that it was tuned on, without the held-out ones
    steps: float  # of the optimizer, mean over the seeds
    cut_short: bool  # train.max_steps ended it, so not every row need have been seen
    training_seconds: float  # device-seconds over all seeds, with those of the contenders it goes on from
    training_cost: float
    gain: Difference | None
    fault: str = ""
    fault_zh: str = ""


class Step(BaseModel):
    """The last step: most rows minus the second most, paired. `trend` is None where the scores do not stand."""

    model_config = FROZEN
    fewer: str
    more: str
    gain: Difference | None
    trend: Trend | None
    fault: str = ""
    fault_zh: str = ""


class Curve(BaseModel):
    """A family of contenders, smallest share first, and what its last step says."""

    model_config = FROZEN
    incumbent: str
    confidence: float
    points: tuple[Point, ...]
    step: Step
    sentence: str
    sentence_zh: str


def curves(evidence: Evidence) -> tuple[Curve, ...]:
    """One for each family of the recipe."""
    return tuple(_curve(evidence, names) for names in families(evidence.recipe.contenders))


def trend(low: float, high: float) -> Trend:
    """Of a step with this interval."""
    return "rising" if low > 0 else "falling" if high < 0 else "no_rise_seen"


def _curve(evidence: Evidence, names: tuple[str, ...]) -> Curve:
    rule = evidence.recipe.rule
    found = tuple(_point(evidence, name) for name in names)
    fewer, more = found[-2:]
    gain, fault = _difference(evidence, more.contender, fewer.contender, 0.0)
    step = Step(
        fewer=fewer.contender, more=more.contender, gain=gain, trend=trend(gain.low, gain.high) if gain else None,
        fault=fault[0], fault_zh=fault[1],
    )  # fmt: skip
    said = _sentence(step, fewer, more, rule.confidence)
    return Curve(
        incumbent=rule.incumbent, confidence=rule.confidence, points=found, step=step, sentence=said[0],
        sentence_zh=said[1],
    )  # fmt: skip


def _point(evidence: Evidence, name: str) -> Point:
    recipe, seconds = evidence.recipe, evidence.training_seconds(name)
    made = [stage.training for stage in evidence.trained[name].values() if stage.training]
    gain, fault = _difference(evidence, name, recipe.rule.incumbent, recipe.rule.margin)
    return Point(
        contender=name, share=recipe.contenders[name].data_share, rows=made[0].rows,
        steps=fmean(each.steps for each in made), cut_short=any(each.stopped == "max_steps" for each in made),
        training_seconds=seconds, training_cost=device_price(seconds, recipe.costs), gain=gain, fault=fault[0],
        fault_zh=fault[1],
    )  # fmt: skip


def _difference(evidence: Evidence, one: str, other: str, margin: float) -> tuple[Difference | None, Words]:
    """With the plain interval; or none, and the reason."""
    first, second = evidence.sheets[one], evidence.sheets[other]
    same = gates.same_questions([first, second], evidence.expected)
    if same.status != "passed":
        return None, _why(same)
    try:
        pair = Pair.of(first, second, evidence.weights)
    except BadPairing as unlike:
        return None, (str(unlike), f"无法配对：{unlike}")
    found = pair.estimate(level=(1 - evidence.recipe.rule.confidence) / 2, margin=margin)
    broken = next((gate for gate in _asked(evidence, pair, found) if gate.required and gate.status != "passed"), None)
    if broken:
        return None, _why(broken)
    low, high = max(-1.0, found.low), min(1.0, found.high)
    size = {"n": found.n, "clusters": found.clusters, "seeds": found.seeds}
    return Difference(gain=found.gain, low=low, high=high, **size), SOUND


def _asked(evidence: Evidence, pair: Pair, found: Estimate) -> Iterator[Gate]:
    """The gates of one pair, those of the questions aside; blanks count where they could bring it over its margin."""
    one, other = pair.challenger.name, pair.incumbent.name
    facts = {name: evidence.facts(name) for name in (one, other)}
    templates = {name: each.chat_digest for name, each in facts.items()}
    yield gates.prompt_content([pair.challenger, pair.incumbent], templates)
    yield gates.adapter_applied(evidence.adapters([one, other]))
    yield gates.below_chance(evidence.chances([one, other]))
    blanks = {gates.unparsed: ("unparsed",), gates.truncated: ("truncated", "unclosed_thinking")}
    for gate, outcomes in blanks.items():
        shares = evidence.share(one, *outcomes), evidence.share(other, *outcomes)
        yield gate([BlankFact(one, other, shares, found.low, found.high, found.margin)])
    yield gates.engine_parity({name: (each.engine, each.dtype) for name, each in facts.items()})


def _why(gate: Gate) -> Words:
    return f"{gate.name}: {gate.reason}", f"{gate.name_zh}：{gate.reason_zh}"


def _sentence(step: Step, fewer: Point, more: Point, confidence: float) -> Words:
    """An answer to "is more data what is missing?" that claims no more than one step can."""
    if step.gain is None:
        return (f"Not told for {step.more}, since the scores of its last step do not stand: {step.fault}.",
                f"{step.more} 最后一步的分数不成立，无法回答：{step.fault_zh}。")  # fmt: skip
    return join([_answer(step), _measured(step.gain, fewer, more, confidence), *_caveats(step.gain, fewer, more)])


def _answer(step: Step) -> Words:
    most = points(step.gain.high) if step.gain else ""
    return {
        "rising": (
            f"Perhaps: {step.more} is still rising; whether it would go on beyond these rows was not measured.",
            f"或许是：{step.more} 仍在上升；再加数据是否继续上升，没有测量。",
        ),
        "falling": (
            f"It does not look so: {step.more} is falling, with more of these rows it scored lower.",
            f"看来不是：{step.more} 在下降，用了更多这类数据，得分反而更低。",
        ),
        "no_rise_seen": (
            f"Not shown: no rise seen at the last step of {step.more}; one of up to {most} points may be there.",
            f"未能说明：{step.more} 最后一步未见上升；但不排除至多 {most} 个百分点的上升。",
        ),
    }[step.trend or "no_rise_seen"]


def _measured(found: Difference, fewer: Point, more: Point, confidence: float) -> Words:
    gain, low, high = points(found.gain), points(found.low), points(found.high)
    few, many = f"{100 * fewer.share:.3g}%", f"{100 * more.share:.3g}%"
    return (
        f"From {few} of the rows ({fewer.rows:,}) to {many} ({more.rows:,}): {gain} points "
        f"({percent(confidence)} interval {low} to {high}), {found.n:,} questions in {found.clusters:,} clusters.",
        f"数据占比从 {few}（{fewer.rows:,} 行）到 {many}（{more.rows:,} 行）：{gain} 个百分点"
        f"（{percent(confidence)} 区间 {low} 至 {high}），{found.n:,} 道题、{found.clusters:,} 个题组。",
    )


def _caveats(found: Difference, fewer: Point, more: Point) -> Iterator[Words]:
    """What else the step holds, and what it is not."""
    if more.steps > fewer.steps:
        yield (f"More rows were also more steps ({fewer.steps:,.0f} to {more.steps:,.0f}).",
               f"数据多，训练步数也多（{fewer.steps:,.0f} 步到 {more.steps:,.0f} 步）。")  # fmt: skip
    short = [each.contender for each in (fewer, more) if each.cut_short]
    if short:
        yield (f"train.max_steps ended {' and '.join(short)}, so not every row need have been seen.",
               f"{'、'.join(short)} 因 train.max_steps 提前结束，未必见过所有数据行。")  # fmt: skip
    if found.seeds == 1:
        yield ("One training seed: the step also holds the luck of the seed, which the interval does not.",
               "只有一个训练种子：这一步也包含种子的偶然，区间并未计入。")  # fmt: skip
    else:
        yield (f"The interval holds the luck of {found.seeds} training seeds.",
               f"区间已计入 {found.seeds} 个训练种子的偶然。")  # fmt: skip
    yield "Exploratory: it does not enter the verdict's word.", "仅供探索，不影响结论。"
