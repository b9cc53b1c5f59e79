"""What lm-eval logged (`--log_samples`), beside a run of ours: tied to the run's exam and graded by the engine room.

The room is started as a command on a recipe of the log alone; it refuses, by file and line, what is not that exam. What
no log tells (tokens, seconds, cost, memory, method) stays unknown.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eval import columns
from eval.sheet import OUTCOMES, Sheet
from eval.verdict import Verdict
from eval.verdict.roll import ContenderOrigin, ContenderRow, TaskScore, interval
from finetune.mistakes import BadInput
from finetune.recipe.logged import sample_files
from finetune.run import RunDir, RunManifest, ScoreFacts

NAME = "logged"  # of the contender, in the recipe made here
MODEL = {"id": "unknown", "family": "served", "think": "keep"}


@dataclass(frozen=True, eq=False)
class Logged:
    """One log as the exam of a run: its row, its origin, its answers."""

    row: ContenderRow
    origin: ContenderOrigin
    sheet: Sheet
    verdict: Verdict  # of the run, without what it says of its own contenders


def is_log(path: Path) -> bool:
    """Whether lm-eval's samples lie there, and no run of ours."""
    if not path.exists() or RunDir(path).verdict.is_file():
        return False
    try:
        return bool(sample_files(path))
    except BadInput:
        return False


def read(path: Path, label: str, verdict: Verdict, exam: dict[str, Any]) -> Logged:
    """The answers of a log to the exam of a run (`exam` of its resolved recipe), all tasks of it.

    BadInput names what the room refused: a task that was not asked, other questions, another version of a task.
    """
    with TemporaryDirectory() as scratch:
        done = _graded(Path(scratch), path.resolve(), exam)
        rows = columns.glance(done[0]).where("scorer", done[1].fingerprint)
        sheet = Sheet.of(label, {0: rows})
    facts = done[1].scoring
    assert facts is not None, "a scoring tells its facts"
    bare = verdict.provenance.model_copy(update={"extractor": facts.extractor})
    plain = verdict.model_copy(update={"outcome": "inconclusive", "gates": (), "provenance": bare})
    return Logged(_row(label, sheet, verdict, facts), _origin(label, facts), sheet, plain)


def _graded(scratch: Path, log: Path, exam: dict[str, Any]) -> tuple[Path, RunManifest]:
    """Item log and manifest that the scoring room makes of it. BadInput: what the room says."""
    theirs = {"model": MODEL, "items": str(log)}
    recipe = {
        "question": "What was logged?",
        "contenders": {NAME: theirs, "twice": theirs | {"adapter_cost": 0}},
        "exam": {key: exam[key] for key in ("tasks", "weights", "dev", "seed")},
        "rule": {"challengers": ["twice"], "incumbent": NAME, "base": NAME},
    }
    (scratch / "log.yaml").write_text(json.dumps(recipe, ensure_ascii=False), "utf-8")
    words = ["-m", "eval.score", str(scratch / "log.yaml"), "--contender", NAME, "--out", str(scratch)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise BadInput(f"{log}: {said[-1].removeprefix('tuneworth: ') if said else 'cannot be graded'}")
    place = RunDir(scratch / "log").seed(NAME, 0)
    manifest = place.scored()
    assert manifest is not None, "the room ended well"
    return place.items, manifest


def _row(label: str, sheet: Sheet, verdict: Verdict, facts: ScoreFacts) -> ContenderRow:
    weights = {task.name: task.weight for task in verdict.tasks}
    score, low, high = interval(sheet, weights, verdict.confidence)
    parts = {task: interval(sheet.part(task), weights, verdict.confidence) for task in sheet.samples}
    weight = sheet.item_weight(weights)
    return ContenderRow(
        name=label, roles=(), model=_model(facts), method="unknown", knobs={}, prompted=False, seeds=sheet.seeds,
        samples=sheet.samples, score=score, low=low, high=high,
        tasks=tuple(TaskScore(task=task, score=m, low=lo, high=hi) for task, (m, lo, hi) in parts.items()),
        outcomes={outcome: float(sheet.share(outcome)[0] @ weight) for outcome in OUTCOMES},
        seconds_per_query=None, tokens_in=None, tokens_thinking=None, tokens_out=None, cost_per_query=None,
        training_seconds=0.0, training_cost=None, scoring_seconds=None, licence="", released="",
    )  # fmt: skip


def _model(facts: ScoreFacts) -> str:
    return (facts.logged.named if facts.logged else "") or "unknown"


def _origin(label: str, facts: ScoreFacts) -> ContenderOrigin:
    assert facts.logged is not None, "it came of a log"
    return ContenderOrigin(
        name=label, model=_model(facts), revision=None, family="unknown", think="", weights_digest="", adapters={},
        chat_digest="", frame_digest=None, decoding=facts.decoding, engine=facts.engine, dtype=facts.dtype,
        batch_tokens=None, hardware=None, versions=facts.logged.versions, git=None, data={},
        logs=facts.logged.files, logged_model=facts.logged.named,
    )  # fmt: skip
