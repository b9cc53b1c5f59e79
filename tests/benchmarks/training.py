"""Tuning beside transformers' Trainer and TRL's SFTTrainer: useful tokens per CPU second, and peak memory."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import material, peers

HERE = Path(__file__).parent
ROWS = 32
Words = list[str]
Found = dict[str, list[dict]]


def same_dtype(dtype: str, rounds: int) -> list[dict]:
    """Both sides on the same rows in the same dtype; TRL without the autocast and checkpointing that it turns on."""
    hugging = str(peers.hugging())
    sides = {
        "ours": [sys.executable, "-m", "tests.benchmarks.ours", dtype],
        "Trainer, padding": [hugging, "peer_trainer.py", dtype, "random"],
        "Trainer, length groups": [hugging, "peer_trainer.py", dtype, "group_by_length"],
        "TRL, padding": [hugging, "peer_trl.py", dtype, "padding", "same"],
        "TRL, packing": [hugging, "peer_trl.py", dtype, "packing", "same"],
    }
    found, mark = _turns(sides, rounds), "" if dtype == "float32" else f".{dtype}"
    return [
        _speed(f"train.same_dtype{mark}.vs_trainer", found, "Trainer"),
        _speed(f"train.same_dtype{mark}.vs_trl", found, "TRL"),
        _memory(f"train.same_dtype{mark}.memory", found, "Trainer"),
    ]


def defaults(rounds: int) -> list[dict]:
    """What each side does when nobody says how, on a checkpoint stored in float32."""
    hugging = str(peers.hugging())
    sides = {
        "ours": [sys.executable, "-m", "tests.benchmarks.ours", "auto"],
        "Trainer": [hugging, "peer_trainer.py", "auto", "random"],
        "TRL": [hugging, "peer_trl.py", "auto", "padding", "defaults"],
    }
    found = _turns(sides, rounds)
    return [
        _speed("train.defaults.vs_trainer", found, "Trainer"),
        _speed("train.defaults.vs_trl", found, "TRL"),
        _memory("train.defaults.memory", found, "Trainer"),
    ]


def _turns(sides: dict[str, Words], rounds: int) -> Found:
    """Each side in turn, so many times; what each run printed."""
    found: Found = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as scratch:
        material.write(Path(scratch), ROWS)
        for turn in range(rounds):
            for side, words in sides.items():
                found[side].append(_run(words, scratch))
                one = found[side][-1]
                print(
                    f"{turn + 1}/{rounds} {side}: {one['tokens'] / one['seconds']:.0f} tokens per CPU second, "
                    f"{one['peak'] / 2**30:.2f} GiB, loss {one['losses'][0]:.3f} -> {one['losses'][-1]:.3f}",
                    flush=True,
                )
    return found


def _run(words: Words, folder: str) -> dict:
    """One side in a process of its own; the material's folder is its first argument."""
    place = next(index for index, word in enumerate(words) if word.endswith(".py") or word.startswith("tests."))
    line = [*words[: place + 1], folder, *words[place + 1 :]]
    if line[1].endswith(".py"):
        line[1] = str(HERE / line[1])
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, env=os.environ | quiet, cwd=HERE.parents[1], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(line)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _speed(name: str, found: Found, peer: str) -> dict:
    """Useful tokens per CPU second: ours over the fastest of the peer's ways."""
    medians = {side: statistics.median(r["tokens"] / r["seconds"] for r in runs) for side, runs in found.items()}
    best = max((side for side in medians if side.startswith(peer)), key=medians.__getitem__)
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
