"""A judged study with something to disagree on: hostile questions and answers, long thoughts, every kind of failure."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import yaml
from judged_run import CLEAR
from typer.testing import CliRunner
from written_exam import Run, build, graded

from eval import items
from eval.cli import app
from eval.flips import Flips
from eval.items import ItemScore
from finetune.recipe import Recipe

SCRIPT = "<script>window.hit = 1</script><img src=http://evil.example/x onerror='window.hit = 2'>"
TURNED = "good\u202etxt.exe\u2066 \u200b**bold** [a link](javascript:alert(1))"
ODD = "letters <b>7</b>/a b%&#'\""  # the id of a question
NOTE = "| 合约 | 保证金 |\n| --- | --- |\n| cu2601 | 9% |"
FAULTS = ("wrong", "unparsed", "truncated", "unclosed_thinking", "refused")
LONG = "想" * 3000


def study(folder: Path, *changes: str, **front: object) -> Run:
    """All stages done, of which the letters are asked with options and a table; `front` is put over that card's."""
    made = build(folder, *changes)
    card, rows = folder / "letters" / "letters.md", folder / "letters" / "letters.jsonl"
    asked = [json.loads(line) | {"note": NOTE} for line in rows.read_text("utf-8").splitlines()]
    asked[7] |= {"id": ODD, "question": f"{SCRIPT} {TURNED}", "options": [SCRIPT, "x", TURNED, "z"]}
    rows.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in asked), "utf-8")
    _, head, body = card.read_text("utf-8").split("---\n", 2)
    head = yaml.safe_load(head) | front
    head["columns"]["context"] = "note"
    card.write_text(f"---\n{yaml.safe_dump(head)}---\n{body}", "utf-8")
    made = Run(folder, Recipe.read(folder / "study.yaml", changes))
    made.pledge()
    for name in ("lora", "prefix"):
        for seed in made.recipe.train.seeds:
            made.tune(name, seed)
    for name, rate in CLEAR.items():
        made.sit(name, rate, change=spoken)
    return made


def spoken(row: ItemScore) -> ItemScore:
    """An answer with words of its own, and a failure that its number chooses; the odd question turns for sure."""
    if row.id == ODD:
        right = row.contender == "lora"
        text = f"<think>{SCRIPT}</think>{SCRIPT} {TURNED}"
        return row.model_copy(update={"text": text, "extracted": TURNED, **graded("correct" if right else "wrong")})
    if row.outcome == "correct":
        return row.model_copy(update={"text": f"<think>{LONG}</think>\nso it is A, says {row.contender}"})
    fault = FAULTS[sum(map(ord, row.id)) % len(FAULTS)]
    said = {"rule": "" if fault != "wrong" else "letter", "extracted": "B" if fault == "wrong" else None}
    return row.model_copy(update={"text": f"perhaps {row.id} <b>", **said, **graded(fault)})


def command(made: Run, name: str, *words: str, **env: str) -> str:
    """`tuneworth judge | report | verify`; gives what it says, and asserts that it ends well."""
    where = (
        [str(made.run.folder)]
        if name == "verify"
        else [str(made.folder / "study.yaml"), "--out", str(made.folder / "runs")]
    )
    done = CliRunner().invoke(app, [name, *where, *words], env=env)
    assert done.exit_code == 0, done.stdout + done.stderr
    return done.stdout


def flips(made) -> Flips:
    return Flips.unpacked(made.run.flips)


def right(made, name: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Right answers of all to a question, straight from the logs."""
    found = defaultdict(lambda: (0, 0))
    for log in (made.run.folder / name).glob("seed-*/items.jsonl"):
        for row in items.read(log):
            done, of = found[row.task, row.id]
            found[row.task, row.id] = done + (row.outcome == "correct"), of + 1
    return dict(found)


def turned(made, balance) -> dict[tuple[str, str], bool]:
    sides = [
        {key: 2 * a > b for key, (a, b) in right(made, name).items()}
        for name in (balance.challenger, balance.incumbent)
    ]
    return {key: sides[0][key] for key in sides[0] if sides[0][key] != sides[1][key]}
