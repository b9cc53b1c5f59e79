"""What lm-eval logged: a line for every question and filter (`--log_samples`), and of the run as a whole its results.

Written by others: each line is taken for what it proves, and refused by file and line where it proves nothing.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from finetune.files import file_digest
from finetune.mistakes import BadInput
from finetune.recipe.logged import results_file, sample_files

OLDEST = "lm-eval 0.4.5"  # whose lines name filter and hashes
RUNNING = {  # model args that say where and how fast a model runs, not which; dtype is told of the whole
    "dtype", "device", "batch_size", "max_batch_size", "parallelize", "tensor_parallel_size", "data_parallel_size",
    "gpu_memory_utilization", "base_url", "num_concurrent", "max_retries", "timeout",
}  # fmt: skip


class Sample(BaseModel):
    """One question as lm-eval asked it; its metrics stand beside these keys, by their names."""

    model_config = ConfigDict(frozen=True, extra="allow")
    doc_id: int
    doc: dict[str, Any]
    target: str
    arguments: dict[str, dict[str, Any]]  # gen_args_<request> -> arg_0 the prompt, arg_1 what follows or how to write
    resps: list[list[Any]]  # by request and repeat: a text, or [log-likelihood, greedy] as text
    filter: str
    doc_hash: str

    @field_validator("arguments")
    @classmethod
    def _readable(cls, found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        try:
            [_prompt(each.get("arg_0")) for each in found.values()]
        except RecursionError:
            raise ValueError("a prompt of messages that are nested without end") from None
        return found

    @property
    def requests(self) -> list[tuple[str, Any]]:
        """(prompt, continuation or how to write) of every request."""
        return [(_prompt(each.get("arg_0")), each.get("arg_1")) for each in self.arguments.values()]

    def metric(self, name: str) -> float | None:
        """None: not logged. ValueError: logged, and no finite number."""
        known = self.model_extra or {}
        if name not in known:
            return None
        found = known[name]
        if not isinstance(found, int | float) or not abs(found) <= sys.float_info.max:
            raise ValueError(f"{name} is {found!r:.40}, no finite number")
        return float(found)

    @property
    def altered(self) -> bool:
        """Whether its document is another than the one that lm-eval hashed."""
        text = json.dumps(self.doc, indent=2, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest() != self.doc_hash


class Results(BaseModel):
    """Of a results_<date>.json, what a score depends on."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    versions: dict[str, str | int | float]  # task -> version
    config: dict[str, Any]
    date: float  # when the run began, seconds since the epoch
    lm_eval_version: str = ""
    transformers_version: str = ""
    model_name: str = ""

    @property
    def engine(self) -> str:
        parts = (f"lm-eval {self.lm_eval_version} {self.config.get('model', '')}".strip(), self.config.get("device"))
        return " on ".join(str(part) for part in parts if part)

    @property
    def dtype(self) -> str:
        return str(self.config.get("model_dtype") or "unknown").removeprefix("torch.")

    @property
    def model(self) -> dict[str, str]:
        """What says which model answered; model args stand as a text in older runs."""
        args = self.config.get("model_args") or {}
        if isinstance(args, str):
            args = dict(each.partition("=")[::2] for each in args.split(","))
        named = {"model_name": self.model_name, "model_sha": str(self.config.get("model_sha") or "")}
        found = args if isinstance(args, dict) else {"model_args": args}
        return named | {key: str(value) for key, value in found.items() if key not in RUNNING}


@dataclass(frozen=True)
class Log:
    """One run of one task."""

    task: str
    path: Path
    results: Results | None  # None: they are not beside it
    lines: tuple[tuple[int, Sample], ...]  # of one filter: all filters saw the same answers
    filters: tuple[str, ...]  # of all lines, the one of `lines` first

    @property
    def files(self) -> dict[str, str]:
        """name -> sha256"""
        beside = results_file(self.path)
        return {path.name: file_digest(path) for path in (self.path, beside) if path}


def read_log(place: Path, task: str) -> Log:
    """The log of a task at a file or folder. BadInput: none, several, or lines that lm-eval did not write so."""
    named = sample_files(place)
    found = [path for path, name in named.items() if name == task]
    if not found:
        raise BadInput(f"items: {place}: no samples of task {task}, but of {', '.join(sorted(set(named.values())))}")
    if len(found) > 1:
        raise BadInput(
            f"items: {place}: {len(found)} files of samples of task {task} ({found[0].name}, {found[1].name}); "
            f"name the folder of one run"
        )
    lines = list(_lines(found[0]))
    if not lines:
        raise BadInput(f"{found[0]}: holds no sample")
    _refuse_two_ways(found[0], lines)
    filters = tuple(dict.fromkeys(each.filter for _, each in lines))
    kept = tuple((number, each) for number, each in lines if each.filter == filters[0])
    return Log(task, found[0], _results(found[0], task), kept, filters)


def _refuse_two_ways(path: Path, lines: Sequence[tuple[int, Sample]]) -> None:
    """BadInput: answers that were to be written in unlike ways: the lines of two runs in one file."""
    ways: dict[str, int] = {}
    for number, each in lines:
        for _, how in each.requests:
            if isinstance(how, dict):
                ways.setdefault(json.dumps(how, sort_keys=True, ensure_ascii=False), number)
    if len(ways) > 1:
        (first, here), (other, there) = list(ways.items())[:2]
        raise BadInput(f"{path}:{there}: was asked with {other}, line {here} with {first}; keep the lines of one run")


def refuse_two_models(logs: Sequence[Log]) -> None:
    """BadInput: results that name unlike models; of logs without results nothing is known."""
    known = [(results_file(log.path), log.results.model) for log in logs if log.results]
    for path, model in known[1:]:
        first, wanted = known[0]
        for key in wanted | model:
            if wanted.get(key) != model.get(key):
                raise BadInput(
                    f"{path}: {key} is {model.get(key)!r}, and in {first} {wanted.get(key)!r}; a contender is one "
                    f"model, so give the other its own"
                )


def _lines(path: Path) -> Iterator[tuple[int, Sample]]:
    with path.open("rb") as log:
        for number, line in enumerate(log, 1):
            if not line.endswith(b"\n"):
                raise BadInput(f"{path}:{number}: the last line is torn; copy the file again")
            try:
                yield number, Sample.model_validate_json(line)
            except ValidationError as fault:
                first = fault.errors(include_input=False)[0]
                where = ".".join(map(str, first["loc"])) or "the line"
                raise BadInput(
                    f"{path}:{number}: no sample as {OLDEST} and later log it ({where}: {first['msg']})"
                ) from None


def _results(samples: Path, task: str) -> Results | None:
    """BadInput: no results, those of another run, or of no time that has been."""
    path = results_file(samples)
    if path is None:
        return None
    try:
        found = Results.model_validate_json(path.read_text("utf-8"))
    except (ValidationError, UnicodeDecodeError):
        raise BadInput(f"{path}: not the results of an lm-eval run; copy it again, or move it away") from None
    if task not in found.versions:  # lm-eval names every task that it asked
        asked = ", ".join(sorted(found.versions)) or "nothing"
        raise BadInput(f"{path}: the results of another run: of {asked}, not of {task}, whose samples lie beside them")
    if not 0 < found.date <= time.time():
        raise BadInput(f"{path}: date {found.date:g} is no time that has been, in seconds since 1970; copy it again")
    return found


def _prompt(found: Any) -> str:
    """A text; of an API the messages, as one text."""
    if isinstance(found, str):
        return found
    try:
        turns = json.loads(found[0]) if isinstance(found, list) and len(found) == 1 else found
        return "\n".join(turn["content"] for turn in turns)
    except (ValueError, KeyError, TypeError):
        return ""
