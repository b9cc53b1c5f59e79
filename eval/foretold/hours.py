"""Device time of a contender's tuning and exam, by the figures of a device (finetune.plan)."""

from eval.foretold.load import Load
from finetune import plan
from finetune.methods import AnyMethod
from finetune.plan import Device, Sitting
from finetune.recipe import Recipe


def seconds(recipe: Recipe, load: Load, device: Device) -> tuple[float | None, float | None, float | None]:
    """Device seconds of (tuning, exam, exam with every answer at its limit), all seeds (and trials) together."""
    seeds = len(recipe.seeds(load.name))
    sit = plan.exam_seconds(load.shape, load.base, list(load.sittings), device)
    limit = load.contender.model.decoding.max_new_tokens
    full = [Sitting(s.answers, s.prompt_tokens, limit if s.written else 0, s.rows) for s in load.sittings]
    most = plan.exam_seconds(load.shape, load.base, full, device)
    sit, most = (each * seeds if each is not None else None for each in (sit, most))
    return _tuning_seconds(recipe, load, device), sit, most


def _tuning_seconds(recipe: Recipe, load: Load, device: Device) -> float | None:
    """Of every run; None where nothing is tuned here, or the device's speed is not known."""
    knobs, rows, total = recipe.train, sum(load.lengths), 0.0
    tokens = knobs.epochs * rows * (1 - knobs.dev)
    work = plan.Tuning(tokens, tokens * load.targets, knobs.evaluations * knobs.dev * rows)
    for method in load.runs:
        trained = share(recipe, load, method)
        each = plan.tuning_seconds(load.shape, trained, load.base, work, device, checkpointing=knobs.checkpointing)
        if each is None:
            return None
        total += each
    return total if load.runs else None


def share(recipe: Recipe, load: Load, method: AnyMethod | None = None) -> plan.Share:
    """Of one training; of the largest without a `method`."""
    method, mixed, labels = method or load.contender.method, load.base != "float32", load.labels
    return plan.share(load.shape, method, recipe.train.optimizer, mixed=mixed, labels=labels)
