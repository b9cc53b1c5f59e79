"""Where the files of a run lie, and what a finished stage says of itself.

    <out>/<recipe name>/recipe.json  attempts.jsonl  verdict.json  flips.json.gz  verdict.md  report.html
    <out>/<recipe name>/<contender>/{repeatability.json, membership.json, opinions.jsonl, to_label.jsonl}
    <out>/<recipe name>/<contender>/seed-<n>/{adapter/, train.json, items.{jsonl,parquet}, score.json}

A manifest is written last: its presence means "done".
"""

import json
import os
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.lock import held
from finetune.run.machine import GitState, Hardware, git_state, host, versions
from finetune.run.manifest import (
    AdapterProbe,
    Basis,
    LoggedFacts,
    Probed,
    RunManifest,
    ScoreFacts,
    ServedFacts,
    TaskFacts,
    TrainFacts,
)

__all__ = [
    "AdapterProbe",
    "Basis",
    "GitState",
    "Hardware",
    "LoggedFacts",
    "Probed",
    "RunDir",
    "RunManifest",
    "ScoreFacts",
    "SeedDir",
    "ServedFacts",
    "TaskFacts",
    "TrainFacts",
    "git_state",
    "host",
    "versions",
]


@dataclass(frozen=True)
class SeedDir:
    """The folder of one contender and seed."""

    folder: Path

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def train_manifest(self) -> Path:
        return self.folder / "train.json"

    def exported(self, *, merged: bool) -> Path:
        """Where an export goes that is not sent elsewhere."""
        return self.folder / ("merged" if merged else "export")

    @property
    def items(self) -> Path:
        return self.folder / "items.jsonl"

    def logs(self) -> list[Path]:
        """Item logs: the whole one, and those of processes that are at it or were killed; they need not exist."""
        return [self.items, *sorted(self.folder.glob("items.rank-*.jsonl"))]

    @property
    def score_manifest(self) -> Path:
        return self.folder / "score.json"

    def trained(self) -> RunManifest | None:
        return RunManifest.read(self.train_manifest)

    def scored(self) -> RunManifest | None:
        """Of a scoring whose item log is still there."""
        return RunManifest.read(self.score_manifest) if self.items.is_file() else None

    def set_aside(self, paths: Iterable[Path], fingerprint: str) -> Path:
        """Move stale files to `.old-<fingerprint>`: a stage that a recipe changed is kept, never overwritten."""
        shelf = self.shelf(fingerprint)
        for path in paths:
            if path.exists():
                os.replace(path, shelf / path.name)
        return shelf

    def shelf(self, fingerprint: str) -> Path:
        """A new folder for what is older."""
        name = f".old-{fingerprint[:12]}"
        shelf = self.folder / name
        number = 1
        while shelf.exists():
            number += 1
            shelf = self.folder / f"{name}-{number}"
        shelf.mkdir(parents=True)
        return shelf


@dataclass(frozen=True)
class RunDir:
    """Address book of a run: `RunDir(out / recipe.name)`."""

    folder: Path

    @property
    def plan(self) -> Path:
        return self.folder / "recipe.json"

    @property
    def attempts(self) -> Path:
        return self.folder / "attempts.jsonl"

    @property
    def verdict(self) -> Path:
        return self.folder / "verdict.json"

    @property
    def flips(self) -> Path:
        """Where contenders disagree, for the page."""
        return self.folder / "flips.json.gz"

    @property
    def summary(self) -> Path:
        """The verdict in ten lines of Markdown."""
        return self.folder / "verdict.md"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    def probe(self, contender: str) -> Path:
        """What one step of this contender took."""
        return self.folder / contender / "probe.json"

    def repeatability(self, contender: str) -> Path:
        """What it differs by from itself: `tuneworth score --probe`."""
        return self.folder / contender / "repeatability.json"

    def membership(self, contender: str) -> Path:
        """How likely it finds the questions: `tuneworth score --membership`."""
        return self.folder / contender / "membership.json"

    def timing(self, contender: str) -> Path:
        """What a query takes it: `tuneworth score --timing`."""
        return self.folder / contender / "timing.json"

    def opinions(self, contender: str) -> Path:
        """What the judge said of its answers beside the incumbent's."""
        return self.folder / contender / "opinions.jsonl"

    def to_label(self, contender: str) -> Path:
        """The same pairs for people, blind, in a random order."""
        return self.folder / contender / "to_label.jsonl"

    def phases(self, contender: str) -> Path:
        """What each process of a training is at, while several of them run."""
        return self.folder / contender / "phases"

    def paused(self, contender: str) -> Path:
        """A line that says until when, and one with that moment in seconds since the epoch; there while a training
        waits for its hours (launchers lose exit statuses)."""
        return self.folder / contender / "paused"

    def seed(self, contender: str, seed: int) -> SeedDir:
        return SeedDir(self.folder / contender / f"seed-{seed}")

    def search(self, contender: str) -> Path:
        """Where its trials lie, each like a seed's folder, and search.json, which is written last."""
        return self.folder / contender / "search"

    def hold(self, contender: str, seeds: Iterable[int], *, search: bool = False) -> AbstractContextManager[None]:
        """The folders of these seeds (and of the search before them) for this process alone, which of several
        processes the first one takes for all.

        BadInput: another run is at work there. Whoever only reads needs no hold.
        """
        first = os.environ.get("RANK", "0") == "0"
        places = [*([self.search(contender)] if search else []), *(self.seed(contender, each).folder for each in seeds)]
        return held(places if first else [])

    def attempt(self, event: str, **facts: Any) -> None:
        """Append one line to attempts.jsonl: every plan and every scoring of this question is counted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"event": event, "at": time.time(), **facts}, ensure_ascii=False)
        with self.attempts.open("a+b") as out:
            torn = out.tell() and self.attempts.read_bytes()[-1:] != b"\n"
            out.write(b"\n" * bool(torn) + line.encode() + b"\n")

    def attempted(self) -> list[dict[str, Any]]:
        """The lines of attempts.jsonl; one that a kill or a full disk tore is left out."""
        found = []
        for line in self.attempts.read_bytes().splitlines() if self.attempts.is_file() else []:
            with suppress(ValueError):
                found.append(dict(json.loads(line)))
        return found
