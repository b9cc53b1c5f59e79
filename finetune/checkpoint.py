"""Checkpoints: which one, pinned how, found where, and how its documentation says it is to be asked.

A hub id needs a pinned revision; a local folder is pinned by the sha256 of each file. `TUNEWORTH_MODELS` (a folder
holding `<org>/<name>`, or a YAML file `id: folder`) maps ids to folders; nothing needs the network when they are there.
"""

import datetime
import os
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from finetune.card import Interval
from finetune.files import cache_folder, digest_of, file_digest
from finetune.mistakes import BadInput, near
from finetune.shape import Shape

FROZEN = ConfigDict(frozen=True, extra="forbid")
WEIGHED = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer.json")
SPELLING = ("tokenizer.json", "config.json", "generation_config.json")  # what a prompt is written with
TOYS = ("older", "newer", "older_brief", "newer_brief")  # what finetune.embedded builds
# What goes along when a checkpoint is handed on; it decides no score.
BESIDE = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "LICENSE*",
    "NOTICE*",
    "USE_POLICY*",
)
# Tokens of a thought's marks at most: its opening, which some families write, and what closes it (a line break, the
# mark, two line breaks, which a small vocabulary writes as two).
AROUND = 5
MAKERS = ("embedded.py", "market/*.py", "chat/*.py")  # the code that decides an embedded checkpoint's bytes


class Decoding(BaseModel):
    """How a contender writes, after its vendor's documentation; 0 is greedy."""

    model_config = FROZEN
    temperature: float = Field(0.0, ge=0, description="0 is greedy (loops on reasoning models); distills: 0.6")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus share; lower is safer and duller; distills: 0.95")
    top_k: int = Field(0, ge=0, description="Keep the k likeliest tokens, 0 keeps all; Qwen3: 20")
    max_new_tokens: int = Field(64, ge=1, description="Budget of thought and answer; an answer cut by it counts wrong")
    thinking_tokens: int | None = Field(
        None,
        ge=1,
        description="Budget of the thought alone, within max_new_tokens: after so many tokens it is closed for the "
        "model, which then answers (engine openai: with api completions); fewer cost less and may answer worse. "
        "None: a thought may take all",
    )

    @model_serializer(mode="wrap")
    def _told(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the younger key where it changes nothing: fingerprints and plans of before stay the same."""
        found: dict[str, Any] = whole(self)
        return found if self.thinking_tokens else {k: v for k, v in found.items() if k != "thinking_tokens"}


class Cutoff(BaseModel):
    """Until when what a model learned from had become public, and who says so."""

    model_config = FROZEN
    date: str = Field(description="2024, 2024-06 or 2024-06-30; of a month or year its last day counts")
    source: str = Field(min_length=1, description="Where it is said; stands on the report")

    @field_validator("date", mode="before")
    @classmethod
    def _date(cls, value: Any) -> Any:
        text = str(value)  # YAML makes numbers and dates of them
        Interval.read(text)
        return text

    @property
    def last(self) -> datetime.date:
        """The last day that it may mean."""
        return Interval.read(self.date).last


class ModelSpec(BaseModel):
    """One checkpoint: `recipes/models/<name>.yaml`."""

    model_config = FROZEN
    id: str = Field(
        description="Hub id, a folder (./, ../ or /), or embedded:older / embedded:newer (_brief: less trained)"
    )
    revision: str | None = Field(None, description="Commit of the hub repository (40 hex digits); folders need none")
    family: Literal["r1_distill_qwen", "r1_distill_llama", "r1_0528_qwen3", "qwen3", "plain", "served"] = Field(
        description="Chat rendering; served: that of the server, of a contender asked by messages"
    )
    think: Literal["keep", "drop", "empty"] = Field(
        description="keep: the model thinks and the thought is trained; drop: no thought; empty: an empty thought given"
    )
    decoding: Decoding = Field(default_factory=Decoding, description="Documented decoding of generated answers")
    dtype: Literal["auto", "float32", "bfloat16", "nf4"] = Field(
        "auto",
        description="Of the frozen weights. auto: bfloat16 where the device computes in it (half the memory, about "
        "twice the speed, logits rounded to 3 digits), else float32; nf4: 4 bits, a quarter of the memory, some worse",
    )
    licence: str = Field("", description="Of the weights and of the base below them; shown in the report")
    released: str = Field("", description="Date of release; shown in the report, and the latest that a cutoff can be")
    cutoff: Cutoff | None = Field(
        None, description="Of its knowledge, where its maker states one; without it the day of release bounds it"
    )
    shape: Shape | None = Field(None, description="Sizes, for a plan before the weights are there; theirs go before it")

    @field_validator("id")
    @classmethod
    def _known_toy(cls, name: str) -> str:
        toy = name.removeprefix("embedded:")
        if toy != name and toy not in TOYS:
            raise ValueError(f"{name} is unknown{near(name, [f'embedded:{each}' for each in TOYS])}")
        return name

    @model_validator(mode="after")
    def _in_order(self) -> "ModelSpec":
        known = self.released_on
        if self.cutoff and known and Interval.read(self.cutoff.date).first > known:
            raise ValueError(f"cutoff: {self.cutoff.date} is after the release ({self.released}); correct one of them")
        return self

    @model_validator(mode="after")
    def _closable(self) -> "ModelSpec":
        budget, most = self.decoding.thinking_tokens, self.decoding.max_new_tokens
        if budget and self.think != "keep":
            raise ValueError(f"decoding.thinking_tokens: think: {self.think} leaves no thought to end; leave it out")
        if budget and budget + AROUND >= most:
            lower = f"lower it to {most - AROUND - 1} or less, or " if most > AROUND + 1 else ""
            raise ValueError(
                f"decoding.thinking_tokens: {budget} leaves no answer within max_new_tokens {most}, as the marks of a "
                f"thought take up to {AROUND}; {lower}raise max_new_tokens to {budget + AROUND + 1} or more"
            )
        return self

    @property
    def released_on(self) -> datetime.date | None:
        """The last day that `released` may mean; None where it is no date."""
        try:
            return Interval.read(self.released).last
        except ValueError:
            return None

    @property
    def embedded(self) -> str:
        """The name in TOYS of a checkpoint that the project builds by itself, else empty."""
        return self.id.removeprefix("embedded:") if self.id.startswith("embedded:") else ""

    @property
    def named(self) -> str:
        """Its id as anybody may know it: of a folder its name, since the path is this machine's business."""
        return name_of(self.id)

    def folder(self) -> Path:
        """The folder with the files. BadInput says which is missing and how to get it."""
        found = self._place()
        return self._present(*found) if found else self._download([*WEIGHED, *BESIDE])

    def tokenizer_folder(self) -> Path:
        """The folder with tokenizer.json, of a model whose weights are served elsewhere. BadInput: not there."""
        found = self._place()
        return self._holds("tokenizer.json", *found) if found else self._download(SPELLING)

    def tokenizer_digest(self) -> str:
        return file_digest(self.tokenizer_folder() / "tokenizer.json")

    def _place(self) -> tuple[Path, str] | None:
        """Where the files lie, and what to do where they do not; None: on the hub."""
        if self.embedded:
            return embedded_folder(self.embedded), f"build it: python -m finetune.embedded {self.embedded}"
        if is_local(self.id):
            return Path(self.id), "correct `id` in the model's YAML"
        mapped = mapped_folder(self.id)
        return (mapped, "correct TUNEWORTH_MODELS") if mapped else None

    def sizes(self) -> Shape:
        """Of the checkpoint's config.json where its files are there, else as the YAML says. BadInput: neither."""
        if self.embedded:
            place: Path | None = embedded_folder(self.embedded)
        else:
            place = Path(self.id) if is_local(self.id) else mapped_folder(self.id)
        if place and (place / "config.json").is_file():
            return Shape.read(place)
        if self.shape is None:
            raise BadInput(f"model {self.id}: neither its config.json nor `shape` is there; add `shape` to its YAML")
        return self.shape

    def digest(self) -> str:
        """What pins the weights: sha256 of each file, or id and revision of the hub."""
        if not is_local(self.id) and not self.embedded and mapped_folder(self.id) is None:
            return digest_of([self.id, self._revision()])
        folder = self.folder()
        files = sorted({path for pattern in WEIGHED for path in folder.glob(pattern)})
        return digest_of({path.name: file_digest(path) for path in files})

    def _present(self, folder: Path, remedy: str) -> Path:
        for name in ("config.json", "tokenizer.json"):
            self._holds(name, folder, remedy)
        if not list(folder.glob("*.safetensors")):
            raise BadInput(f"model {self.id}: {folder} has no .safetensors file (no pickles); {remedy}")
        return folder

    def _holds(self, name: str, folder: Path, remedy: str) -> Path:
        if not (folder / name).is_file():
            raise BadInput(f"model {self.id}: {folder} has no {name}; {remedy}")
        return folder

    def _revision(self) -> str:
        if not self.revision or not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise BadInput(
                f"model {self.id}: revision is {self.revision or 'not given'}; a hub id needs a commit of 40 digits, "
                f"or map the id to a folder with TUNEWORTH_MODELS"
            )
        return self.revision

    def _download(self, patterns: Sequence[str]) -> Path:
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(self.id, revision=self._revision(), allow_patterns=list(patterns)))
        except (OSError, RuntimeError) as fault:
            raise BadInput(
                f"model {self.id}@{self.revision}: not in the local cache nor to be fetched ({type(fault).__name__}); "
                f"set HF_ENDPOINT to a mirror, or map the id to a folder with TUNEWORTH_MODELS"
            ) from fault


def is_local(name: str) -> bool:
    return name.startswith(("./", "../", "/"))


def name_of(model: str) -> str:
    """A hub id as it is, a folder's path without what leads to it."""
    return model.rstrip("/").rpartition("/")[2] if is_local(model) else model


def mapped_folder(name: str) -> Path | None:
    """Where TUNEWORTH_MODELS puts a hub id, or None."""
    named = os.environ.get("TUNEWORTH_MODELS")
    if not named:
        return None
    place = Path(named).expanduser()
    if place.is_dir():
        return place / name if (place / name).is_dir() else None
    found = (yaml.safe_load(place.read_text("utf-8")) or {}).get(name)
    return (place.parent / found).resolve() if found else None


def embedded_folder(name: str) -> Path:
    """Cache folder of `embedded:<name>`: known by the code that makes it and by torch's version."""
    here = Path(__file__).parent
    made_by = {str(path.relative_to(here)): file_digest(path) for maker in MAKERS for path in sorted(here.glob(maker))}
    mark = digest_of([made_by, metadata.version("torch").split("+")[0]])
    return cache_folder() / "embedded" / f"{name}-{mark[:16]}"
