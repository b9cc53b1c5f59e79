"""The roll: who sat which exam, with what result, at what cost, made from what. Facts of the page, no decisions."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from eval.gates import Gate
from eval.money import device_price, per_query
from eval.paired import Layout
from eval.pairing import mismatch
from eval.sheet import OUTCOMES, Sheet
from eval.standing import duels, spans
from eval.verdict.bills import serving_seconds
from eval.verdict.deviations import Deviation, deviations
from eval.verdict.evidence import Evidence
from eval.verdict.record import Reread
from finetune.methods import heads
from finetune.recipe import Contender
from finetune.run import GitState, Hardware

FROZEN = ConfigDict(frozen=True, extra="forbid")


class TaskScore(BaseModel):
    """A contender's mean score on one task; no interval where the task lies in one cluster."""

    model_config = FROZEN
    task: str
    score: float
    low: float | None
    high: float | None


class ContenderRow(BaseModel):
    """One contender: its score with a clustered interval, what became of its answers, what they took."""

    model_config = FROZEN
    name: str
    roles: tuple[str, ...]  # challenger, incumbent, alternative, base
    model: str
    method: str  # kind of tuning; "none", or "adapter" for one tuned elsewhere
    knobs: dict[str, Any]
    head: str | None = None  # kind of the classification head that answers in place of words
    start: str | None = None  # contender that its tuning goes on from
    prompted: bool
    seeds: tuple[int, ...]
    samples: dict[str, int]  # by task
    score: float
    low: float | None
    high: float | None
    rank_best: int | None = Field(None, description="As on a leaderboard of all contenders; None: not comparable")
    rank_worst: int | None = None
    tasks: tuple[TaskScore, ...]
    outcomes: dict[str, float]  # weighted shares, sum 1
    seconds_per_query: float | None  # None, here and below: not known, of answers given elsewhere
    tokens_in: float | None  # a query, as are the next two
    tokens_thinking: float | None
    tokens_out: float | None
    cost_per_query: float | None
    training_seconds: float  # device-seconds over all seeds, with those of the contenders it goes on from
    training_cost: float | None  # None: untuned; with the search
    trials: int = 0  # of a search of its knobs; 0: as declared
    search_seconds: float = 0.0  # device-seconds of those that became no seed's training
    scoring_seconds: float | None
    licence: str
    released: str


class TaskInfo(BaseModel):
    """One task of the exam; counts are of the test part."""

    model_config = FROZEN
    name: str
    version: str
    protocol: str
    metric: str
    lang: str
    n: int
    clusters: int
    weight: float  # shares, sum 1
    guess_rate: float
    card: str
    split: str
    edition: str
    published: bool
    items_digest: str
    scenario: str | None = None  # what institutions ask such questions for
    traits: tuple[str, ...] = ()


class ContenderOrigin(BaseModel):
    """What made a contender's scores."""

    model_config = FROZEN
    name: str
    model: str
    revision: str | None
    family: str
    think: str
    weights_digest: str
    adapters: dict[int, str]  # seed -> digest
    chat_digest: str
    frame_digest: str | None
    decoding: dict[str, Any]
    engine: str
    engine_why: str = ""  # chosen by tuneworth where the recipe names none; empty where it does
    engine_why_zh: str = ""
    dtype: str
    batch_tokens: int | None
    hardware: Hardware | None  # None, as `git`: answers given elsewhere, of which no log tells it
    versions: dict[str, str]
    git: GitState | None
    data: dict[str, str]  # card -> edition, of the tuning
    logs: dict[str, str] = {}  # file -> sha256, of answers given elsewhere
    logged_model: str = ""  # as their log names it


class Provenance(BaseModel):
    """Where every number comes from."""

    model_config = FROZEN
    plan: str | None  # digest
    plan_at: float | None  # seconds since the epoch
    first_score_at: float | None  # None: of nobody is it known
    attempts: dict[str, int]
    extractor: str
    exam_seed: int
    samples: int
    contenders: tuple[ContenderOrigin, ...]
    rereadings: tuple[Reread, ...] = Field((), description="Of the answers, by `tuneworth regrade`")
    deviations: tuple[Deviation, ...] = Field((), description="From plan; empty: none")


def contender_rows(evidence: Evidence) -> tuple[ContenderRow, ...]:
    ranks = _ranks(evidence)
    return tuple(_contender(evidence, name, *ranks.get(name, (None, None))) for name in evidence.recipe.contenders)


def _ranks(evidence: Evidence) -> dict[str, tuple[int, int]]:
    """Best and worst rank of each contender; nothing where two of them did not answer the same questions."""
    sheets = [evidence.sheets[name] for name in evidence.recipe.contenders]
    if any(mismatch(one, other) for one, other in combinations(sheets, 2)):
        return {}
    layout: Layout | None = None
    with suppress(ValueError):  # a task lies in one cluster
        layout = sheets[0].layout(evidence.weights)
    weight, scores = sheets[0].item_weight(evidence.weights), [sheet.scores for sheet in sheets]
    found = duels(scores, weight, layout, evidence.recipe.rule.confidence)
    means = [float(each.mean(axis=0) @ weight) for each in scores]
    return dict(zip(evidence.recipe.contenders, spans(means, found), strict=True))


def _contender(evidence: Evidence, name: str, rank_best: int | None, rank_worst: int | None) -> ContenderRow:
    chosen, sheet, costs = evidence.recipe.contenders[name], evidence.sheets[name], evidence.recipe.costs
    training, searched, search = evidence.training_seconds(name), evidence.search_seconds(name), evidence.search(name)
    seconds, confidence = evidence.mean(name, "seconds"), evidence.recipe.rule.confidence
    mean, low, high = interval(sheet, evidence.weights, confidence)
    return ContenderRow(
        name=name, roles=_roles(evidence, name), model=chosen.model.named,
        method=chosen.method.kind if chosen.method else "adapter" if chosen.tuned else "none",
        knobs={
            **(chosen.method.model_dump(mode="json", exclude={"search"}) if chosen.method else {}),
            **(search.knobs if search else {}),
        },
        head=_head(chosen), start=chosen.start, prompted=chosen.prompt is not None,
        seeds=sheet.seeds, samples=sheet.samples, score=mean, low=low, high=high,
        rank_best=rank_best, rank_worst=rank_worst,
        tasks=tuple(
            TaskScore(task=task, score=m, low=lo, high=hi)
            for task in sheet.samples for m, lo, hi in [interval(sheet.part(task), evidence.weights, confidence)]
        ),
        outcomes={outcome: evidence.share(name, outcome) for outcome in OUTCOMES}, seconds_per_query=seconds,
        tokens_in=evidence.mean(name, "tokens_in"),
        tokens_thinking=evidence.mean(name, "tokens_thinking"),
        tokens_out=evidence.mean(name, "tokens_out"),
        cost_per_query=per_query(serving_seconds(evidence, name, costs), costs, evidence.token_price(name)),
        training_seconds=training,
        training_cost=device_price(training + searched, costs) if chosen.method else chosen.adapter_cost,
        trials=search.trials if search else 0, search_seconds=searched,
        scoring_seconds=None if chosen.items else sum(s.device_seconds for s in evidence.scored[name].values()),
        licence=chosen.model.licence, released=chosen.model.released,
    )  # fmt: skip


def _head(chosen: Contender) -> str | None:
    """Kind of the head that answers, trained here or brought with an adapter."""
    brought = heads.read(Path(chosen.adapter)) if chosen.adapter else None
    return chosen.head or (brought.kind if brought else None)


def _roles(evidence: Evidence, name: str) -> tuple[str, ...]:
    rule = evidence.recipe.rule
    named = {"challenger": rule.challengers, "incumbent": (rule.incumbent,), "alternative": rule.alternatives}
    return tuple(role for role, names in {**named, "base": (rule.base,)}.items() if name in names)


def interval(sheet: Sheet, weights: dict[str, float], confidence: float) -> tuple[float, float | None, float | None]:
    """Mean score, lower and upper bound; no bounds where a task lies in one cluster."""
    try:
        found = sheet.layout(weights).estimate(sheet.scores, confidence=confidence, span=(0, 1))
    except ValueError:
        return float(sheet.scores.mean(axis=0) @ sheet.item_weight(weights)), None, None
    return found.gain, max(0.0, found.low), min(1.0, found.high)


def task_rows(evidence: Evidence) -> tuple[TaskInfo, ...]:
    total = sum(task.weight for task in evidence.benchmark.tasks)
    rows = []
    for task in evidence.benchmark.tasks:
        asked = [row for row in task.rows if task.part(row) == "test"]
        rows.append(TaskInfo(
            name=task.name, version=task.version, protocol=task.protocol, metric=task.metric, lang=task.lang,
            n=len(asked), clusters=len({task.cluster(row) for row in asked}), weight=task.weight / total,
            guess_rate=task.guess_rate, card=task.card.name, split=task.split, edition=task.edition,
            published=task.card.published, items_digest=task.items_digest, scenario=task.scenario,
            traits=task.traits,
        ))  # fmt: skip
    return tuple(rows)


def provenance(evidence: Evidence, checked: Sequence[Gate]) -> Provenance:
    plan, exam = evidence.plan, evidence.recipe.exam
    return Provenance(
        plan=plan.digest if plan else None, plan_at=plan.at if plan else None,
        first_score_at=min((fact.first_score_at for fact in evidence.plans() if fact.first_score_at), default=None),
        attempts=evidence.attempts,
        extractor=evidence.extractor, exam_seed=exam.seed, samples=exam.samples,
        contenders=tuple(_origin(evidence, name) for name in evidence.recipe.contenders),
        rereadings=evidence.rereadings, deviations=deviations(evidence, checked),
    )  # fmt: skip


def _origin(evidence: Evidence, name: str) -> ContenderOrigin:
    model, stages = evidence.recipe.contenders[name].model, evidence.scored[name]
    stage, facts = next(iter(stages.values())), evidence.facts(name)
    made = [manifest.training for manifest in evidence.trained.get(name, {}).values() if manifest.training]
    digests = {seed: each.scoring.adapter_digest for seed, each in stages.items() if each.scoring}
    logged = facts.logged
    return ContenderOrigin(
        name=name, model=model.named, revision=model.revision, family=model.family, think=model.think,
        weights_digest=facts.weights_digest, adapters={seed: digest for seed, digest in digests.items() if digest},
        chat_digest=facts.chat_digest, frame_digest=facts.frame_digest, decoding=facts.decoding,
        engine=facts.engine, engine_why=facts.engine_why, engine_why_zh=facts.engine_why_zh,
        dtype=facts.dtype, batch_tokens=facts.batch_tokens,
        hardware=None if logged else stage.hardware, git=None if logged else stage.git,
        versions=logged.versions if logged else stage.versions, data=made[0].data if made else {},
        logs=logged.files if logged else {}, logged_model=logged.named if logged else "",
    )  # fmt: skip
