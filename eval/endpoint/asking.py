"""Asking: many requests under way at a time, answers handed on as they come."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def ask_all(
    items: Sequence[Item], ask: Callable[[Item], Answer], threads: int, stop: threading.Event
) -> Iterator[tuple[Item, Answer]]:
    """Each item with its answer, in the order of the answers.

    What fails ends all: nothing new begins, what is under way is still handed on (it is paid for), then the first fault
    is raised. The threads are daemons, so that an interrupt need not wait for a server.
    """
    todo = deque(items)
    done: queue.SimpleQueue[tuple[Item, Answer] | BaseException | None] = queue.SimpleQueue()
    working, first = min(threads, len(items)), None
    for _ in range(working):
        threading.Thread(target=_work, args=(todo, ask, done, stop), daemon=True).start()
    try:
        while working:
            got = done.get()
            if got is None:
                working -= 1
            elif isinstance(got, BaseException):
                first = first or got
            else:
                yield got
    finally:
        stop.set()
    if first is not None:
        raise first


def _work(
    todo: deque[Item], ask: Callable[[Item], Answer],
    done: queue.SimpleQueue[tuple[Item, Answer] | BaseException | None], stop: threading.Event,
) -> None:  # fmt: skip
    """One thread: item after item until none is left, one failed, or all are to stop. Its last word is None."""
    try:
        while todo and not stop.is_set():
            item = todo.popleft()
            done.put((item, ask(item)))
    except IndexError:  # another thread took the last one
        pass
    except BaseException as fault:  # carried over to whoever waits
        stop.set()
        done.put(fault)
    finally:
        done.put(None)
