"""Regrading: a run's logged answers read by today's extractor, without a model, and whether the verdict moved.

What was chosen by likelihood was read by none and stays. A log is replaced whole, the one before stands in
`.old-<fingerprint>`; what a kill left half done is done by a second start.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from shutil import copy2

from eval import items
from eval.benchmark import Benchmark, Task
from eval.endpoint import open_chat
from eval.engines import as_begun
from eval.extract import EXTRACTOR
from eval.grading import anew, spoken
from eval.items import ItemScore
from eval.verdict import weigh
from eval.verdict.evidence import Evidence
from eval.verdict.record import NONE, bare
from finetune.card import Row
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import RunDir, RunManifest, SeedDir

SHOWN = 3  # examples of a task
LONGEST = 40  # characters of an answer in an example


@dataclass(frozen=True)
class Moved:
    """What regrading changed in one task of one contender and seed."""

    contender: str
    seed: int
    task: str
    answers: int
    outcomes: int  # answers whose outcome is another
    readings: int  # answers of which something else was read, outcome and score apart
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Regrading:
    """The whole of it. `before` and `after` are outcomes, or why none could be told."""

    moved: tuple[Moved, ...]
    before: str
    after: str

    @property
    def said(self) -> str:
        if bare(self.before) == bare(self.after):
            return f"the verdict stands: {self.before}"
        return f"the verdict moved from {self.before} to {self.after}"


def regrade(recipe: Recipe, run: RunDir, only: str | None = None) -> Regrading:
    """Grade one contender's answers anew, or all contenders'. BadInput: not scored, or scored for another recipe."""
    benchmark, names = Benchmark.read(recipe), recipe.named(only)
    recipe = as_begun(recipe, benchmark, run)
    if not benchmark.written:
        raise BadInput(
            "exam.tasks: all are scored by likelihood, which no extractor reads; there is nothing to regrade"
        )
    places = {(name, seed): run.seed(name, seed) for name in names for seed in recipe.seeds(name)}
    done = {key: _scored(recipe, benchmark, place, *key) for key, place in places.items()}
    before = _begun(run) or outcome(recipe, run)
    run.attempt("regrade", extractor=EXTRACTOR, contenders=names, before=bare(before))
    moved: list[Moved] = []
    for name in names:
        with run.hold(name, recipe.seeds(name)):
            for seed in recipe.seeds(name):
                moved += _one(recipe, benchmark, run, done[name, seed])
    after = outcome(recipe, run)
    run.attempt(
        "regraded", extractor=EXTRACTOR, contenders=names, before=bare(before), after=bare(after),
        outcomes=_turned(run),
    )  # fmt: skip
    return Regrading(tuple(moved), before, after)


def outcome(recipe: Recipe, run: RunDir) -> str:
    """What the scores as they stand would be called, if it were their own extractor that the plan had promised."""
    try:
        evidence = Evidence.read(recipe, run)
        return weigh(replace(evidence, regraded=None)).outcome
    except BadInput as fault:
        return f"{NONE} ({fault})"


def _scored(recipe: Recipe, benchmark: Benchmark, place: SeedDir, name: str, seed: int) -> RunManifest:
    done = place.scored()
    if done is None or done.scoring is None:
        raise BadInput(f"{name} seed {seed} is not scored, so there is nothing to regrade; run tuneworth score first")
    if done.fingerprint != recipe.score_fingerprint(name, seed, benchmark.digests):
        raise BadInput(f"{name} seed {seed} was scored for another state of the recipe; run tuneworth score again")
    return done


def _begun(run: RunDir) -> str | None:
    """The outcome before a regrading by today's extractor that is not through: killed, or of one contender only."""
    lines = [line for line in run.attempted() if line.get("event") in ("regrade", "regraded")]
    if not lines or lines[-1].get("extractor") != EXTRACTOR or not lines[-1].get("after", NONE).startswith(NONE):
        return None
    return str(lines[-1]["before"])


def _turned(run: RunDir) -> int:
    """Outcomes that this regrading turned, with those of its starts that were killed."""
    lines = run.attempted()
    last = max((at for at, line in enumerate(lines) if line.get("event") == "regraded"), default=-1)
    found: dict[tuple[str, int], int] = {}
    for line in lines[last + 1 :]:
        if line.get("event") == "reread" and line["extractor"] == EXTRACTOR:
            key = line["contender"], line["seed"]
            found[key] = max(found.get(key, 0), line["outcomes"])
    return sum(found.values())


def _one(recipe: Recipe, benchmark: Benchmark, run: RunDir, done: RunManifest) -> list[Moved]:
    """One log read, graded, what turned noted, the log replaced, its manifest last: a second start after a kill may
    find it replaced."""
    assert done.scoring is not None, "looked at before"
    place = run.seed(done.contender, done.seed)
    old = items.read(place.items)
    if len(old) < done.scoring.items:
        gone = f"{done.scoring.items - len(old)} of its {done.scoring.items} answers are gone from its item log"
        raise BadInput(f"{done.contender} seed {done.seed}: {gone}; run tuneworth score again")
    new = list(_anew(recipe, benchmark, done, old))
    moved = [_moved(done, task, old, new) for task in benchmark.asked if task.protocol == "generated"]
    if new != old or done.scoring.extractor != EXTRACTOR:
        turned = sum(each.outcomes for each in moved)
        run.attempt("reread", extractor=EXTRACTOR, contender=done.contender, seed=done.seed, outcomes=turned)
        shelf = place.shelf(done.fingerprint)
        for path in (place.items, place.score_manifest):
            copy2(path, shelf / path.name)
        items.replace(place.items, new, private=benchmark.private)
        facts = done.scoring.model_copy(update={"extractor": EXTRACTOR})
        done.model_copy(update={"scoring": facts}).write(place.score_manifest)
    return moved


def _anew(recipe: Recipe, benchmark: Benchmark, done: RunManifest, old: Sequence[ItemScore]) -> Iterator[ItemScore]:
    """BadInput: a row of a question that the exam no longer has."""
    chosen = recipe.contenders[done.contender]
    apart = spoken(open_chat(chosen))
    asked: dict[tuple[str, str], tuple[Task, Row]] = {
        (task.name, row.id): (task, row) for task in benchmark.asked for row in task.rows
    }
    for row in old:
        if (row.task, row.id) not in asked:
            raise BadInput(f"{row.task}/{row.id} of {done.contender} is not in the exam; run tuneworth score again")
        yield anew(row, *asked[row.task, row.id], apart)


def _moved(done: RunManifest, task: Task, old: Sequence[ItemScore], new: Sequence[ItemScore]) -> Moved:
    pairs = [(a, b) for a, b in zip(old, new, strict=True) if a.task == task.name]
    turned = [(a, b) for a, b in pairs if a.outcome != b.outcome]
    reread = [(a, b) for a, b in pairs if (a.extracted, a.score) != (b.extracted, b.score) and a.outcome == b.outcome]
    shown = tuple(_example(a, b, told=task.card.shows(asked=False)) for a, b in (turned or reread)[:SHOWN])
    return Moved(done.contender, done.seed, task.name, len(pairs), len(turned), len(reread), shown)


def _example(old: ItemScore, new: ItemScore, *, told: bool) -> str:
    """What became of one answer; of a private card the id alone."""
    if not told:
        return old.id
    return f"{old.id}: {_read(old)} -> {_read(new)}, gold {_short(new.gold)}"


def _read(row: ItemScore) -> str:
    return f"{row.outcome} ({_short(row.extracted)})" if row.extracted is not None else row.outcome


def _short(text: str | None) -> str:
    said = repr(text or "")
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}..."
