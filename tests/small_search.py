"""Lessons whose knobs are searched, for the tests of the search: how they are written, and where their trials lie."""

from __future__ import annotations

import pytest
import yaml
from small_lesson import place, write_lesson

from finetune.run import SeedDir

GRID = {"learning_rate": [0.001, 0.02], "rank": [2, 4]}
TWICE = {"learning_rate": [0.01, 0.02]}
SHORT = {"epochs": 1, "dev": 0.2, "seeds": [17, 18]}


@pytest.fixture
def lesson(tmp_path, tiny):
    """lesson(changes of contenders, **train) -> a recipe whose contenders have been changed."""

    def make(changes=None, folder="it", **train):
        path = write_lesson(tmp_path / folder, tiny("qwen2"), **{**SHORT, **train})
        raw = yaml.safe_load(path.read_text())
        for name, change in (changes or {"lora": searched(**GRID)}).items():
            raw["contenders"][name] = raw["contenders"].get(name, {"model": raw["contenders"]["old"]["model"]}) | change
        path.write_text(yaml.safe_dump(raw, allow_unicode=True))
        return path

    return make


def searched(kind="lora", start=None, knobs=None, **lists):
    found = {"method": {"kind": kind, **(knobs or {}), "search": lists}}
    return found | ({"start": start} if start else {})


def trial(recipe, number, contender="lora"):
    return SeedDir(place(recipe, contender).folder.parent / "search" / f"{number:02d}")


def refused(capsys):
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line
