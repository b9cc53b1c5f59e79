"""A private exam without touching the package: a CSV of questions in Chinese becomes card, task, verdict and page."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest
import torch
import yaml
from conftest import build_checkpoint
from small_exam import model
from small_study import tuneworth, verdict

from eval import items

UNITS = ["吨", "千克", "手", "桶"]


@pytest.fixture
def desk(tmp_path):
    """A folder outside the package, with the user's own files: questions, tuning rows, two checkpoints."""
    torch.set_num_threads(1)
    drawn = random.Random(3)
    with (tmp_path / "我们的题.csv").open("w", encoding="gb18030", newline="") as out:
        sheet = csv.writer(out)
        sheet.writerow(["编号", "题目", "选项A", "选项B", "选项C", "选项D", "答案", "文档"])
        for number in range(60):
            answer = drawn.choice("ABCD")
            sheet.writerow([f"题{number}", f"合约{number}的交易单位是什么？", *UNITS, answer, f"合同{number // 3}.pdf"])
    turns = [{"prompt": f"品种{n}的交易单位？", "completion": drawn.choice("ABCD")} for n in range(20)]
    lines = [json.dumps(turn, ensure_ascii=False) + "\n" for turn in turns]
    (tmp_path / "tuning.jsonl").write_text("".join(lines), "utf-8")
    build_checkpoint(tmp_path / "old", "qwen2")
    build_checkpoint(tmp_path / "newer", "qwen3", seed=1)
    return tmp_path


def write_recipe(desk: Path) -> None:
    older, newer = model("./old", "r1_distill_qwen"), model("./newer", "qwen3")
    recipe = {
        "question": "我们的题：微调值得吗？",
        "data": ["exams/tuning/tuning.md"],
        "contenders": {
            "old": {"model": older},
            "tuned": {"model": older, "method": {"kind": "lora", "rank": 4}},
            "newer": {"model": newer},
        },
        "train": {"max_steps": 3, "tokens_per_step": 256, "dev": 0},
        "exam": {"tasks": ["./exams/our_exam"]},
        "rule": {"challengers": ["tuned"], "incumbent": "newer", "base": "old"},
    }
    (desk / "ours.yaml").write_text(yaml.safe_dump(recipe, allow_unicode=True, sort_keys=False), "utf-8")


def test_from_a_csv_to_a_verdict_and_a_page(desk):
    for file, name in (("我们的题.csv", "our_exam"), ("tuning.jsonl", "tuning")):
        drafted = tuneworth("data", "new", file, "--folder", "exams", "--name", name, cwd=desk)
        assert drafted.returncode == 0, drafted.stderr
        checked = tuneworth("data", "check", f"exams/{name}/{name}.md", cwd=desk)
        assert (checked.returncode, checked.stderr) == (0, "")
        assert "no faults" in checked.stdout
        card = desk / f"exams/{name}/{name}.md"
        card.write_text(card.read_text("utf-8").replace("published: false", "published: false\nprivate: true"), "utf-8")
    write_recipe(desk)
    shown = tuneworth("check", "ours.yaml", cwd=desk)
    assert shown.returncode == 0, shown.stderr
    done = tuneworth("run", "ours.yaml", cwd=desk)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("report: runs/ours/report.html")
    told = [shown.stdout, shown.stderr, done.stdout, done.stderr]
    told += [(desk / "runs/ours" / name).read_text("utf-8") for name in ("verdict.json", "report.html", "recipe.json")]
    told += [path.read_text("utf-8") for path in (desk / "runs/ours").rglob("*.json")]
    assert not [text for text in told if "的交易单位" in text]
    assert "rows of tuning, which is private, are not shown" in shown.stdout
    logs = list((desk / "runs/ours").rglob("items.jsonl"))
    assert [path.stat().st_mode & 0o777 for path in logs] == [0o600] * 3
    found = verdict(desk / "runs", "ours")
    (task,) = found["tasks"]
    assert (task["name"], task["n"], task["clusters"], task["guess_rate"]) == ("our_exam", 60, 20, 0.25)
    assert (task["edition"], task["published"], task["lang"]) == ("own", False, "zh")
    assert "我们的题：微调值得吗？" in (desk / "runs/ours/report.html").read_text("utf-8")
    rows = items.read(desk / "runs/ours/old/seed-0/items.jsonl")
    assert [row.id for row in rows] == [f"题{number}" for number in range(60)]
    assert {row.options for row in rows} == {tuple(UNITS)}
    assert rows[4].cluster.endswith("合同1.pdf")
