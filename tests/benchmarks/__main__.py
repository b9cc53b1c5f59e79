"""Speed and memory beside peers in one run: `make benchmarks`, or `python -m tests.benchmarks [race ...] [--rounds N]`.

Both sides of a race have one thread and take turns, and medians are compared: by CPU seconds, since absolute times mean
nothing on a shared machine. Each row goes to latest.json here as soon as it is there, in place of an older one of its
id: {id, ours, peer, ratio, unit, beside, runs, taken}. Accelerators have a command of their own: device.py here.
"""

import argparse
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks import auditing, judging, reading, scoring, training, writing

RACES: dict[str, Callable[[int], Iterable[dict]]] = {
    "score.choice": scoring.choices,
    "score.generate": writing.answers,
    "train.float32": lambda rounds: training.same_dtype("float32", rounds),
    "train.bfloat16": lambda rounds: training.same_dtype("bfloat16", rounds),
    "train.defaults": training.defaults,
    "data.check": auditing.check_rows,
    "judge.scale": judging.at_scale,
    "reading.growth": reading.growth,
}
ABOUT = (
    "Speed and memory beside peers. All races with three runs a side take about an hour where a processor is free "
    "(12 minutes for each race of training, 10 for score.choice, 7 for score.generate), and some more the first time, "
    "when the peers are installed; no single run may take more than 15. A stop loses the row at work, none before it."
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
        for row in RACES[name](asked.rounds):
            keep(row)
            print(_line(row), flush=True)
            found.append(row)
    print("", *map(_line, found), sep="\n")


def keep(row: dict) -> None:
    """Put a row into latest.json, in place of the one of its id; others stay."""
    rows = json.loads(PLACE.read_text("utf-8")) if PLACE.is_file() else []
    rows = [one for one in rows if one["id"] != row["id"]]
    rows.append({**row, "taken": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")})
    fresh = PLACE.with_suffix(".new")
    fresh.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    fresh.replace(PLACE)


def _line(row: dict) -> str:
    return f"{row['id']:34} {row['ratio']:>6} x   {row['unit']}, beside {row['beside']}, median of {row['runs']}"


if __name__ == "__main__":
    main()
