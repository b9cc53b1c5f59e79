"""A small study for tests of the whole course: a private exam, tuning rows, two taught tiny checkpoints, a recipe.

Four contenders: old, tuned (a LoRA on old, trained here), newer, framed (newer with a prompt frame).
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from conftest import build_checkpoint
from small_exam import EVENTS, HANGS, OPTIONS, TASK, TASK_GEN, environment, model, teach

from finetune.run import RunDir

COMPANIES = ["鼎泰", "海辰", "岭铭", "Northwind", "Fabrikam", "Contoso", "云岫", "Tailspin", "Adatum", "Litware"]
TIMES = {  # what may differ between two runs of the same study: when, for how long, at what cost, from which checkout
    "plan_at", "first_score_at", "kept at", "first score at", "git",
    "seconds_per_query", "cost_per_query", "training_seconds", "training_cost", "scoring_seconds", "bills",
    "predictions",
}  # fmt: skip


def write_study(folder: Path, questions: int = 48, **keys: Any) -> Path:
    """Exam, checkpoints and `study.yaml` in `folder`; `keys` are put over the recipe's. Gives the recipe's path."""
    shutil.copytree(_taught(questions).name, folder, dirs_exist_ok=True)
    return write_recipe(folder / "study.yaml", **keys)


@cache
def _taught(questions: int) -> TemporaryDirectory[str]:
    """Exam and checkpoints, made once in a process for all its studies of so many questions."""
    made = TemporaryDirectory(prefix="small-study-")
    exam = _write_cards(Path(made.name) / "exam", questions)
    old = build_checkpoint(Path(made.name) / "old", "qwen2")
    newer = build_checkpoint(Path(made.name) / "newer", "qwen3", seed=1)
    teach(old, exam, "r1_distill_qwen", steps=25)
    teach(newer, exam, "qwen3", steps=25)
    return made


def write_recipe(path: Path, **keys: Any) -> Path:
    """The study's recipe beside its checkpoints; no prices, so that nothing decided depends on the clock."""
    older = model(path.parent / "old", "r1_distill_qwen")
    newer = model(path.parent / "newer", "qwen3")
    recipe = {
        "question": "Is tuning the older checkpoint worth it, 值得吗?",
        "data": ["exam/own.md#train"],
        "contenders": {
            "old": {"model": older},
            "tuned": {"model": older, "method": {"kind": "lora", "rank": 16, "learning_rate": 0.01}},
            "newer": {"model": newer},
            "framed": {"model": newer, "prompt": {"lang": "en", "role": "An analyst", "instruction": "Choose."}},
        },
        "train": {"epochs": 20, "max_steps": 60, "tokens_per_step": 512, "max_length": 256, "dev": 0, "prove": "here"},
        "exam": {"tasks": ["./exam/own", "./exam/own_gen"], "batch_tokens": 2048},
        "rule": {"challengers": ["tuned"], "incumbent": "newer", "alternatives": ["framed"], "base": "old"},
    }
    path.write_text(yaml.safe_dump(recipe | keys, allow_unicode=True, sort_keys=False), "utf-8")
    return path


def _write_cards(folder: Path, questions: int) -> Path:
    """One card with a training split and an exam split, which share no company; three questions a document."""
    folder.mkdir(parents=True)
    _write_rows(folder / "tune.jsonl", COMPANIES[:5], 60)
    _write_rows(folder / "exam.jsonl", COMPANIES[5:], questions)
    front = {
        "name": "own", "title": "A private exam", "licence": {"name": "proprietary", "commercial": True},
        "languages": ["zh", "en"], "published": False, "shape": "choice", "format": "jsonl",
        "columns": {name: name for name in ("id", "question", "options", "answer", "cluster", "lang")},
        "splits": {"test": ["exam.jsonl"], "train": ["tune.jsonl"]},
    }  # fmt: skip
    (folder / "own.md").write_text(f"---\n{yaml.safe_dump(front)}---\nMade up.\n", "utf-8")
    (folder / "own.yaml").write_text(TASK, "utf-8")
    (folder / "own_gen.yaml").write_text(TASK_GEN, "utf-8")
    return folder


def _write_rows(path: Path, companies: list[str], count: int) -> None:
    lines, drawn = [], random.Random(path.name)
    for number in range(count):
        (event, gold), company = drawn.choice(EVENTS), companies[number % len(companies)]
        asked = {"id": f"q{number}", "lang": "zh" if number % 2 else "en", "cluster": f"c{number // 3}"}
        question = f"{company} {event}, share {number}" + " the stock rose" * (number % 4) + "\n标签?"
        lines.append(asked | {"question": question, "options": OPTIONS, "answer": "ABC"[gold]})
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")


def tuneworth(*words: object, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """The front door in a process of its own, as a person starts it; `more` is added to its environment."""
    line = [sys.executable, "-m", "eval.cli", *map(str, words)]
    env = environment() | more
    return subprocess.run(line, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=HANGS)


def verdict(out: Path, name: str = "study") -> dict[str, Any]:
    return json.loads((out / name / "verdict.json").read_text("utf-8"))


def settled(found: Any) -> Any:
    """A verdict without what two runs of the same study may differ in: times, durations, costs, the checkout."""
    if isinstance(found, dict):
        return {key: settled(value) for key, value in found.items() if key not in TIMES}
    return [settled(each) for each in found] if isinstance(found, list) else found


def begun(quiet: Path, out: Path, *anew: str) -> RunDir:
    """What a run has left that was ended before the contenders `anew` had their turn: plan and the others' folders."""
    old, new = RunDir(quiet / "study"), RunDir(out / "study")
    shutil.copytree(old.folder, new.folder, ignore=shutil.ignore_patterns(*anew, "verdict.*", "report.*", "flips.*"))
    lines = [json.loads(line) for line in old.attempts.read_text("utf-8").splitlines()]
    kept = [json.dumps(line) + "\n" for line in lines if line.get("contender") not in anew]
    new.attempts.write_text("".join(kept), "utf-8")
    return new


def lines_started(text: str) -> list[str]:
    """The engine rooms' lines that a command printed."""
    return re.findall(r"^python -m (?:finetune|eval)\..*$", text, re.MULTILINE)
