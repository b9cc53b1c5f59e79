"""Tuning beside transformers' Trainer, TRL's SFTTrainer and LLaMA-Factory: useful tokens per CPU second, memory."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import material, peers

ROOT = Path(__file__).parents[2]
ROWS = 16
LIMIT = 900  # seconds of wall clock that one run of one side may take
TRAILS = 0.9
Sides = dict[str, tuple[str, ...]]  # name -> interpreter, module here, arguments after the material's folder
Found = dict[str, list[dict]]


def same_dtype(dtype: str, rounds: int) -> list[dict]:
    """Every side on the same rows in the same dtype. What peers turn on by themselves is off: TRL's checkpointing and,
    in float32, its autocast; LLaMA-Factory's checkpointing. In bfloat16 all have autocast, which makes them faster.

    Ways that lost when all were tried are left out: TRL's packing, which puts a batch into one row and pays its square,
    and LLaMA-Factory without packing."""
    hugging, factory = peers.hugging(), peers.factory()
    mixed = ("autocast",) if dtype == "bfloat16" else ()
    sides: Sides = {
        "ours": (sys.executable, "ours", dtype),
        "Trainer, padding": (hugging, "peer_trainer", dtype, "random", *mixed),
        "Trainer, length groups": (hugging, "peer_trainer", dtype, "group_by_length", *mixed),
        "TRL, padding": (hugging, "peer_trl", dtype, "padding", "same", *mixed),
        "LLaMA-Factory, packing": (factory, "peer_factory", dtype, "packing", "same"),
    }
    found, mark = _turns(sides, rounds), "" if dtype == "float32" else f".{dtype}"
    return [
        _speed(f"train.same_dtype{mark}.vs_trainer", found, "Trainer"),
        _speed(f"train.same_dtype{mark}.vs_trl", found, "TRL"),
        _speed(f"train.same_dtype{mark}.vs_llama_factory", found, "LLaMA-Factory"),
        _memory(f"train.same_dtype{mark}.memory", found, "Trainer"),
    ]


def defaults(rounds: int) -> list[dict]:
    """What each side does when nobody says how, on a checkpoint stored in float32."""
    hugging, factory = peers.hugging(), peers.factory()
    sides: Sides = {
        "ours": (sys.executable, "ours", "auto"),
        "Trainer": (hugging, "peer_trainer", "auto", "random"),
        "TRL": (hugging, "peer_trl", "auto", "padding", "defaults"),
        "LLaMA-Factory": (factory, "peer_factory", "auto", "padding", "defaults"),
    }
    found = _turns(sides, rounds)
    return [
        _speed("train.defaults.vs_trainer", found, "Trainer"),
        _speed("train.defaults.vs_trl", found, "TRL"),
        _speed("train.defaults.vs_llama_factory", found, "LLaMA-Factory"),
        _memory("train.defaults.memory", found, "Trainer"),
    ]


def _turns(sides: Sides, rounds: int) -> Found:
    """Each side in turn, so many times; what each run printed. A way of a peer that trails its best by more than TRAILS
    in the first turn is left out of the others: it would not be the one compared with."""
    found: Found = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as scratch:
        material.write(Path(scratch), ROWS)
        for turn in range(rounds):
            asked = _contending(found) if turn else list(sides)
            for place, side in enumerate(asked, start=1):
                one = _run(sides[side], scratch)
                found[side].append(one)
                print(
                    f"turn {turn + 1}/{rounds}, {place}/{len(asked)}, {side}: {_pace(one):.0f} tokens per CPU second, "
                    f"{one['peak'] / 2**30:.2f} GiB, loss {one['losses'][0]:.3f} -> {one['losses'][-1]:.3f}",
                    flush=True,
                )
    return found


def _contending(found: Found) -> list[str]:
    """The sides near the best of their peer (its name is what stands before the comma) in the first turn."""
    best: dict[str, float] = {}
    for side, (first, *_) in found.items():
        peer = side.partition(",")[0]
        best[peer] = max(best.get(peer, 0.0), _pace(first))
    return [side for side, (first, *_) in found.items() if _pace(first) >= TRAILS * best[side.partition(",")[0]]]


def _pace(run: dict) -> float:
    return run["tokens"] / run["seconds"]


def _run(words: tuple[str, ...], folder: str) -> dict:
    """One side in a process of its own; its last line is what it found."""
    python, module, *more = words
    line = [python, "-m", f"tests.benchmarks.{module}", folder, *more]
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(line, env=os.environ | quiet, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{' '.join(line)} took over {LIMIT // 60} minutes; try on a less busy machine") from None
    if done.returncode:
        raise SystemExit(f"{' '.join(line)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _speed(name: str, found: Found, peer: str) -> dict:
    """Useful tokens per CPU second: ours over the fastest of the peer's ways."""
    medians = {side: statistics.median(map(_pace, runs)) for side, runs in found.items()}
    often = [side for side, runs in found.items() if side.startswith(peer) and len(runs) == len(found["ours"])]
    best = max(often, key=medians.__getitem__)
    return _row(name, medians["ours"], medians[best], best, "useful tokens per CPU second", found)


def _memory(name: str, found: Found, peer: str) -> dict:
    """Peak resident memory of the process, interpreter and libraries included: ours over the peer's leanest."""
    medians = {side: statistics.median(run["peak"] / 2**30 for run in runs) for side, runs in found.items()}
    best = min((side for side in medians if side.startswith(peer)), key=medians.__getitem__)
    return _row(name, medians["ours"], medians[best], best, "GiB at the peak (lower is better)", found)


def _row(name: str, ours: float, peer: float, beside: str, unit: str, found: Found) -> dict:
    return {
        "id": name, "ours": round(ours, 3), "peer": round(peer, 3), "ratio": round(ours / peer, 2), "unit": unit,
        "beside": beside, "runs": len(found["ours"]),
    }  # fmt: skip
