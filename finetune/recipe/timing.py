"""What a query takes, timed on development questions before the exam: the serving part of `margin: from_costs`.

`tuneworth score RECIPE --timing` writes `<run>/<contender>/timing.json`; `costs.planned.timing` names the folder. What
was found is written into the recipe, so the plan freezes it, and the exam's own seconds never touch the margin
(decision.md 5.5).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetune.recipe.engine import OpenAI


class Timing(BaseModel):
    """One contender's means a query, over answers to questions that are never judged on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    contender: str
    fingerprint: str = Field(description="Of the score that the same state of the recipe would make")
    at: float = Field(description="Seconds since the epoch")
    questions: int = Field(ge=1)
    answers: int = Field(ge=1)
    seconds: float = Field(ge=0, description="Device-seconds, thought included")
    tokens_in: float = Field(ge=0)
    tokens_out: float = Field(ge=0)
    engine: Literal["hf", "vllm", "openai"] | None = Field(None, description="That answered; none in older files")

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None where it was not timed. ValueError: another version's, or damaged."""
        try:
            return cls.model_validate_json(path.read_text("utf-8")) if path.is_file() else None
        except (ValidationError, UnicodeDecodeError):
            raise ValueError(
                f"costs.planned.timing: {path} is not what this version writes; move it away and time again"
            ) from None


def timed(planned: Mapping[str, Any], names: Sequence[str], folder: Path) -> list[Timing]:
    """What the recipe holds, or what the probe left in the run's folder; none until all are timed, or of no list."""
    if given := planned.get("timed"):
        return [Timing.model_validate(each) for each in given] if isinstance(given, list | tuple) else []
    found = [Timing.read(folder / name / "timing.json") for name in names]
    return [each for each in found if each] if all(found) else []


def extra(found: Sequence[Timing], chosen: Mapping[str, Any], hour: float, speedup: float) -> float:
    """Cost of a query beyond the incumbent's (the last of `found`), of the dearest challenger.

    `chosen` are the contenders as the recipe has them, `hour` the price of a device hour in which queries are answered.
    """
    costs = [_cost(each, chosen.get(each.contender), hour, speedup) for each in found]
    return max(costs[:-1]) - costs[-1]


def _cost(each: Timing, chosen: Any, hour: float, speedup: float) -> float:
    """As a bill has it (eval.money): tokens where they are paid for; a server is no faster for trained prompts, nor
    than what a server or vLLM took already."""
    engine = chosen.get("engine") if isinstance(chosen, Mapping) else None
    if isinstance(engine, Mapping) and engine.get("price_in") is not None:
        return OpenAI.model_validate(engine).query_price(each.tokens_in, each.tokens_out)
    method = chosen.get("method") if isinstance(chosen, Mapping) else None
    prompt = isinstance(method, Mapping) and str(method.get("kind")).startswith("ptuning")
    ran = each.engine or (engine.get("kind") if isinstance(engine, Mapping) else engine)
    return each.seconds / (1 if prompt or ran in ("vllm", "openai") else speedup) * hour / 3600
