"""What a verdict says in money: declared, default and timed prices, every bill, the samples that pay best."""

from collections.abc import Iterator, Sequence

from eval.compare import Comparison
from eval.money import Bill, Money, Shelf, Tariff, Timed, answer_price
from eval.money.defaults import taken
from eval.verdict.evidence import Evidence
from eval.verdict.outlook import Paying, paying
from finetune.recipe import Recipe

# Of costs, told in other words or nowhere.
OWN = {"data", "people", "device", "exchange", "quote", "question", "planned"}


def money(evidence: Evidence, bills: Sequence[Bill], life: Shelf | None) -> Money:
    """Prices as they were declared or taken, and every bill."""
    costs, planned = evidence.recipe.costs, evidence.recipe.costs.planned
    return Money(
        **costs.model_dump(exclude=OWN),
        planned={"tuning": planned.tuning, "per_query": planned.per_query} if planned else None,
        timed=_timed(evidence), bills=tuple(bills), shelf=life,
        defaults=taken(evidence.recipe, evidence.plan.at if evidence.plan else None, _devices(evidence)),
        tariffs=tuple(_tariffs(evidence.recipe)),
    )  # fmt: skip


def _tariffs(recipe: Recipe) -> Iterator[Tariff]:
    for name, chosen in recipe.contenders.items():
        engine = chosen.served
        if engine and engine.priced:
            asked = {"price_in", "price_out", "price_cached", "cached_share"}
            yield Tariff(contender=name, **engine.model_dump(include=asked))
        elif chosen.query_cost is not None:
            yield Tariff(contender=name, query_cost=chosen.query_cost)


def _devices(evidence: Evidence) -> set[str]:
    """What tuned and scored here; of what was asked elsewhere the device is not priced."""
    here = [name for name, chosen in evidence.recipe.contenders.items() if not chosen.served and not chosen.items]
    stages = [stage for name in here for stage in evidence.scored[name].values()]
    stages += [stage for each in evidence.trained.values() for stage in each.values()]
    return {stage.hardware.device for stage in stages}


def _timed(evidence: Evidence) -> Timed | None:
    """Whether what was timed is what was scored, and stood before the plan."""
    planned, plan = evidence.recipe.costs.planned, evidence.plan
    if not planned or not planned.timed:
        return None
    scored = {stage.fingerprint for stages in evidence.scored.values() for stage in stages.values()}
    return Timed(
        questions=min(each.questions for each in planned.timed),
        holds=plan is not None and all(each.at <= plan.at and each.fingerprint in scored for each in planned.timed),
    )


def best(evidence: Evidence, found: Comparison) -> Paying | None:
    """The number of samples that sees most for the money, of one contrast."""
    costs, known = evidence.recipe.costs, []
    for name in (found.challenger, found.incumbent):
        each = answer_price(evidence.mean(name, "seconds"), costs, evidence.token_price(name))
        known += [] if each is None else [each * len(evidence.sheets[name].seeds)]  # every seed gives it anew
    return paying(found, costs, sum(known) if len(known) == 2 else None)
