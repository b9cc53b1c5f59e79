"""How well memory and time were planned: predicted against measured, of the runs at hand, and what probes measured.

What cannot be read here (torn, or another version's) measures nothing, and stands in no plan's way.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eval.signs import minus
from eval.terminal import table
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import Probed, RunDir, RunManifest, TrainFacts

MEMORY = "peak memory"
BASES = {"shelf": "seconds, by the device's peaks", "probe": "seconds, by --probe", "second step": "seconds, by step 2"}


def probed(recipe: Recipe, out: Path) -> RenderableType | None:
    """What `python -m finetune.train ... --probe` measured of this recipe's contenders; None where nothing did."""
    found = []
    for name in recipe.contenders:
        one = Probed.read(RunDir(out / recipe.name).probe(name))
        if one is not None:
            hours = one.run_tokens / one.tokens * one.seconds / 3600
            off = one.predicted_peak_bytes / one.peak_memory_bytes - 1
            found.append(
                Text(
                    f"{name}, one step measured on {one.devices} x {one.device}: {one.seconds:.2f} s for {one.tokens} "
                    f"tokens, so {hours:.2f} hours a seed; peak {one.peak_memory_bytes / 2**30:.1f} GiB, "
                    f"planned {minus(format(off, '+.0%'))} of it"
                )
            )
    return Group(*found) if found else None


def measured(out: Path) -> Table | None:
    """Predicted against measured peaks and seconds of the runs in `out`, by method and by what they were told from.

    None where no run has both sides of any.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for path in sorted(out.glob("*/*/seed-*/train.json")):
        done = _manifest(path)
        kind = _kind(path.parents[2] / "recipe.json", done) if done else None
        if kind is None or done is None or done.training is None:
            continue
        for what, error in _errors(done.training):
            found.setdefault((f"{kind} on {done.hardware.devices} x {done.hardware.device}", what), []).append(error)
    return _table(out, found) if found else None


def _errors(facts: TrainFacts) -> Iterator[tuple[str, float]]:
    """(what was predicted, by how much of the measured it was off) of one training."""
    if facts.predicted_peak_bytes:
        yield MEMORY, facts.predicted_peak_bytes / facts.peak_memory_bytes - 1
    for basis, seconds in facts.predicted_seconds.items() if facts.step_seconds else ():
        yield BASES[basis], seconds / facts.step_seconds - 1


def _table(out: Path, found: dict[tuple[str, str], list[float]]) -> Table:
    shown = table(f"Predicted against measured, runs in {out}", "method", "predicted", "runs", "is off by")
    for method, what in sorted(found):
        errors = found[method, what]
        shown.add_row(method, what, str(len(errors)), _spread(errors))
    return shown


def _spread(errors: Sequence[float]) -> str:
    least, most = (minus(f"{end:+.0%}") for end in (min(errors), max(errors)))
    return most if len(errors) == 1 else f"{least} to {most}"


def _manifest(path: Path) -> RunManifest | None:
    try:
        return RunManifest.read(path)
    except BadInput:
        return None


def _kind(recipe: Path, done: RunManifest) -> str | None:
    """Of its method; of a manifest that does not note it, as the recipe has it that its run keeps, if one does."""
    if done.training and done.training.method:
        return done.training.method
    try:
        found: str = json.loads(recipe.read_text("utf-8"))["recipe"]["contenders"][done.contender]["method"]["kind"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found
