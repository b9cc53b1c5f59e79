"""What is done in the folder of a run: manifests of finished stages, the answers they wrote.

BadInput names what is not done, or was done for another state of the recipe.
"""

from collections.abc import Collection
from statistics import fmean

from eval import columns
from eval.benchmark import Benchmark
from eval.membership import Membership
from eval.repeatability import Repeatability
from eval.sheet import BadPairing, Sheet
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import RunDir, RunManifest, ScoreFacts

Stages = dict[str, dict[int, RunManifest]]  # contender -> seed -> manifest


def scored(recipe: Recipe, benchmark: Benchmark, run: RunDir, name: str, seed: int) -> RunManifest:
    """The manifest of a scoring that is done, for the recipe as it stands."""
    done = run.seed(name, seed).scored()
    if done is None:
        raise BadInput(f"{name} seed {seed} is not scored; run: tuneworth score RECIPE --contender {name}")
    if done.fingerprint != recipe.score_fingerprint(name, seed, benchmark.digests):
        raise BadInput(f"{name} seed {seed} was scored for another state of the recipe; run tuneworth score again")
    return done


def trained(recipe: Recipe, run: RunDir, name: str, seed: int) -> RunManifest:
    """The manifest of a tuning that is done, for the recipe as it stands."""
    done = run.seed(name, seed).trained()
    if done is None or done.training is None:
        raise BadInput(f"{name} seed {seed} is not tuned; run: tuneworth train RECIPE --contender {name}")
    if done.fingerprint != recipe.train_fingerprint(name, seed):
        raise BadInput(f"{name} seed {seed} was tuned for another state of the recipe; run tuneworth train again")
    return done


def answers(run: RunDir, name: str, seed: int, done: RunManifest, second: columns.Reading | None) -> columns.Columns:
    """Without their texts, which decide nothing once they are graded."""
    return columns.read(run.seed(name, seed).items, second).where("scorer", done.fingerprint)


def trials(
    recipe: Recipe, benchmark: Benchmark, run: RunDir, scored: Stages, second: columns.Reading | None
) -> dict[str, float]:
    """Weighted development scores, where there is a development part and more than one challenger (decision.md 5.4)."""
    tasks = [task for task in benchmark.tasks if task.dev]
    if len(recipe.rule.challengers) < 2 or not tasks:
        return {}
    found = {}
    for name in recipe.rule.challengers:
        rows = columns.Columns.joined([answers(run, name, seed, stage, second) for seed, stage in scored[name].items()])
        dev = rows.where("part", "dev")
        means = {task.name: fmean(dev.where("task", task.name).numbers("score").tolist()) for task in tasks}
        found[name] = sum(task.weight * means[task.name] for task in tasks) / sum(task.weight for task in tasks)
    return found


def repeats(run: RunDir, scored: Stages) -> dict[str, Repeatability]:
    """Those that were measured on what was scored, not on another state of the recipe."""
    found = {name: Repeatability.read(run.repeatability(name)) for name in scored}
    prints = {name: {stage.fingerprint for stage in stages.values()} for name, stages in scored.items()}
    return {name: each for name, each in found.items() if each and each.fingerprint in prints[name]}


def members(run: RunDir, scored: Stages) -> dict[str, Membership]:
    """The same of how likely they find the questions."""
    found = {name: Membership.read(run.membership(name)) for name in scored}
    prints = {name: {stage.fingerprint for stage in stages.values()} for name, stages in scored.items()}
    return {name: each for name, each in found.items() if each and each.fingerprint in prints[name]}


def sheet(name: str, logs: dict[int, columns.Columns], beside: Collection[str], *, turned: bool) -> Sheet:
    """The answers to the exam, or those to the twins, whose tasks are `beside` it."""
    try:
        return Sheet.of(name, {seed: rows.within("task", beside, turned) for seed, rows in logs.items()})
    except BadPairing as fault:
        raise BadInput(f"{fault}; move its item log away and score again") from None


def facts(stage: RunManifest) -> ScoreFacts:
    """What a scoring says of itself."""
    if stage.scoring is None:
        raise BadInput(f"{stage.contender} seed {stage.seed}: score.json holds no facts of the scoring; score again")
    return stage.scoring


def one_extractor(scored: Stages) -> str:
    """What read all written answers. BadInput: unlike extractors, whose grades cannot be compared."""
    found = {facts(stage).extractor: name for name, stages in scored.items() for stage in stages.values()}
    if len(found) > 1:
        said = ", ".join(f"{name} by {extractor}" for extractor, name in found.items())
        raise BadInput(f"answers were read by different extractors ({said}); run: tuneworth regrade RECIPE")
    return next(iter(found))
