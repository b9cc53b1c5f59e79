"""Answers of a model that loops, and the limit under which each is read; how the time grows, `reading.growth` measures.

An answer is read in a process of its own, which the system ends after PATIENCE processor seconds. At SIZE characters a
reading that grows with the length takes some 4 of them at most; one that tries all parts of a loop never ends.
"""

import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from eval.extract import grade

SIZE = 200_000  # characters
PATIENCE = 100  # processor seconds, some twenty times what the slowest reading takes
ROOT = Path(__file__).parents[1]
CHOICE = ("letter", "number", "yes_no", "tags", "keypoints")


@dataclass(frozen=True, slots=True)
class Loop:
    """A piece that an answer says again and again, between a head and a tail, and what it is read for."""

    piece: str
    kinds: tuple[str, ...] = CHOICE
    head: str = ""
    tail: str = ""
    gold: str = "1"
    options: tuple[str, ...] = ("利好", "利空")

    def text(self, size: int) -> str:
        return self.head + self.piece * (size // len(self.piece)) + self.tail

    def __str__(self) -> str:
        return ascii(self.head + self.piece + "..." + self.tail)


GARBAGE = [
    Loop(piece)
    for piece in (
        "A, ", "A. x\n", "(", " ", "1,", "-1 ", "不", "答案是", "the answer is ", "\\boxed{", "<answer>", "so ",
        "| 12 ", "A或B ", "一二三", '" ',
    )
]  # fmt: skip
# What matches again and again and fails at its end: ABAB...a was once tried in all its parts.
LETTERS = [
    Loop("\n", ("letter",), "A", "正确"),
    Loop(" \t", ("letter",), "A", "正确"),
    Loop("AB", ("letter",), "", "a"),
    Loop("A B ", ("letter",), "", "Aa"),
    Loop(", ", ("letter",), "(A", "B"),
    Loop("和", ("letter",), "A项", "a"),
]
# Read further where a set, or a number below zero, is asked for.
ASKED = [
    *(
        Loop(piece, ("letter",), gold="AB", options=tuple("wxyz"))
        for piece in ("A/", "除A外都", "all the ", "A is wrong; the rest ")
    ),
    *(Loop(piece, ("number",), gold="-1") for piece in ("下降1 ", "decrease in x ", "fell from 1 to ", "½")),
]


def read(loop: Loop, size: int = SIZE) -> None:
    """Read the loop for each of its kinds; one ended for its time fails by its signal and the last kind printed."""
    line = [sys.executable, "-c", "import sys; sys.path.insert(0, 'tests'); from looping import main; main()"]
    job = json.dumps({"text": loop.text(size), "kinds": loop.kinds, "gold": loop.gold, "options": loop.options})
    done = subprocess.run(line, input=job, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, f"{loop}: {done.returncode} {done.stdout} {done.stderr[-2000:]}"


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
    job = json.load(sys.stdin)
    for kind in job["kinds"]:
        print(kind, flush=True)
        grade(kind, job["text"], job["gold"], tuple(job["options"]))
