"""Trained lessons and their exports, for the tests of what is handed on, of its card and of what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from small_lesson import words, write_lesson

from finetune.export.__main__ import main
from finetune.train.__main__ import main as train


@pytest.fixture(scope="module")
def lesson(tmp_path_factory, tiny):
    """lesson(arch, *contenders) -> the recipe, with those trained for a few steps."""
    made: dict[str, Path] = {}

    def make(arch: str, *contenders: str) -> Path:
        if arch not in made:
            made[arch] = write_lesson(tmp_path_factory.mktemp(arch), tiny(arch), max_steps=4)
        for name in contenders:
            assert train(words(made[arch], name)) == 0
        return made[arch]

    return make


def export(recipe: Path, contender: str, to: Path, *more: str) -> Path:
    assert main(words(recipe, contender, "--to", str(to), *more)) == 0
    return to


def front(folder: Path) -> dict:
    return yaml.safe_load((folder / "README.md").read_text("utf-8").split("---\n")[1])
