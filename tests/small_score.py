"""A recipe on tiny checkpoints and what the scoring engine makes of it, for the tests of scoring and refusing."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import build_checkpoint
from small_exam import model, teach, write_adapter, write_exam, write_recipe

from eval import items
from eval.score import __main__ as score
from finetune.run import RunManifest

SAMPLED = {"temperature": 0.8, "top_p": 0.95, "max_new_tokens": 8}


class Study:
    """A recipe on disk, and what the engine makes of it."""

    def __init__(self, folder: Path, exam: Path, old: Path, newer: Path, adapter: Path | None) -> None:
        self.folder, self.exam, self.old, self.newer, self.adapter = folder, exam, old, newer, adapter
        self.out = folder / "runs"
        self.write()

    def write(self, old: dict | None = None, **exam_keys) -> None:
        older = {"decoding": SAMPLED} | (old or {})
        self.recipe = write_recipe(
            self.folder / "r.yaml", self.exam, model(self.old, "r1_distill_qwen", **older), model(self.newer, "qwen3"),
            self.adapter, **exam_keys,
        )  # fmt: skip

    def score(self, contender: str, *more: str) -> int:
        return score.main([str(self.recipe), "--contender", contender, "--out", str(self.out), *more])

    def place(self, contender: str) -> Path:
        return self.out / "r" / contender / "seed-0"

    def rows(self, contender: str) -> list[items.ItemScore]:
        return items.read(self.place(contender) / "items.jsonl")

    def manifest(self, contender: str) -> RunManifest:
        found = RunManifest.read(self.place(contender) / "score.json")
        assert found is not None
        return found


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Exam, two checkpoints (the older one taught to answer), and an adapter; read only."""
    folder = tmp_path_factory.mktemp("parts")
    exam = write_exam(folder / "exam")
    old = teach(build_checkpoint(folder / "old", "qwen2"), exam, "r1_distill_qwen")
    newer = build_checkpoint(folder / "newer", "qwen3")
    return {"exam": exam, "old": old, "newer": newer, "adapter": write_adapter(folder / "adapter", old)}


@pytest.fixture
def study(tmp_path, parts):
    return Study(tmp_path, **parts)
