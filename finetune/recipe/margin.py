"""The margin that the costs ask for: a gain that pays the bill, fixed before any score (decision.md 5.5).

    margin = [F (1 + R) / Q + dc] / v

from what the recipe plans (`costs.planned`: F and dc), the tunings to come (R), the queries (Q) and the worth of one
right answer (v). What is measured later enters the net benefit, never the margin.
"""

from typing import Any

from pydantic import ValidationError

from finetune.recipe.costs import Costs

FROM_COSTS = "from_costs"
NEEDED = ("planned", "queries", "value_per_correct")


def settled(raw: Any) -> Any:
    """A recipe's mapping with `rule.margin: from_costs` as its number. ValueError: what is missing, or no such gain."""
    rule, costs = ((raw.get(key) if isinstance(raw, dict) else None) for key in ("rule", "costs"))
    costs = costs if isinstance(costs, dict) else {}
    if not isinstance(rule, dict) or not (costs.get("planned") or rule.get("margin") == FROM_COSTS):
        return raw
    try:
        margin = _owed(Costs.model_validate(costs))
    except ValidationError:
        return {**raw, "rule": {**rule, "margin": 0.0}}  # the same model refuses each key by its own name
    except OverflowError:
        raise ValueError("rule.margin: costs.queries or costs.retunes is beyond all numbers; lower it") from None
    if rule.get("margin") not in (FROM_COSTS, margin):
        raise ValueError("costs.planned: makes a margin, but rule.margin is a number; say margin: from_costs")
    if not -1 <= margin <= 1:
        raise ValueError(
            f"rule.margin: costs.planned asks for a gain of {100 * margin:,.0f} points, and none is beyond 100; more "
            f"queries, or dearer right answers, would pay for it"
        )
    return {**raw, "rule": {**rule, "margin": margin}}


def _owed(costs: Costs) -> float:
    """The margin of costs that hold. ValueError: what is missing; OverflowError: a whole number that no float holds."""
    planned, queries, value = costs.planned, costs.queries, costs.value_per_correct
    if planned is None or queries is None or value is None:
        lacking = [key for key in NEEDED if getattr(costs, key) is None]
        raise ValueError(f"rule.margin: from_costs needs costs.{', costs.'.join(lacking)}; give it, or a number")
    return (planned.tuning * (1 + costs.retunes) / queries + planned.per_query) / value
