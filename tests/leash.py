"""A process on a leash: it runs no further ahead of whoever reads its lines than by one.

Its standard output is a pipe of packets with room for one, and a blank line lies in it from the start. So it stands at
its first line until somebody reads; behind the last line that was read it writes one more, and stands at the next.
What is done to it at a line, a kill or a signal, comes in time on any machine. Linux has such pipes.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable
from typing import Any


def started(begin: Callable[..., subprocess.Popen[str]], *words: Any, **keys: Any) -> subprocess.Popen[str]:
    """What `begin` starts, its lines to be read from `stdout`."""
    try:
        ours, theirs = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)
    except OSError:  # a kernel that knows no packets: ahead by as much as a page holds
        ours, theirs = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 1)  # a page, the least there is
    os.write(theirs, b"\n")
    running = begin(*words, stdout=theirs, **keys)
    os.close(theirs)
    running.stdout = open(ours, encoding="utf-8")  # noqa: SIM115 (closed with the process's other files)
    return running
