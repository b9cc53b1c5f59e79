"""The record of a run beside its scores: what was tried and promised here, and by which extractor answers were read."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from pydantic import BaseModel, ConfigDict

from eval import pledge
from eval.benchmark import Benchmark
from eval.gates import Regraded
from finetune.recipe import Recipe
from finetune.run import RunDir

NONE = "no verdict"  # where a word would stand; why is said on the terminal alone, as it may name this machine's paths


class Reread(BaseModel):
    """One `tuneworth regrade`: by which extractor, how many outcomes of answers it turned, and what became of the
    word; words are outcomes, or NONE."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    extractor: str
    outcomes: int
    before: str
    after: str


def rereadings(run: RunDir) -> tuple[Reread, ...]:
    """Every time that answers were read anew, oldest first."""
    lines = [line for line in run.attempted() if line.get("event") == "regraded"]
    told = [{key: line.get(key) for key in Reread.model_fields} for line in lines]
    words = [{key: bare(str(each[key])) for key in ("before", "after")} for each in told]
    return tuple(Reread.model_validate(each | said) for each, said in zip(told, words, strict=True)
                 if None not in each.values())  # fmt: skip


def bare(outcome: str) -> str:
    """An outcome; of none without the reason, which earlier versions kept."""
    return NONE if outcome.startswith(NONE) else outcome


def attempts(run: RunDir) -> dict[str, int]:
    """How often what was tried; that a regrading began, and what it came by, is told by its end."""
    return dict(Counter(line["event"] for line in run.attempted() if line["event"] not in ("regrade", "reread")))


def regraded(run: RunDir, plan: pledge.Plan | None, extractor: str) -> Regraded | None:
    """Whether another extractor than the promised one read the answers, and if every regrading left the outcome."""
    if plan is None or plan.extractor in ("", extractor):
        return None
    lines = [line for line in run.attempted() if line.get("event") == "regraded" and line["at"] >= plan.at]
    told = [line for line in lines if bare(str(line.get("after"))) != NONE]
    agrees = bool(told) and all(line.get("before") == line.get("after") for line in told)
    known = agrees and told[-1].get("extractor") == extractor
    return Regraded(plan.extractor, extractor, known)


def earlier(run: RunDir, plan: pledge.Plan | None) -> frozenset[str]:
    """Digests of the plans that were kept here before the one that stands."""
    return frozenset(digest for digest in pledge.kept(run) if plan is None or digest != plan.digest)


def promises(
    recipe: Recipe, benchmark: Benchmark, run: RunDir, plan: pledge.Plan | None, extractor: str
) -> tuple[dict[str, Any], ...]:
    """Every promise that was kept here, oldest first, and what the recipe promises now; alike in form, so that they
    can be laid side by side. Empty where none was kept."""
    if plan is None:
        return ()
    now = pledge.promise(recipe, benchmark, plan.extractor or extractor)
    return (*pledge.promised(run), json.loads(json.dumps(now)))
