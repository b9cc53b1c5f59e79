"""A sitting: one contender's exam in one run, as `tuneworth run` left it, with what the run's verdict says of it.

Only finished stages count, and only rows that the finished scorer wrote; nothing in a run is changed by looking at it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval import columns
from eval.leaderboard import logged
from eval.paired import Floats
from eval.sheet import BadPairing, Sheet
from eval.verdict import Verdict
from eval.verdict.roll import ContenderOrigin, ContenderRow
from finetune.mistakes import BadInput
from finetune.plan import CONTEXT, Base, Shape, cache_bytes, weight_bytes
from finetune.plan.memory import MARGIN
from finetune.recipe import Contender, Costs
from finetune.run import RunDir

# How weights lie in memory, by the first word of what a run says (`awq bfloat16`: packed so, reckoned in that). nf4 is
# doubly quantised, as finetune.world loads it; AWQ's 4 bits with a scale and a zero for 128 weights come to the same.
# Of what has no fixed number of bits (gptq) memory is not known.
BASES: dict[str, Base] = {
    "float32": "float32",
    "bfloat16": "bfloat16",
    "nf4": "nf4_double",
    "awq": "nf4_double",
    "fp8": "int8",
}
CLOSE = 1e-9  # two computations of one score


@dataclass(frozen=True, eq=False)
class Run:
    """One finished run: its folder, its name on the board, its verdict and its recipe as it was resolved."""

    folder: Path
    label: str
    verdict: Verdict
    recipe: dict[str, Any]

    @property
    def costs(self) -> Costs:
        return Costs.model_validate(self.recipe["costs"])

    @property
    def weights(self) -> dict[str, float]:
        return {task.name: task.weight for task in self.verdict.tasks}


class Use(NamedTuple):
    """What answers took, of a query of some questions; None: not known."""

    cost: float | None  # of 1,000
    tokens_in: float | None
    tokens_out: float | None
    thinking: float | None  # share of the written tokens; None too where nothing was written
    seconds: float | None


@dataclass(frozen=True, eq=False)
class Sitting:
    """One contender of one run; `key` is its name on the board, unique there."""

    key: str
    run: Run
    row: ContenderRow
    origin: ContenderOrigin
    sheet: Sheet
    parameters: int | None  # None, here and below: not known
    memory: float | None  # bytes to serve one query: weights, cache of the longest one, overhead

    @property
    def cost(self) -> float | None:
        """Of 1,000 queries, at its run's prices; None where nothing had a price."""
        cost = self.row.cost_per_query
        return None if cost is None or (not cost and not self.run.costs.gpu_hour) else 1000 * cost

    @property
    def budget(self) -> int | None:
        """Tokens that an answer may have."""
        decoding = self.origin.decoding
        found = decoding.get("max_new_tokens", decoding.get("max_gen_toks"))  # as lm-eval calls it
        return None if found is None else int(found)

    @property
    def thinks(self) -> bool:
        """Whether it is known to think, and how long it may: of what ran here alone."""
        elsewhere = self.origin.logs or (self.contender and self.contender.served)
        return self.origin.think == "keep" and not elsewhere

    @property
    def thought(self) -> int | None:
        """Tokens that a thought may have; None: as many as its answer."""
        found = self.origin.decoding.get("thinking_tokens")
        return None if found is None else int(found)

    @cached_property
    def contender(self) -> Contender | None:
        """As its recipe declares it; None for what stands in none."""
        with suppress(ValueError, KeyError):
            return Contender.model_validate(self.run.recipe["contenders"][self.row.name])
        return None

    @property
    def whole(self) -> Use:
        """Of the whole exam, as the verdict has it."""
        row = self.row
        share = _share(row.tokens_thinking, row.tokens_out)
        return Use(self.cost, row.tokens_in, row.tokens_out, share, row.seconds_per_query)

    def use(self, weight: Floats) -> Use:
        """Of questions that weigh `weight` [n], which is 0 of all others."""

        def mean(measure: str, whole: float | None) -> float | None:
            if whole is None:
                return None
            asked = weight > 0
            found = float(self.sheet.values(measure)[:, asked].mean(axis=0) @ weight[asked])
            return None if np.isnan(found) else found

        row = self.row
        read, written = mean("tokens_in", row.tokens_in), mean("tokens_out", row.tokens_out)
        thought, seconds = mean("tokens_thinking", row.tokens_thinking), mean("seconds", row.seconds_per_query)
        return Use(self._cost(read, written, seconds), read, written, _share(thought, written), seconds)

    def _cost(self, read: float | None, written: float | None, seconds: float | None) -> float | None:
        """As `cost`, of a query that reads, writes and takes so much; one with a declared price always costs that."""
        served, whole = self.contender.served if self.contender else None, self.row.seconds_per_query
        if self.cost is None or (self.contender and self.contender.query_cost is not None):
            return self.cost
        if served and served.priced:
            return None if read is None or written is None else 1000 * served.query_price(read, written)
        return self.cost * seconds / whole if seconds is not None and whole else self.cost


def _share(thought: float | None, written: float | None) -> float | None:
    """None where a log does not tell, or nothing was written."""
    return None if thought is None or not written else thought / written


def sittings(folders: Sequence[Path]) -> list[Sitting]:
    """All contenders of these runs, and of what lm-eval logged beside them, which answers the first run's exam.

    BadInput names the run that is not finished, or has changed since its verdict; a log that is not of that exam, or
    beside which no run stands.
    """
    logs = [folder for folder in folders if logged.is_log(folder)]
    runs = _runs([folder for folder in folders if folder not in logs])
    if logs and not runs:
        raise BadInput(f"{logs[0]}: of lm-eval, which says nothing of documents; name a run of the same exam beside it")
    return [*_own(runs), *_logged(logs, runs)]


def _logged(logs: Sequence[Path], runs: Sequence[Run]) -> list[Sitting]:
    """One contender each, by the name of its folder or file."""
    taken = {run.label for run in runs} | {row.name for run in runs for row in run.verdict.contenders}
    found = []
    for path in logs:
        label = path.resolve().name if path.resolve().name not in taken else str(path)
        if label in taken:
            raise BadInput(f"{path}: stands twice; name each log once")
        taken.add(label)
        each = logged.read(path, label, runs[0].verdict, runs[0].recipe["exam"])
        run = Run(path, label, each.verdict, runs[0].recipe)
        found.append(Sitting(label, run, each.row, each.origin, each.sheet, None, None))
    return found


def _own(runs: Sequence[Run]) -> list[Sitting]:
    names = Counter(row.name for run in runs for row in run.verdict.contenders)
    found = []
    for run in runs:
        origins = {origin.name: origin for origin in run.verdict.provenance.contenders}
        for row in run.verdict.contenders:
            key = row.name if names[row.name] == 1 else f"{run.label}/{row.name}"
            shape = _shape(run, row.name)
            sheet = _sheet(run, row, key)
            memory = _memory(shape, row, origins[row.name])
            size = shape.parameters if shape else None
            found.append(Sitting(key, run, row, origins[row.name], sheet, size, memory))
    return found


def _runs(folders: Sequence[Path]) -> list[Run]:
    twice = [path for path, count in Counter(path.resolve() for path in folders).items() if count > 1]
    if twice:
        raise BadInput(f"{twice[0]}: stands twice; name each run once")
    return [_run(folder, label) for folder, label in zip(folders, _labels(folders), strict=True)]


def _labels(folders: Sequence[Path]) -> list[str]:
    """The name of each folder; where several are called alike, with as much of its path as tells them apart."""
    paths = [folder.resolve().parts for folder in folders]
    found = []
    for own in paths:
        others = [other for other in paths if other != own]
        known = next(size for size in range(1, len(own) + 1) if all(each[-size:] != own[-size:] for each in others))
        found.append("/".join(own[-known:]))
    return found


def _run(folder: Path, label: str) -> Run:
    place = RunDir(folder)
    if not place.verdict.is_file():
        raise BadInput(f"{folder}: no verdict.json in it; name a run's own folder, such as runs/demo, once judged")
    verdict = Verdict.read(place.verdict)
    if verdict.plumbing is not None:
        raise BadInput(f"{folder}: a smoke run, which measures plumbing and no contender; leave it out")
    try:
        recipe = json.loads(place.plan.read_text("utf-8"))["recipe"]
        Costs.model_validate(recipe["costs"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(f"{place.plan}: no recipe that this version writes; start the run again") from None
    return Run(folder, label, verdict, recipe)


def _sheet(run: Run, row: ContenderRow, key: str) -> Sheet:
    """The answers to the exam, whose mean must be what the verdict says."""
    logs, tasks = {}, set(run.weights)
    for seed in row.seeds:
        place = RunDir(run.folder).seed(row.name, seed)
        done = place.scored()
        if done is None:
            raise BadInput(f"{place.folder}: its scoring is not done, or its log is gone; run tuneworth score again")
        logs[seed] = columns.glance(place.items).where("scorer", done.fingerprint).within("task", tasks, True)
    try:
        sheet = Sheet.of(key, logs)
    except BadPairing as fault:
        raise BadInput(f"{run.folder}: {fault}; move its item log away and score again") from None
    score = float(sheet.scores.mean(axis=0) @ sheet.item_weight(run.weights))
    if abs(score - row.score) > CLOSE:
        raise BadInput(
            f"{run.folder}: {row.name} scores {score:.4f} by its item log and {row.score:.4f} by verdict.json; "
            f"run tuneworth judge again"
        )
    return sheet


def _shape(run: Run, name: str) -> Shape | None:
    """Sizes of its model, where its files are at hand or its YAML says them; a served one's are not told."""
    with suppress(ValueError, KeyError, OSError):
        return Contender.model_validate(run.recipe["contenders"][name]).model.sizes()
    return None


def _memory(shape: Shape | None, row: ContenderRow, origin: ContenderOrigin) -> float | None:
    kept, _, sums = origin.dtype.partition(" ")
    base = BASES.get(kept)
    if shape is None or base is None or row.tokens_in is None:
        return None
    tokens = row.tokens_in + (origin.decoding.get("max_new_tokens") or row.tokens_out or 0)
    return (weight_bytes(shape, base) + tokens * cache_bytes(shape, BASES.get(sums, base))) * MARGIN + CONTEXT
