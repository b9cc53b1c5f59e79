"""Three who write answers, and the judge whom their recipe may ask, for the tests of opinions."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from small_exam import model, write_adapter, write_recipe

from finetune.recipe import Recipe

DRAWN = {"decoding": {"temperature": 1.2, "max_new_tokens": 6}}


def write_rivals(folder: Path, exam: Path, old: Path, newer: Path) -> Path:
    """`old`, `brought` (an adapter on it) and `newer` write one answer a question; gives the recipe's path."""
    path = write_recipe(
        folder / "r.yaml", exam, model(old, "r1_distill_qwen", **DRAWN), model(newer, "qwen3", **DRAWN),
        write_adapter(folder / "adapter", old, spread=0.05), tasks=[f"{exam}/own_gen"], samples=1,
    )  # fmt: skip
    raw = yaml.safe_load(path.read_text("utf-8"))
    raw["contenders"] = {name: raw["contenders"][name] for name in ("old", "brought", "newer")}
    raw["rule"]["challengers"], raw["data"] = ["brought"], []
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), "utf-8")
    return path


def with_judge(
    path: Path, url: str, /, labels: str | None = None, revision: str = "r1", family: str = "stranger",
    tasks: tuple[str, ...] = ("own_gen",), **keys,
) -> Recipe:  # fmt: skip
    """The recipe with a judge at `url`; `keys` are put over those of its engine."""
    engine = {"kind": "openai", "url": url, "model": "judge", "retries": 3, "timeout_s": 30} | keys
    asked = {"tasks": list(tasks), "engine": engine, "revision": revision, "family": family, "labels": labels}
    return Recipe.read(path, (f"exam.judge={json.dumps(asked)}",))
