"""Tokens of a written answer before it is written, and from what they are told.

The best at hand: an earlier scoring of the same contender in the same run folder, what it has logged of one, a timing
of its development questions, an assumption by whether it thinks. Where the last is not below the limit of an answer,
the limit stands: an upper bound, and nothing else is known.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from eval import items
from eval.benchmark import Benchmark, Task
from eval.items import ItemScore
from eval.pledge import Told
from finetune.mistakes import BadInput
from finetune.recipe import Contender, Recipe, Timing
from finetune.run import RunDir, RunManifest, ScoreFacts

THOUGHT = 2000  # tokens of a reasoning model's answer, where no run has shown it; finance questions take 1,000 to 4,000
ANSWER = 200  # of one without a thought
SAID: dict[Told, str] = {
    "scored": "as it was scored before",
    "logged": "as logged so far",
    "timed": "as timed",
    "assumed": "assumed",
    "limit": "its limit, as nothing shows yet how long they are",
}


@dataclass(frozen=True)
class Length:
    """Of one answer, thought included."""

    tokens: float  # a mean; of `limit` the most there can be
    told: Told

    @property
    def said(self) -> str:
        return f"{'at most ' if self.told == 'limit' else ''}{self.tokens:,.0f} an answer ({SAID[self.told]})"


def written(recipe: Recipe, benchmark: Benchmark, name: str, out: Path) -> Length:
    """What an answer of a contender is foretold to take."""
    contender, run = recipe.contenders[name], RunDir(out / recipe.name)
    limit = contender.model.decoding.max_new_tokens
    for told, tokens in _shown(recipe, benchmark, name, run):
        if tokens is not None:
            return Length(min(tokens, limit), told)
    usual = _usual(contender)
    return Length(usual, "assumed") if usual < limit else Length(limit, "limit")


def _usual(contender: Contender) -> int:
    """What nobody has shown: a thought ends at its budget, where it has one, and an answer follows."""
    budget = contender.model.decoding.thinking_tokens
    thought = THOUGHT if budget is None else min(THOUGHT, budget + ANSWER)
    return thought if contender.model.think == "keep" else ANSWER


def _shown(recipe: Recipe, benchmark: Benchmark, name: str, run: RunDir) -> Iterator[tuple[Told, float | None]]:
    """What runs have shown, the most telling first."""
    places, contender = [run.seed(name, seed) for seed in recipe.seeds(name)], recipe.contenders[name]
    for place in places:
        with suppress(BadInput):  # torn, or of another version
            done = RunManifest.read(place.score_manifest)
            yield "scored", _scored(done.scoring, contender) if done and done.scoring else None
    with suppress(BadInput):
        found = (row for place in places for path in place.logs() for row in items.rows(path, ItemScore, "an item"))
        yield "logged", _logged(found, contender)
    yield "timed", _timed(recipe, benchmark, name, run)


def _limit(contender: Contender) -> int:
    return contender.model.decoding.max_new_tokens


def _scored(done: ScoreFacts, contender: Contender) -> float | None:
    """Mean of an earlier scoring; None where none was written, or answers may now be longer than they could then,
    or thoughts end elsewhere."""
    asked = sum(task.items * done.samples for task in done.tasks if task.protocol == "generated")
    shorter = (done.decoding.get("max_new_tokens") or 0) < _limit(contender)
    unlike = done.template.get("think", contender.model.think) != contender.model.think
    unlike |= done.decoding.get("thinking_tokens") != contender.model.decoding.thinking_tokens
    if done.generated_tokens is None or not asked or shorter or unlike:
        return None
    return done.generated_tokens / asked


def _logged(rows: Iterator[ItemScore], contender: Contender) -> float | None:
    """Mean of the answers written so far; None where there are none, one was cut off below today's limit, or its
    thought was ended and nothing ends it today."""
    limit, budget = _limit(contender), contender.model.decoding.thinking_tokens
    total, count = 0, 0
    for row in rows:
        if row.protocol == "generated" and row.tokens_out is not None:
            length = row.tokens_out + (row.given if row.counted == "server" else 0)
            if (row.finish == "length" and length < limit) or (row.given and budget is None):
                return None
            total, count = total + row.tokens_out, count + 1
    return total / count if count else None


def _timed(recipe: Recipe, benchmark: Benchmark, name: str, run: RunDir) -> float | None:
    """Mean of a timing that the recipe rests on, or that was made here of the same state of the recipe."""
    planned = recipe.costs.planned
    found = next((each for each in (planned.timed if planned else ()) if each.contender == name), None)
    with suppress(ValueError):  # of another version, or the checkpoint is not here
        here = None if found else Timing.read(run.timing(name))
        if here and here.fingerprint == recipe.score_fingerprint(name, recipe.seeds(name)[0], benchmark.digests):
            found = here
    return found.tokens_out / share if found and (share := _written_share(benchmark.tasks)) else None


def _written_share(tasks: Sequence[Task]) -> float:
    """How much written answers weigh in the mean over all that a timing keeps (`eval.score.timing.mean`)."""
    timed = [task for task in tasks if task.dev]
    return sum(each.weight for each in timed if each.protocol == "generated") / (sum(e.weight for e in timed) or 1)
