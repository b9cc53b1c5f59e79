"""Python's cyclic garbage collector stands still while large libraries are imported, and leaves them alone later."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

MANY = 100  # modules that came within: a library, and no few lines of ours; what else was there is no garbage yet


@contextmanager
def paused() -> Iterator[None]:
    """Imports within are not collected, and nothing that they made is walked over by later collections.

    torch, transformers and PEFT are 4,000 modules whose objects stay for good. Walking over them again and again, while
    they come and when the process ends, is a quarter of the processor time that a short engine room takes.
    """
    at_work, before = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) - before >= MANY:
            gc.freeze()
        if at_work:
            gc.enable()
