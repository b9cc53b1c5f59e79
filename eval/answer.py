"""An answer as it grows, token by token, whoever writes it: ended by markers and the task's strings, its thought closed
for it where a budget of its own (`decoding.thinking_tokens`) has ended. No torch here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from finetune.chat import CLOSE, FAMILIES, OPEN, Chat


@dataclass(frozen=True)
class Written:
    """What a model wrote: ids without the stop token, what ended it, the row's share of the seconds it took, and how
    many of the ids were handed to it, to close a thought whose budget had ended."""

    ids: tuple[int, ...]
    finish: Literal["stop", "length"]
    seconds: float = field(compare=False)
    given: int = 0


class Answer:
    """One row's output as it grows."""

    def __init__(self, chat: Chat, until: Sequence[str], thinking: int | None = None) -> None:
        self.chat, self.until = chat, [end for end in until if end]
        self.thinking, self.thought, self.given = thinking, 0, 0  # budget of the thought, its tokens, those handed over
        self.owed: list[int] = []
        self.ids: list[int] = []
        self.stopped = False
        # Outside thoughts the answer begins here; None while a thought is open.
        inside = FAMILIES[chat.family].prefill[chat.think].strip() == OPEN
        self.begin: int | None = None if inside else 0
        # A character is at most four byte-level tokens, so this many hold the longest string.
        self.window = 4 * max(map(len, self.until), default=0) + 4

    def put(self, token: int) -> bool:
        """Take the next token, or one that closes a thought of which the budget has ended; False when the answer has
        ended."""
        token = self._closing(token)
        if token in self.chat.stops:
            self.stopped = True
            return False
        self.ids.append(token)
        self.thought += self.begin is None
        if token == self.chat.markers.get(OPEN):
            self.begin = None
        elif token == self.chat.markers.get(CLOSE):
            self.begin = len(self.ids)
        self.stopped = self._reached_until()
        return not self.stopped

    def take(self, drawn: Sequence[int], most: int) -> Literal["on", "closed", "ended"]:
        """Tokens that were drawn elsewhere, up to where the answer ends (at `most` tokens too), or where its thought is
        closed, with all that closes it. What was drawn beyond that was drawn behind another text."""
        for token in drawn:
            going = self.put(token) and len(self.ids) < most
            closed = bool(self.owed)
            while going and self.owed:
                going = self.put(token) and len(self.ids) < most
            if not going or closed:
                return "closed" if going else "ended"
        return "on"

    @property
    def spent(self) -> bool:
        """Whether a thought is open of which the budget has ended."""
        return self.thinking is not None and self.begin is None and self.thought >= self.thinking

    def written(self, seconds: float) -> Written:
        return Written(tuple(self.ids), "stop" if self.stopped else "length", seconds, self.given)

    def _closing(self, token: int) -> int:
        """What stands in place of a drawn token: budget forcing, Muennighoff et al. 2025, arXiv:2501.19393."""
        close = self.chat.markers.get(CLOSE)
        if self.spent and not self.owed and close is not None and token != close:
            self.owed = [*self.chat.encode("\n"), close, *self.chat.encode("\n\n")]
        if not self.owed:
            return token
        self.given += 1
        return self.owed.pop(0)

    def _reached_until(self) -> bool:
        if not self.until or self.begin is None:
            return False
        start = max(self.begin, len(self.ids) - self.window)
        text = self.chat.decode(self.ids[start:])
        if start == self.begin > 0:
            text = text.lstrip("\n")  # the blank lines that follow a thought are no answer
        return any(end in text for end in self.until)
