"""Files: known by their digest, written whole, kept in one cache.

The cache is `TUNEWORTH_CACHE`, else the user's cache directory; everything in it can be deleted and comes back.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """Where built checkpoints, file digests and clusters are kept."""
    named = os.environ.get("TUNEWORTH_CACHE")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("tuneworth")


def digest_of(value: Any) -> str:
    """sha256 (hex) of a JSON value, keys sorted: the one way in which this project makes a fingerprint."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 (hex) of a file's bytes. Large files are remembered by path, size and time of change."""
    state = path.stat()
    if state.st_size < 1 << 20:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    key = digest_of([str(path.resolve()), state.st_size, state.st_mtime_ns])
    note = cache_folder() / "digests" / key
    if note.is_file():
        return note.read_text("ascii")
    with path.open("rb") as source:
        found = hashlib.file_digest(source, "sha256").hexdigest()
    remember(note, found)
    return found


def remember(path: Path, text: str) -> None:
    """`write_whole` into the cache. One that is closed or full costs the next start time, and ends no run."""
    with suppress(OSError):
        write_whole(path, text)


def write_whole(path: Path, text: str) -> None:
    """Write to a temporary name beside `path` and rename: a reader sees the old file or the whole new one."""

    def put(scratch: Path) -> None:
        with scratch.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())

    make_whole(path, put)


def sweep(folder: Path, older: float = 86400.0) -> None:
    """Remove the hidden folders of builds that a kill ended: nothing was put into them for `older` seconds."""
    for scratch in folder.glob(".*"):
        if scratch.is_dir() and time.time() - scratch.stat().st_mtime > older:
            shutil.rmtree(scratch, ignore_errors=True)


def make_whole(path: Path, build: Callable[[Path], None]) -> None:
    """Let `build` make a file at a temporary name beside `path`, then rename it; on failure nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        build(scratch)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def folder_whole(path: Path, build: Callable[[Path], None], *, over: bool = True) -> None:
    """Let `build` fill a folder at a temporary name beside `path`, then rename it; on failure nothing is left.

    `over`: what stands at `path` gives way; without it, OSError where something has come to stand there meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        build(scratch)
        if over and path.exists():
            shutil.rmtree(path)
        os.replace(scratch, path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
