"""A served contender and its recipe: an exam of 12 questions, `api` asked at a server, the rest here; what tests of
endpoints are made of."""

from __future__ import annotations

from pathlib import Path

import yaml
from small_exam import model, write_exam

from eval import items
from eval.score import __main__ as score
from finetune.run import RunDir

KEY = "sk-test-0123456789abcdefghij"
GREEDY = {"temperature": 0.0, "max_new_tokens": 64}
SAMPLED = {"temperature": 0.7, "max_new_tokens": 64}


def write_study(
    folder: Path, checkpoint: Path, url: str, engine: dict | None = None, asked: dict | None = None,
    tasks: tuple[str, ...] = ("own_gen",), **keys,
) -> Path:  # fmt: skip
    """Path of the recipe; `engine` and `asked` are put over the engine's and the model's keys, `keys` over all."""
    exam, old = folder / "exam", model(checkpoint, "r1_distill_qwen")
    if not exam.exists():
        write_exam(exam, count=12)
    served = {"id": "some/served", "family": "served", "think": "drop", "decoding": SAMPLED} | (asked or {})
    engine = {"kind": "openai", "url": url, "model": "m", "retries": 3, "timeout_s": 30} | (engine or {})
    recipe = {
        "question": "Is it worth it?",
        "data": [f"{exam}/own.md#test"],
        "contenders": {
            "old": {"model": old},
            "tuned": {"model": old, "method": {"kind": "lora"}},
            "api": {"model": served, "engine": engine},
        },
        "exam": {"tasks": [f"{exam}/{task}" for task in tasks], "samples": 2},
        "rule": {"challengers": ["tuned"], "incumbent": "api", "base": "old"},
    } | keys
    path = folder / "r.yaml"
    path.write_text(yaml.safe_dump(recipe, allow_unicode=True), "utf-8")
    return path


def sit(recipe, out) -> int:
    return score.main([str(recipe), "--contender", "api", "--out", str(out)])


def told(capsys) -> str:
    """The one line of a refusal; before it may stand bars of a library that was imported for another test."""
    found = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tuneworth")]
    assert len(found) == 1
    return found[0]


def rows(out):
    return items.read(out / "r/api/seed-0/items.jsonl")


def facts(out):
    return RunDir(out / "r").seed("api", 0).scored()
