"""Rendered rows, kept in the user's cache: tokenised once, read by every later start and by the other processes.

A file is known by the digest of all that rendering depends on and is read through a memory map, so the processes of a
machine share its pages. Nothing that was refused is kept, and cuts, dev rows and shares are made anew at every start.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from finetune.chat import Chat
from finetune.data import Example, Rendered, Through, rendered
from finetune.files import cache_folder, digest_of, file_digest, make_whole
from finetune.recipe import Recipe, data_root

# What renders; a change makes rows anew.
SOURCES = ("data.py", "frame.py", "labelled.py", "tokenised.py", "card/*.py", "chat/*.py")
ROOM = 8 << 30  # bytes of all files together; beyond it the longest unused go
DAY = 86400.0
UNUSED = 30 * DAY  # seconds after which a file goes in any case
BROKEN = (OSError, SafetensorError, KeyError, ValueError)


def fetch(
    recipe: Recipe, name: str, chat: Chat, say: Callable[[str], None], through: Through = iter, *, keep: bool = True
) -> Rendered:
    """A contender's rows, read where they are kept, else rendered and (with `keep`) kept. `say` is told of a kept file
    that is broken, or of rows that could not be kept; neither ends a run. BadInput: as `finetune.data.rendered` says.
    """
    path = place(recipe, name, chat)
    try:
        return read(path)
    except FileNotFoundError:
        pass
    except BROKEN as fault:
        say(f"{path}: the rendered rows kept here cannot be read ({_reason(fault)}); they are rendered anew")
    found = rendered(recipe, name, chat, through)
    if keep and place(recipe, name, chat) == path:  # the data are still those that the name speaks of
        try:
            write(path, found)
        except (OSError, SafetensorError) as fault:
            say(f"{path}: the rendered rows could not be kept ({_reason(fault)}); the next start renders them again")
    return found


def place(recipe: Recipe, name: str, chat: Chat) -> Path:
    """The file of a contender's rendered rows, named by the digest of what they depend on."""
    root, frame, head = data_root(), recipe.contenders[name].prompt, recipe.contenders[name].head
    groups = (recipe.data_of(name), recipe.train.exclude)
    uses = [[[use.card.digest(root), use.split] for use in group] for group in groups]
    code = [_code(), metadata.version("tokenizers")]
    digest = digest_of([code, chat.digest, frame.model_dump(mode="json") if frame else None, head, uses])
    return cache_folder() / "tokenised" / f"{digest}.safetensors"


def read(path: Path) -> Rendered:
    """Rows as `write` left them; ids and masks are views of the mapped file. FileNotFoundError; BROKEN: torn, altered.

    A read file counts as used.
    """
    with safe_open(path, "pt") as file:  # of torch, whose tensors are the mapped pages; numpy's are copies
        facts = file.metadata() or {}
        parts = {key: file.get_tensor(key).numpy() for key in ("ids", "mask", "ends", "names", "classes")}
    if facts.pop("sha256") != _sum(parts, facts):
        raise ValueError("its bytes are not those that were written")
    with suppress(OSError):
        os.utime(path)
    ends = parts["ends"].tolist()
    spans = zip([0, *ends[:-1]], ends, json.loads(parts["names"].tobytes()), strict=True)
    labels = tuple(json.loads(facts["labels"]))
    before = np.concatenate([[0], np.cumsum(parts["mask"])]) if labels else None  # places classified so far
    examples = (
        Example(row, asked, parts["ids"][begin:end], parts["mask"][begin:end],
                None if before is None else parts["classes"][before[begin] : before[end]])
        for begin, end, (row, asked) in spans
    )  # fmt: skip
    return Rendered(tuple(examples), int(facts["excluded"]), labels)


def write(path: Path, rows: Rendered) -> None:
    """Keep rows under a temporary name, renamed when whole and readable by their owner only; then make room."""
    names = json.dumps([[example.name, example.question] for example in rows.examples]).encode()
    parts = {
        "ids": _joined([example.ids for example in rows.examples], np.int32),
        "mask": _joined([example.mask for example in rows.examples], np.bool_),
        "ends": np.cumsum([len(example) for example in rows.examples], dtype=np.int64),
        "names": np.frombuffer(names, dtype=np.uint8),
        "classes": _joined([each.classes for each in rows.examples if each.classes is not None], np.int64),
    }
    facts = {"excluded": str(rows.excluded), "labels": json.dumps(rows.labels)}
    facts["sha256"] = _sum(parts, facts)

    def build(scratch: Path) -> None:
        scratch.touch(0o600)
        save_file(parts, scratch, facts)
        scratch.chmod(0o600)

    make_whole(path, build)
    clear(path.parent, path)


def clear(folder: Path, newest: Path) -> None:
    """Remove what was unused for UNUSED seconds and, of the longest unused, what is beyond ROOM bytes; `newest` stays.

    An unfinished file may be another start's at work: it goes after a day.
    """
    states = {}
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # another start clears too
            states[file] = file.stat()
    room = ROOM - states.pop(newest).st_size
    for file, state in sorted(states.items(), key=lambda each: -each[1].st_mtime):
        age, unfinished = time.time() - state.st_mtime, file.name.startswith(".")
        room -= 0 if unfinished else state.st_size
        if age > DAY if unfinished else room < 0 or age > UNUSED:
            file.unlink(missing_ok=True)


def _code() -> str:
    here = Path(__file__).parent
    files = sorted(path for pattern in SOURCES for path in here.glob(pattern))
    return digest_of([file_digest(path) for path in files])


def _sum(parts: Mapping[str, np.ndarray], facts: Mapping[str, str]) -> str:
    found = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for key in sorted(parts):
        found.update(np.ascontiguousarray(parts[key]).view(np.uint8).data)
    return found.hexdigest()


def _joined(parts: list[np.ndarray], dtype: type[np.generic]) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *parts])


def _reason(fault: Exception) -> str:
    return getattr(fault, "strerror", None) or str(fault).partition("\n")[0]
