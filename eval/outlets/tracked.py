"""The verdict, in the tracker that the recipe names (`train.tracker`): a sink, never the record.

W&B gets scalars, tables, the verdict as an artifact, and the adapters it judged as inputs; any other tracker of
accelerate's gets the scalars. Judging again goes on in the same run of W&B, whose id lies with the run. Whatever fails
here is told in a line, and the verdict stands.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from eval.benchmark import Benchmark
from eval.flips.texts import Texts
from eval.outlets import tables
from eval.task import CANARIES
from eval.verdict import Verdict
from finetune.files import write_whole
from finetune.mistakes import told
from finetune.recipe import Recipe
from finetune.run import RunDir
from finetune.run.tracking import adapter_artifact, artifact_name, remedy, wandb_mode, wandb_settings

SESSION_FILE = "judge.wandb-id"  # beside the logs
SESSION = re.compile(r"[0-9a-f]{16}")


def track(name: str, recipe: Recipe, run: RunDir, v: Verdict, texts: Texts) -> str:
    """Hand a verdict over to a tracker by its name. Gives a line: where it went, or why not."""
    if find_spec(name) is None:
        return f"train.tracker: {name} is not installed, so the verdict is not in it; `{remedy(name)}`"
    logs, again = run.folder / "logs", _goes_on(name, run)
    try:
        logs.mkdir(parents=True, exist_ok=True)
        _to_wandb(recipe, run, v, texts) if name == "wandb" else _to_other(name, recipe, run, v)
    except Exception as fault:  # a tracker may fail in any way: its network, its service, its disk
        said = str(fault).strip().partition("\n")[0] if not isinstance(fault, OSError) else told(fault)
        return f"train.tracker: {name} took no verdict ({type(fault).__name__}: {said}){again}; verdict.json stands"
    return f"tracker {name}: {logs}"


def _goes_on(name: str, run: RunDir) -> str:
    """What may be in the way, and the remedy, where this judging would go on in a run that a server knows."""
    session = run.folder / "logs" / SESSION_FILE
    if name != "wandb" or wandb_mode() != "online" or not session.is_file():
        return ""
    return f"; if its run was deleted there, remove {session}, and judging again begins a new one"


def _to_other(name: str, recipe: Recipe, run: RunDir, v: Verdict) -> None:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, log_with=name, project_dir=str(run.folder / "logs"))
    accelerator.init_trackers(recipe.name, _config(v))
    accelerator.log(tables.scalars(v), step=0)
    for tracker in accelerator.trackers:
        tracker.finish()


def _to_wandb(recipe: Recipe, run: RunDir, v: Verdict, texts: Texts) -> None:
    import wandb

    folder = str(run.folder / "logs")
    settings = {**wandb_settings(), "x_disable_stats": True, "mode": wandb_mode()}
    with _staged_in(folder):
        session = wandb.init(
            project=recipe.name, name=f"judge {recipe.name}", job_type="judge", dir=folder,
            config=_config(v), settings=settings, id=_session_id(run), resume="allow",
        )  # fmt: skip
        try:
            adapters = _use_adapters(session, recipe, run, v)
            session.log({**tables.scalars(v), **_tables(recipe, run, v, texts)})
            session.summary.update({"verdict": v.outcome, "sentence": v.sentence, "sentence_zh": v.sentence_zh})
            session.log_artifact(_artifact(recipe, run, v, adapters))
        finally:
            session.finish()


def _session_id(run: RunDir) -> str:
    """W&B's name of this run's judging: made up at the first, the same whenever it is judged again."""
    path = run.folder / "logs" / SESSION_FILE
    kept = path.read_text("utf-8").strip() if path.is_file() else ""
    if not SESSION.fullmatch(kept):
        kept = secrets.token_hex(8)
        write_whole(path, kept + "\n")
    return kept


@contextmanager
def _staged_in(folder: str) -> Iterator[None]:
    """What W&B keeps until it is sent lies with the run, so that `wandb sync` finds it when the home is another."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = before or folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]


def _config(v: Verdict) -> dict[str, Any]:
    """The study in plain values, without paths."""
    return {
        "question": v.question, "purpose": v.purpose, "challenger": v.challenger, "incumbent": v.incumbent,
        "base": v.base, "alternatives": ", ".join(v.alternatives), "margin": v.margin, "confidence": v.confidence,
        "tasks": ", ".join(f"{task.name} {task.version}" for task in v.tasks), "plan": v.provenance.plan or "",
        "samples": v.provenance.samples, "exam_seed": v.provenance.exam_seed, "extractor": v.provenance.extractor,
    }  # fmt: skip


def _tables(recipe: Recipe, run: RunDir, v: Verdict, texts: Texts) -> dict[str, Any]:
    import wandb

    told = [] if texts.nothing else Benchmark.read(recipe).asked  # --with-text is for this machine, not for a tracker
    public = frozenset(task.name for task in told if not task.private and task.name != CANARIES)  # secrets stay here
    found = {"contenders": tables.contenders(v), "comparisons": tables.comparisons(v), "gates": tables.gates(v)}
    found |= {"guards": tables.guards(v)} if v.guards else {}
    for name in recipe.contenders:
        found[f"items/{name}"] = tables.answers([run.seed(name, seed).items for seed in recipe.seeds(name)], public)
    return {
        name: wandb.Table(columns=list(table.columns), data=table.rows, allow_mixed_types=True)
        for name, table in found.items()
    }


def _use_adapters(session: Any, recipe: Recipe, run: RunDir, v: Verdict) -> dict[str, str]:
    """The adapters that answered, as inputs of this run; name -> sha256. One moved or gone since is left out."""
    found = {}
    for origin in v.provenance.contenders:
        for seed, digest in origin.adapters.items() if origin.name in recipe.methods else ():
            place = run.seed(origin.name, seed)
            done = place.trained()
            if done is None or done.training is None or done.training.adapter_digest != digest:
                continue
            if not place.adapter.is_dir():
                continue
            artifact = adapter_artifact(recipe, origin.name, seed, place, digest)
            if session.offline:  # `use_artifact` asks the server; its log holds the same, to be sent later
                session._log_artifact(artifact, use_after_commit=True)
            else:
                session.use_artifact(artifact)
            found[artifact.name] = digest
    return found


def _artifact(recipe: Recipe, run: RunDir, v: Verdict, adapters: dict[str, str]) -> Any:
    import wandb

    facts = {"outcome": v.outcome, "plan": v.provenance.plan, "adapters": adapters}
    made = wandb.Artifact(artifact_name(recipe.name, "verdict"), type="verdict", metadata=facts)
    for path in (run.verdict, run.summary):
        made.add_file(str(path), name=path.name)
    return made
