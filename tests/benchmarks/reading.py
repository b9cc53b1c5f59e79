"""Reading answers that loop: whether processor seconds grow with their length or with its square; beside no peer."""

import sys
import time
from pathlib import Path

from eval.extract import grade

sys.path.insert(0, str(Path(__file__).parents[1]))
from looping import ASKED, GARBAGE, LETTERS, Loop

SHORT, TIMES = 12_500, 8


def growth(rounds: int) -> list[dict]:
    """Per character, what a text eight times as long costs against a short one: 1 is linear, 8 is the square.

    Of all loops and kinds the worst is the row. The two lengths take turns, and the least of each counts: what else
    runs on a machine only adds.
    """
    worst, which = 0.0, ""
    for loop in [*GARBAGE, *LETTERS, *ASKED]:
        for kind in loop.kinds:
            found = _growth(loop, kind, rounds)
            if found > worst:
                worst, which = found, f"{loop} read as {kind}"
    return [{
        "id": "reading.growth", "ours": round(worst, 2), "peer": 1.0, "ratio": round(1 / worst, 2),
        "unit": "cost per character, short text over long", "beside": f"a linear one; worst: {which}",
        "runs": rounds,
    }]  # fmt: skip


def _growth(loop: Loop, kind: str, rounds: int) -> float:
    short, long = loop.text(SHORT), loop.text(SHORT * TIMES)
    took = [(_seconds(loop, kind, short), _seconds(loop, kind, long)) for _ in range(rounds)]
    return min(one for _, one in took) / min(one for one, _ in took) / TIMES


def _seconds(loop: Loop, kind: str, text: str) -> float:
    began = time.process_time()
    grade(kind, text, loop.gold, loop.options)
    return time.process_time() - began
