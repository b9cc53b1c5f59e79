"""The watchdog of several processes: when nothing moves any more, it says who is where and ends the run.

Every process notes what it is at; a thread of its own writes that to `phases/<rank>.json` in the run's folder, which
all processes share anyway (checkpoints lie there). Not to torch's store: what serves the store may be what hangs.
A process that is stopped or dead, or whose machine is, writes no more, and is told from those that wait for it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from finetune.files import write_whole

HUNG = 1  # exit status
BEAT = 5.0  # seconds between two writes: by so much the phase of a process that is gone may be late
SHOWN = 8  # processes named


@dataclass(frozen=True)
class Sighting:
    """One process as the others see it."""

    rank: int
    phase: str  # what it is at
    host: str
    waits: bool  # for the others
    idle: float  # seconds since it last moved on
    silent: float  # seconds since its thread last wrote

    def __str__(self) -> str:
        here = f"process {self.rank} on {self.host}"
        if self.silent > self.idle / 2:
            return f"{here} was last heard of {_span(self.silent)} ago in {self.phase}"
        return f"{here} {'waits for the others' if self.waits else 'is'} in {self.phase}"


class Watch:
    """Around all that the processes of a run do together: `with Watch(...) as watch`, then `watch.note(...)`.

    Nothing is written or watched where there is one process. A disk that fills up is for the run itself to report.
    """

    def __init__(self, folder: Path, rank: int, size: int, minutes: float) -> None:
        self.folder, self.rank, self.size, self.limit = folder, rank, size, minutes * 60
        self.beat = min(BEAT, self.limit / 20)
        self.over, self.thread = threading.Event(), threading.Thread(target=self._stand, daemon=True)
        self.first = 0.0  # when this process first wrote, by the file system's clock
        self.note("the start")

    def note(self, phase: str, waits: bool = False) -> None:
        """This process has moved on and is now at `phase`; `waits`: until all the others come there."""
        self.now = (phase, waits, time.monotonic())

    def __enter__(self) -> Watch:
        if self.size > 1:
            self._write()
            self.first = self._path(self.rank).stat().st_mtime
            self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.size == 1:
            return
        self.over.set()
        self.thread.join()
        self._path(self.rank).unlink(missing_ok=True)
        try:
            self.folder.rmdir()
        except OSError:
            return  # another process still writes there

    def _stand(self) -> None:
        """Write, look, and end the run when no process has moved for the limit."""
        while not self.over.wait(self.beat):
            try:
                self._write()
                seen = self.look() if time.monotonic() - self.now[2] >= self.limit else []
            except OSError:
                continue
            if seen and min(each.idle for each in seen) >= self.limit:
                self._end(seen)

    def look(self) -> list[Sighting]:
        """All processes, by age of their files: the clock is the file system's, so machines may disagree."""
        now = self._path(self.rank).stat().st_mtime
        return [self._sighting(rank, now) for rank in range(self.size)]

    def _sighting(self, rank: int, now: float) -> Sighting:
        try:
            path = self._path(rank)
            wrote, told = path.stat().st_mtime, json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            wrote, told = 0.0, {}
        if wrote < self.first:  # not there, or left by a start before this one
            return Sighting(rank, "no known phase", "an unknown machine", False, now - self.first, now - self.first)
        silent = max(0.0, now - wrote)
        return Sighting(rank, told["phase"], told["host"], told["waits"], silent + told["idle"], silent)

    def _end(self, seen: list[Sighting]) -> None:
        """One line by the first process that can still speak, then the end of this one: a collective cannot be left."""
        heard = [each.rank for each in seen if each.silent < self.limit / 2]
        if self.rank == min(heard, default=self.rank):
            print(f"tuneworth: {story(seen, self.limit)}", file=sys.stderr, flush=True)
        else:
            time.sleep(self.beat)  # who ends first breaks the others off in the middle of the line
        sys.stdout.flush()
        os._exit(HUNG)

    def _write(self) -> None:
        phase, waits, since = self.now
        told = {"phase": phase, "waits": waits, "idle": time.monotonic() - since, "host": socket.gethostname()}
        write_whole(self._path(self.rank), json.dumps(told))

    def _path(self, rank: int) -> Path:
        return self.folder / f"{rank}.json"


def story(seen: list[Sighting], limit: float) -> str:
    """Who hangs, those first that the others wait for."""
    order = sorted(seen, key=lambda each: (-round(each.silent / limit), each.waits, each.rank))
    named = "; ".join(map(str, order[:SHOWN])) + (f"; and {len(order) - SHOWN} more" if len(order) > SHOWN else "")
    return (
        f"no process has moved for {_span(limit)} (train.hang_minutes): {named}. The run is ended, its last "
        f"checkpoint is kept; look at the first one named, and start again to go on"
    )


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
