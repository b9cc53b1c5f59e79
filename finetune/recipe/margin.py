"""The margin that the costs ask for: a gain that pays the bill, fixed before any score (decision.md 5.5).

    margin = [F (1 + R) / Q + dc] / v

from what the recipe plans (`costs.planned`: F and dc, the latter declared or timed before the exam), the tunings to
come (R), the queries (Q) and the worth of one right answer (v). What is measured later enters the net benefit, never
the margin.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from finetune.recipe import timing
from finetune.recipe.costs import Costs

FROM_COSTS = "from_costs"
NEEDED = ("planned", "queries", "value_per_correct")


def settled(raw: Any, folder: Path) -> Any:
    """A recipe's mapping with `rule.margin: from_costs` as its number, and what timing makes of `costs.planned`.

    Paths are relative to `folder`. ValueError: what is missing, or no such gain.
    """
    rule, costs = ((raw.get(key) if isinstance(raw, dict) else None) for key in ("rule", "costs"))
    costs = costs if isinstance(costs, dict) else {}
    if not isinstance(rule, dict) or not (costs.get("planned") or rule.get("margin") == FROM_COSTS):
        return raw
    try:
        costs = _with_timing(raw, rule, costs, folder)
        raw = {**raw, "costs": costs}
        margin = _owed(Costs.model_validate(costs))
    except ValidationError:
        return {**raw, "rule": {**rule, "margin": 0.0}}  # the same model refuses each key by its own name
    if rule.get("margin") not in (FROM_COSTS, margin):
        raise ValueError("costs.planned: makes a margin, but rule.margin is a number; say margin: from_costs")
    if not -1 <= margin <= 1:
        raise ValueError(
            f"rule.margin: costs.planned asks for a gain of {100 * margin:,.0f} points, and none is beyond 100; more "
            f"queries, or dearer right answers, would pay for it"
        )
    return {**raw, "rule": {**rule, "margin": margin}}


def _with_timing(raw: dict[str, Any], rule: dict[str, Any], costs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Costs with the `per_query` that was timed; as they are until all are. ValueError: given too, or no price."""
    planned, named = costs.get("planned"), rule.get("challengers")
    if (
        not isinstance(planned, dict)
        or not isinstance(planned.get("timing"), str)
        or not isinstance(named, list | tuple)
    ):
        return costs
    place = (folder / planned["timing"]).expanduser().resolve()
    planned = {**planned, "timing": str(place)}
    found = timing.timed(planned, [*map(str, named), str(rule.get("incumbent"))], place)
    if not found:
        return {**costs, "planned": planned}
    priced = Costs.model_validate({**costs, "planned": None})
    chosen = raw.get("contenders")
    hour = priced.gpu_hour / priced.utilisation
    per_query = timing.extra(found, chosen if isinstance(chosen, dict) else {}, hour, priced.speedup)
    if not hour and not per_query:
        raise ValueError("costs.planned.timing: seconds have no price; give costs.gpu_hour, or costs.device")
    if planned.get("per_query") not in (None, per_query):
        raise ValueError("costs.planned: per_query is what timing tells; leave it out, or leave out timing")
    told = [each.model_dump() for each in found]
    return {**costs, "planned": {**planned, "per_query": per_query, "timed": told}}


def _owed(costs: Costs) -> float:
    """The margin of costs that hold. ValueError: what is missing; OverflowError: a whole number that no float holds."""
    planned, queries, value = costs.planned, costs.queries, costs.value_per_correct
    if planned is None or queries is None or value is None:
        lacking = [key for key in NEEDED if getattr(costs, key) is None]
        raise ValueError(f"rule.margin: from_costs needs costs.{', costs.'.join(lacking)}; give it, or a number")
    return (planned.tuning * (1 + costs.retunes) / queries + planned.per_query) / value
