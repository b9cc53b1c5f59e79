"""The ledger of a sitting, wherever its model runs: when it was begun, what was asked, how far it is. No torch here."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from eval import columns, pledge
from eval.benchmark import Benchmark
from eval.foretold import foretold
from eval.grading import second
from eval.items import ItemScore
from eval.score.candidate import Candidate
from eval.score.parts import Parts
from finetune.chat import FAMILIES, Chat
from finetune.files import digest_of
from finetune.recipe import Recipe
from finetune.recipe.engine_fit import Words
from finetune.run import RunDir, TaskFacts


def first_start(run: RunDir, fingerprint: str) -> float | None:
    """When this scoring was first begun: before its first answer, whatever killed it since. None: never."""
    times = [
        line["at"] for line in run.attempted() if line["event"] == "score" and line.get("fingerprint") == fingerprint
    ]
    return min(times, default=None)


def promise(recipe: Recipe, run: RunDir, benchmark: Benchmark) -> None:
    """Keep the plan, with what the exam is foretold to take, unless it stands."""
    pledge.keep(recipe, run, benchmark, lambda: foretold(recipe, benchmark, run.folder.parent))


def begin(recipe: Recipe, run: RunDir, benchmark: Benchmark, parts: Parts, whose: Candidate) -> None:
    """Keep the plan, set aside what is stale, and note the start; on the main process, before the first answer."""
    promise(recipe, run, benchmark)
    moved = parts.set_aside_others()
    if moved:
        whose.say(f"what stood here was scored otherwise, and is now in {moved.name}")
    if first_start(run, parts.scorer) is None:
        note(run, "score", whose.name, whose.seed, parts.scorer, whose.engine, whose.why)


def note(run: RunDir, event: str, contender: str, seed: int, fingerprint: str, engine: str, why: Words | None) -> None:
    """That a contender begins to be asked, by which engine, and why by this one where the recipe names none."""
    facts = {"contender": contender, "seed": seed, "fingerprint": fingerprint, "engine": engine}
    run.attempt(event, **facts, **({"why": why[0], "why_zh": why[1]} if why else {}))


def column(benchmark: Benchmark, parts: Parts) -> None:
    """items.parquet beside a log that is whole, as its judge reads it. Where a kill left none, or another log's, it is
    built by whoever reads next."""
    columns.read(parts.place.items, second(benchmark.tasks))


def rendering(chat: Chat, folder: Path) -> dict[str, Any]:
    """How prompts were written: tokenizer, family, policy, ids and probes, what is handed to the model at the start of
    its turn, and the revision of the checkpoint's own template, which this one stands for."""
    config, beside = folder / "tokenizer_config.json", folder / "chat_template.jinja"
    own = beside.read_text("utf-8") if beside.is_file() else None
    if own is None and config.is_file():
        own = json.loads(config.read_text("utf-8")).get("chat_template")
    revision = digest_of(own) if own else None  # sha256 of its JSON text
    return chat.fingerprint() | {"prefill": FAMILIES[chat.family].prefill[chat.think], "template_sha256": revision}


def tell(benchmark: Benchmark, rows: Sequence[ItemScore], whose: Candidate) -> None:
    """One line a task: what came out."""
    for task in benchmark.asked:
        scores = [row.score for row in rows if row.task == task.name]
        whose.say(f"{task.name} {sum(scores) / len(scores):.3f} over {len(scores)} answers")


def task_facts(benchmark: Benchmark) -> Iterator[TaskFacts]:
    """What each task asked."""
    for task in benchmark.asked:
        yield TaskFacts(
            name=task.name, version=task.version, protocol=task.protocol, metric=task.metric, items=len(task.rows),
            clusters=len({row.cluster for row in task.rows}), guess_rate=task.guess_rate, lang=task.lang,
            items_digest=task.items_digest, edition=task.edition,
        )  # fmt: skip


@contextmanager
def progress(total: int, *, shown: bool) -> Iterator[Any]:
    """A bar of this process's answers and its tokens a second, on a terminal and on the main process only."""
    columns = (
        TextColumn("scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    began, tokens = time.perf_counter(), 0
    with Progress(*columns, console=Console(file=sys.stderr), disable=not (shown and sys.stderr.isatty())) as bar:
        task = bar.add_task("", total=total, speed="")

        def advance(rows: Sequence[ItemScore]) -> None:
            nonlocal tokens
            tokens += sum((row.tokens_in or 0) + (row.tokens_out or 0) for row in rows)
            bar.update(task, advance=len(rows), speed=f"{tokens / (time.perf_counter() - began):.0f} tokens/s")

        yield advance
