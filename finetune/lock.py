"""One writer at a time: a folder held by the process that works in it. It is an flock: a kill gives it back."""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from finetune.mistakes import BadInput


@contextmanager
def held(folders: Sequence[Path]) -> Iterator[None]:
    """Hold folders against other runs; those that are not there are made, and go again where nothing came to lie.

    BadInput: another run is at work in one of them, and who; OSError: it cannot be made or written.
    """
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(_held(folder))
        yield


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    lock = None
    try:
        lock = _take(path)
        yield
    finally:
        if lock is not None:
            path.unlink(missing_ok=True)
            lock.close()
        with suppress(OSError):  # something lies in it
            for each in made:
                each.rmdir()


def _take(path: Path) -> TextIO:
    """The locked file, with a note of who we are. A disk without flock holds nothing, so nothing is refused there."""
    while True:
        lock = path.open("a+", encoding="utf-8")
        try:
            import fcntl  # of Unix only

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            who = lock.read().strip() or "just begun"
            lock.close()
            raise BadInput(
                f"{path.parent}: another run is at work here ({who}); wait for it, or give another --out"
            ) from None
        except (ImportError, OSError):
            return lock
        if _same(path, lock):
            break
        lock.close()  # whoever held it has just ended, and taken the file away
    lock.truncate(0)
    lock.write(f"pid {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
    lock.flush()
    return lock


def _same(path: Path, lock: TextIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(lock.fileno()))
    except FileNotFoundError:
        return False
