"""A small data card of its own in a folder, its files beside it: what tests of cards are made of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from finetune.card import DataCard

FRONT = {
    "name": "own", "title": "A private exam", "licence": {"name": "private", "commercial": True}, "languages": ["zh"],
    "published": False, "shape": "choice", "format": "csv", "columns": {"options": ["A", "B", "C"]},
    "splits": {"test": ["exam.csv"]},
}  # fmt: skip
EXAM = "question,A,B,C,answer\n利润多少？,一亿,二亿,三亿,B\n收入多少？,四亿,五亿,,A\n"


def alone(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A cache of its own, and no data root."""
    patch.setenv("TUNEWORTH_CACHE", str(folder / "cache"))
    patch.delenv("TUNEWORTH_DATA", raising=False)


def make(folder: Path, files: dict[str, str | bytes], /, **changes) -> DataCard:
    """make(folder, {"exam.csv": text or bytes}, key=value, ...): keys replace those of FRONT."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    front = yaml.safe_dump({**FRONT, **changes}, allow_unicode=True)
    (folder / "own.md").write_text(f"---\n{front}---\nFor people.\n", "utf-8")
    return DataCard.read(folder / "own.md")


def jsonl(*records) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
