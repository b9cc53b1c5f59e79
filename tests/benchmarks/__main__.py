"""Speed and memory beside peers in one run: `make benchmarks`, or `python -m tests.benchmarks [race ...] [--rounds N]`.

Every side runs in a process of its own on one thread, all take turns, and medians are compared: by CPU seconds, since
absolute times mean nothing on a shared machine. Rows go to latest.json here: {id, ours, peer, ratio, unit, runs}.
Accelerators have a command of their own: tests/benchmarks/device.py.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import auditing, judging, scoring, training

RACES: dict[str, Callable[[int], list[dict]]] = {
    "score.choice": scoring.choices,
    "score.generate": scoring.answers,
    "train.float32": lambda rounds: training.same_dtype("float32", rounds),
    "train.bfloat16": lambda rounds: training.same_dtype("bfloat16", rounds),
    "train.defaults": training.defaults,
    "data.check": auditing.check_rows,
    "judge.scale": judging.at_scale,
}
ABOUT = (
    "Speed and memory beside peers. All races with three runs a side take about 40 minutes where a processor is free "
    "(12 for each race of training, 2 for scoring), and some more the first time, when the peers are installed; no "
    "single run may take more than 15."
)
PLACE = Path(__file__).parent / "latest.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=ABOUT)
    parser.add_argument("race", nargs="*", help=f"one of {', '.join(RACES)}; all without it")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side; more steadies the median")
    asked = parser.parse_args()
    if unknown := set(asked.race) - set(RACES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(RACES)}")
    found = []
    chosen = asked.race or list(RACES)
    for place, name in enumerate(chosen, start=1):
        print(f"race {place} of {len(chosen)}: {name}", flush=True)
        found += RACES[name](asked.rounds)
        PLACE.write_text(json.dumps(found, indent=1) + "\n")
    for row in found:
        print(f"{row['id']:34} {row['ratio']:>6} x   {row['unit']}, beside {row['beside']}, median of {row['runs']}")


if __name__ == "__main__":
    main()
