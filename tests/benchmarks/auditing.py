"""`tuneworth data check` over many rows: CPU seconds of the whole command, beside no peer but a budget."""

import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROWS, SIZE, QUESTIONS = 100_000, 200, 3000
BUDGET = 90.0  # CPU seconds that the check may take on one core
FRONT = {
    "licence": {"name": "x", "commercial": True}, "languages": ["zh"], "published": False, "format": "jsonl",
    "shape": "prompt_completion",
}  # fmt: skip


def check_rows(rounds: int) -> list[dict]:
    """100,000 rows of 200 Chinese characters, one in fifty a near copy, held against an exam of 3,000 questions."""
    with tempfile.TemporaryDirectory() as scratch:
        words = [sys.executable, "-m", "eval.cli", "data", "check", str(_cards(Path(scratch)))]
        words += ["--against", str(Path(scratch) / "exam.md"), "--json", str(Path(scratch) / "found.json")]
        took = [_seconds(words) for _ in range(rounds)]
        found = json.loads((Path(scratch) / "found.json").read_text("utf-8"))
    assert found["splits"][0]["near"] == ROWS // 50, "not every planted copy was found"
    assert len(found["against"][0]["near"]) == QUESTIONS // 3, "not every taught question was found"
    ours = statistics.median(took)
    return [{
        "id": "data.check.100k", "ours": round(ours, 1), "peer": BUDGET, "ratio": round(BUDGET / ours, 2),
        "unit": "CPU seconds (budget over ours)", "beside": "the budget", "runs": rounds,
    }]  # fmt: skip


def _seconds(words: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _cards(folder: Path) -> Path:
    """A card of training rows and one of an exam, a third of whose questions are near copies of rows."""
    draw = random.Random(0)
    letters = [chr(0x4E00 + at) for at in range(3000)]
    texts = ["".join(draw.choices(letters, k=SIZE)) for _ in range(ROWS - ROWS // 50)]
    near = [_edited(text) for text in texts[: ROWS // 50]]
    fresh = ["".join(draw.choices(letters, k=SIZE)) for _ in range(QUESTIONS - QUESTIONS // 3)]
    for name, asked in (("rows", texts + near), ("exam", fresh + [_edited(t) for t in texts[-QUESTIONS // 3 :]])):
        lines = (json.dumps({"prompt": text, "completion": "利好"}, ensure_ascii=False) + "\n" for text in asked)
        (folder / f"{name}.jsonl").write_text("".join(lines), "utf-8")
        front = {**FRONT, "name": name, "title": name, "splits": {"train": [f"{name}.jsonl"]}}
        (folder / f"{name}.md").write_text(f"---\n{yaml.safe_dump(front)}---\n", "utf-8")
    return folder / "rows.md"


def _edited(text: str) -> str:
    return text[: SIZE // 2] + "x" + text[SIZE // 2 + 1 :]
