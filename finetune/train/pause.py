"""Why a run ends before it is done, with everything saved: a signal, or the end of the hours of `train.window`."""

from __future__ import annotations

import signal
from datetime import UTC, datetime

from finetune.recipe import Window

PAUSED = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, and a later start goes on


class Stopped(Exception):  # noqa: N818 (asked for, not a fault)
    """The run was asked to end; everything is saved. `status` is the exit status."""

    def __init__(self, text: str, status: int, opens: datetime | None = None) -> None:
        """`opens`: when it may go on; None: at once."""
        super().__init__(text)
        self.status, self.opens = status, opens


def now() -> datetime:
    """The one clock by which a window opens and closes."""
    return datetime.now(UTC)


def closed(window: Window | None) -> bool:
    return window is not None and not window.open(now())


def by_signal(number: int, step: int) -> Stopped:
    text = f"{signal.Signals(number).name} after step {step}, which is saved; start again to go on"
    return Stopped(text, 128 + number)  # as a shell says it


def by_window(window: Window, step: int | None = None) -> Stopped:
    """Closed after a step, or before the start (`step` is None)."""
    opens = window.next(now())
    when = f"{opens:%Y-%m-%d %H:%M %Z}"
    if step is None:
        return Stopped(f"paused: outside of train.window ({window}); it opens {when}, start again then", PAUSED, opens)
    text = f"paused after step {step}, which is saved: train.window ({window}) opens {when}, start then"
    return Stopped(text, PAUSED, opens)
