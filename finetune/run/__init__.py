"""Where the files of a run lie, and what a finished stage says of itself.

    <out>/<recipe name>/recipe.json  attempts.jsonl  verdict.json  report.html
    <out>/<recipe name>/<contender>/seed-<n>/{adapter/, train.json, items.jsonl, score.json}

A manifest is written last: its presence means "done".
"""

import json
import os
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from finetune.files import write_whole
from finetune.lock import held
from finetune.methods import SearchFacts
from finetune.mistakes import BadInput
from finetune.run.machine import GitState, Hardware, git_state, host, versions

__all__ = [
    "AdapterProbe",
    "GitState",
    "Hardware",
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

FROZEN = ConfigDict(frozen=True, extra="forbid")


class TrainFacts(BaseModel):
    """What tuning did; token counts are over the whole run, all ranks together."""

    model_config = FROZEN
    steps: int
    best_step: int
    stopped: Literal["done", "early", "max_steps"]
    loss_first: float  # mean over the first tenth of the steps (at least one), nats per target token
    loss_last: float
    losses: tuple[tuple[int, float], ...]  # (step, loss), at most 200 of them
    dev_losses: tuple[tuple[int, float], ...]
    rows: int
    dev_rows: int
    truncated_rows: int
    target_tokens: int
    useful_tokens: int  # unmasked by padding: every real token that went through the model
    raw_tokens: int  # with padding
    useful_tokens_per_second: float
    raw_tokens_per_second: float
    peak_memory_bytes: int
    predicted_peak_bytes: int = 0  # as finetune.plan has it, in the same terms; 0: nothing was predicted
    trainable_parameters: int
    parameters: int
    adapter_digest: str
    adapter_norm: float  # L2 norm of the adapter's tensors: zero means nothing was learnt or saved
    end_token_trained: bool | None  # None: a classification head writes nothing that could end
    reload_difference: float  # largest |logit| difference between the trained model and the reloaded adapter
    logit_shift: float  # largest |logit| difference between adapter and bare base on a probe
    reread: Literal["fresh", "here"] = "here"  # whether a process of its own read the adapter back
    head_difference: float | None = None  # as reload_difference, of a head's scores; None where there is no head
    merge_difference: float | None = None  # as reload_difference, of the merged weights; None where they do not merge
    packing_leak: float | None = None  # how far a packed row moved another, of the largest state; None without packing
    start_difference: float | None = None  # how far the first loss is off the bare base's, of it; None where it may be
    chat_digest: str
    data: dict[str, str]  # card name -> edition
    search: SearchFacts | None = None  # None: its knobs are as the recipe gives them


class TaskFacts(BaseModel):
    """What one task asked of one contender."""

    model_config = FROZEN
    name: str
    version: str
    protocol: Literal["likelihood", "generated"]
    metric: str
    items: int
    clusters: int
    guess_rate: float
    lang: str
    items_digest: str
    edition: str


class AdapterProbe(BaseModel):
    """Proof that the adapter was on: mean KL(tuned || base) over probe prompts beside an A/A pair of the base."""

    model_config = FROZEN
    prompts: int
    kl: float
    kl_same: float  # base against itself in another batch order
    norm: float


class ServedFacts(BaseModel):
    """A server that answered, as it was found when this scoring last began."""

    model_config = FROZEN
    host: str
    model: str  # as it was asked for
    api: Literal["chat", "completions"]
    form: Literal["messages", "ids", "text"]  # in which prompts were sent: messages, or our rendering
    sampling: Literal["asked", "server"]
    said_models: tuple[str, ...]  # as it named itself in its answers
    fingerprints: tuple[str, ...]  # of its system, where it told
    seeds_repeat: bool | None  # whether a seed draws the same twice; None where nothing is drawn
    retried: int  # requests sent again since the last start
    tokens_in: int  # of all answers; those written are `generated_tokens`


class ScoreFacts(BaseModel):
    model_config = FROZEN
    plan_digest: str
    first_score_at: float  # seconds since the epoch, before the first exam item was scored
    tasks: tuple[TaskFacts, ...]
    weights_digest: str
    adapter_digest: str | None
    adapter_probe: AdapterProbe | None
    chat_digest: str
    template: dict[str, Any]  # Chat.fingerprint()
    frame_digest: str | None
    decoding: dict[str, Any]
    engine: str
    dtype: str
    batch_tokens: int
    samples: int
    extractor: str
    items: int
    generated_tokens: int
    served: ServedFacts | None = None  # None: the model ran here


class RunManifest(BaseModel):
    """One finished stage of one contender and seed: train.json or score.json."""

    model_config = FROZEN
    stage: Literal["train", "score"]
    contender: str
    seed: int
    fingerprint: str
    started_at: float
    finished_at: float
    device_seconds: float  # wall seconds of work times devices, over every start of this stage
    versions: dict[str, str]
    git: GitState
    hardware: Hardware
    training: TrainFacts | None = None
    scoring: ScoreFacts | None = None

    @classmethod
    def read(cls, path: Path) -> "RunManifest | None":
        """The manifest, or None where the stage is not done. BadInput: another version's, or damaged."""
        try:
            return cls.model_validate_json(path.read_text("utf-8")) if path.is_file() else None
        except (ValidationError, UnicodeDecodeError):
            raise BadInput(
                f"{path}: no manifest that this version writes; move it away, and its stage runs again"
            ) from None

    def write(self, path: Path) -> None:
        write_whole(path, self.model_dump_json(indent=1) + "\n")


class Probed(BaseModel):
    """One real step at a contender's heaviest batch: `finetune.train --probe`."""

    model_config = FROZEN
    contender: str
    device: str
    devices: int
    tokens: int  # of the step, padding included, all devices together
    seconds: float  # of the step
    run_tokens: int  # of the whole run, padding apart
    peak_memory_bytes: int
    predicted_peak_bytes: int


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
    def report(self) -> Path:
        return self.folder / "report.html"

    def probe(self, contender: str) -> Path:
        """What one step of this contender took."""
        return self.folder / contender / "probe.json"

    def phases(self, contender: str) -> Path:
        """What each process of a training is at, while several of them run."""
        return self.folder / contender / "phases"

    def paused(self, contender: str) -> Path:
        """A line that says until when; there while a training waits for its hours (launchers lose exit statuses)."""
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
