"""How many tokens go through the model at once: batches of like length, halved where they find no room."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch

from finetune.mistakes import BadInput
from finetune.plan import Shape

Found = TypeVar("Found")
NEAR = 0.75  # shortest row of a batch over its longest: at most a quarter of a forward is padding
LEAST = 32  # tokens: below it nothing is saved that would make room
SAID = ("not enough memory", "can't allocate memory", "out of memory")  # by torch's allocators, as a RuntimeError


@dataclass
class Budget:
    """Tokens in one forward, which is what its memory grows with. It only falls, for the rest of a sitting."""

    tokens: int

    def halve(self) -> None:
        """Go on with half. BadInput: so little is left that no halving helps."""
        if self.tokens // 2 < LEAST:
            raise BadInput(
                f"exam.batch_tokens: out of memory at {self.tokens} tokens in one forward; free memory or take a "
                f"device that has more, or dtype nf4 for the model"
            )
        self.tokens //= 2
        gc.collect()
        if torch.accelerator.is_available():
            torch.accelerator.memory.empty_cache()
        print(f"out of memory: going on with {self.tokens} tokens in one forward", file=sys.stderr, flush=True)

    def within(self, work: Callable[[], Found]) -> Found | None:
        """What `work` gives; None where it ran out of memory, with the budget halved."""
        try:
            return work()
        except (MemoryError, RuntimeError) as fault:
            if not out_of_memory(fault):
                raise
        self.halve()  # out here, where the fault no longer holds the tensors of its frames
        return None

    def batches(
        self, lengths: Sequence[int], most: int | None, work: Callable[[list[int]], Found]
    ) -> Iterator[tuple[list[int], Found]]:
        """(indices, what `work` gives for them) batch by batch, longest first; at most `most` tokens in each too."""
        waiting, done = list(range(len(lengths))), set[int]()
        while waiting:
            tokens = min(self.tokens, most or self.tokens)
            for batch in batches([lengths[place] for place in waiting], tokens):
                chosen = [waiting[place] for place in batch]
                found = self.within(partial(work, chosen))
                if found is None:
                    break
                yield chosen, found
                done.update(chosen)
            waiting = [place for place in waiting if place not in done]


def held(config: Any) -> float:
    """Tokens of written rows for each token of the budget: their keys and values are smaller than what a forward makes
    of a token, and how much so depends on the model's shape alone. 1 for a shape that is not known."""
    try:
        return Shape.of(config.to_dict()).held
    except (KeyError, ValueError):
        return 1.0


def out_of_memory(fault: BaseException) -> bool:
    """Whether an error says that there was no room, of whatever device or allocator."""
    known = isinstance(fault, MemoryError | torch.OutOfMemoryError)
    return known or (isinstance(fault, RuntimeError) and any(said in str(fault) for said in SAID))


def batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices in batches of like length, longest first: rows times the longest stay within `budget` tokens, or it is a
    single row."""
    found: list[list[int]] = []
    width = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if found and (len(found[-1]) + 1) * width <= budget and lengths[index] >= NEAR * width:
            found[-1].append(index)
        else:
            found.append([index])
            width = lengths[index]
    return found
