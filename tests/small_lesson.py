"""A small lesson for the tests of training: rows to learn, a data card, a recipe with a contender for each method."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from small_exam import HANGS, ROOT

from finetune.run import RunDir, RunManifest, SeedDir, TrainFacts

LAUNCH = ROOT / "recipes" / "launch"
METHODS = {
    "lora": {"kind": "lora", "rank": 4, "learning_rate": 0.02},
    "prefix": {"kind": "ptuning_v2", "virtual_tokens": 4, "learning_rate": 0.05},
    "full": {"kind": "full", "learning_rate": 0.003},
    "reencoded": {"kind": "ptuning_v2", "virtual_tokens": 4, "reencoder": 32, "learning_rate": 0.01},
    "prompt": {
        "kind": "ptuning_v1", "virtual_tokens": 8, "encoder": "lstm", "encoder_hidden": 24, "learning_rate": 0.01,
    },
}  # fmt: skip
PROSE = "Shares rose as profit jumped, sales surged and the stock sold out. 公司净利润大增，股价上涨。"


def rows(count: int) -> list[dict[str, str]]:
    """Short questions in both languages, of uneven length; the answer follows from the number."""
    asked = ("Is {n} even?", "{n} 是偶数吗？")
    told = (("no", "yes"), ("不是", "是"))
    return [
        {"prompt": PROSE[: n * 7 % 60] + asked[n % 2].format(n=n * 3), "completion": told[n % 2][n * 3 % 2 == 0]}
        for n in range(count)
    ]


def write_lesson(folder: Path, checkpoint: Path, lesson: list[dict[str, str]] | None = None, **train: Any) -> Path:
    """Rows, card and `lesson.yaml` in `folder`; `train` are keys of the recipe's train section. Gives its path."""
    write_card(folder / "rows.md", lesson or rows(48))
    model = {"id": str(checkpoint), "family": "r1_distill_qwen", "think": "drop", "dtype": "float32"}
    tuned = {name: {"model": model, "method": knobs} for name, knobs in METHODS.items()}
    recipe = {
        "question": "Does training work?",
        "data": ["rows.md"],
        "contenders": {"old": {"model": model}, **tuned},
        "train": {
            "epochs": 2,
            "tokens_per_step": 400,
            "max_length": 128,
            "save_every": 2,
            "evaluations": 2,
            "prove": "here",
            **train,
        },
        "exam": {"tasks": ["./none"]},
        "rule": {"challengers": ["lora"], "incumbent": "old", "base": "old"},
    }
    path = folder / "lesson.yaml"
    path.write_text(yaml.safe_dump(recipe, allow_unicode=True), "utf-8")
    return path


def write_card(path: Path, lesson: list[dict[str, str]], **front: Any) -> Path:
    """A prompt/completion card beside its JSONL file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = path.with_suffix(".jsonl")
    data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lesson), "utf-8")
    head = {
        "name": path.stem, "title": "Lesson", "licence": {"name": "CC0-1.0", "commercial": True},
        "languages": ["zh", "en"], "published": False, "shape": "prompt_completion", "format": "jsonl",
        "splits": {"train": [data.name]}, **front,
    }  # fmt: skip
    path.write_text(f"---\n{yaml.safe_dump(head, allow_unicode=True)}---\nMade up.\n", "utf-8")
    return path


def place(recipe: Path, contender: str = "lora", seed: int = 17) -> SeedDir:
    """Where a contender's files lie: runs go to `runs` beside the recipe."""
    return RunDir(recipe.parent / "runs" / recipe.stem).seed(contender, seed)


def words(recipe: Path, contender: str = "lora", *more: str) -> list[str]:
    """Arguments of `python -m finetune.train`."""
    return [str(recipe), "--contender", contender, "--out", str(recipe.parent / "runs"), *more]


def start(arguments: list[str], *, processes: int = 1, code: str = "", **keys: Any) -> subprocess.Popen[str]:
    """The entry point in a process of its own (or several, by torchrun); `code` runs before it, to break things."""
    begin = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"] if processes > 1 else []
    body = [*begin, "-m", "finetune.train"]
    if code:
        recipe = Path(arguments[0])
        script = recipe.parent / "broken.py"
        script.write_text(f"import sys\nfrom finetune.train.__main__ import main\n{code}\nsys.exit(main())\n")
        body = [*begin, str(script)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": Path(arguments[0]).parent}
    return subprocess.Popen([sys.executable, *body, *arguments], env=environment, **{**pipes, **keys})


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """(exit status, standard output, standard error)"""
    out, err = process.communicate(timeout=HANGS)
    return process.returncode, out, err


def refused(capsys: Any) -> str:
    """The one line on standard error."""
    lines: list[str] = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("tuneworth: ")
    return lines[0]


def facts(recipe: Path, contender: str = "lora", seed: int = 17) -> TrainFacts:
    return manifest(recipe, contender, seed).training  # type: ignore[return-value]


def manifest(recipe: Path, contender: str = "lora", seed: int = 17) -> RunManifest:
    found = place(recipe, contender, seed).trained()
    assert found is not None, "train.json is not there"
    assert found.training is not None
    return found
