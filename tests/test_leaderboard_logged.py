"""What lm-eval logged stands on the board beside a run of ours, or is refused by the name of the difference."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eval.benchmark import Task, document
from eval.cli import app
from eval.leaderboard import Board
from eval.verdict import judge
from finetune.card import Row, ask
from tests import planted_study
from tests.planted_exam import TASKS, Said

DATE = "2026-11-20T10-00-00.000000"
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = planted_study.write(tmp_path_factory.mktemp("planted"), 60, 2)
    made.run.verdict.write_text(judge(made.recipe, made.run).model_dump_json(), "utf-8")
    return made


def write_log(folder: Path, tasks: tuple[Task, ...], change: Change = lambda line: None) -> Path:
    """As lm-eval 0.4.9 leaves it: two thirds of the answers right; `change` alters a line of samples."""
    folder.mkdir(parents=True)
    results = {
        "versions": {task.name: 1 for task in tasks}, "date": 1_760_000_000.0, "lm_eval_version": "0.4.9",
        "model_name": "their/model-8b", "config": {"model": "hf", "model_dtype": "torch.bfloat16"},
    }  # fmt: skip
    (folder / f"results_{DATE}.json").write_text(json.dumps(results), "utf-8")
    for task in tasks:
        lines = [_line(task, row, at) for at, row in enumerate(task.rows)]
        for line in lines:
            change(line)
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"samples_{task.name}_{DATE}.jsonl").write_text(text, "utf-8")
    return folder


def _line(task: Task, row: Row, at: int) -> dict[str, Any]:
    doc = document(row, {"answer": task.answer, "headline": task.metric})
    kind = "wrong" if at % 3 == 2 else "correct"
    if task.protocol == "likelihood":
        asked = [(row.question, f" {option}") for option in row.options]
        right = [("ABCD"[place] == row.answer) == (kind == "correct") for place in range(len(row.options))]
        resps: list[Any] = [[[str(-1.0 if each else -2.0), "False"]] for each in right]
    else:
        asked = [(ask(row), {"until": [], "max_gen_toks": 2048, "do_sample": True})]
        resps = [[Said(task, row).kind(kind)["text"]]]
    text = json.dumps(doc, indent=2, ensure_ascii=False)
    return {
        "doc_id": at, "doc": doc, "target": row.answer, "resps": resps, "filtered_resps": resps, "filter": "none",
        "arguments": {f"gen_args_{n}": {"arg_0": first, "arg_1": second} for n, (first, second) in enumerate(asked)},
        "doc_hash": hashlib.sha256(text.encode()).hexdigest(), "prompt_hash": "p", "target_hash": "t",
    }  # fmt: skip


def command(*words):
    return CliRunner().invoke(app, ["leaderboard", *map(str, words)])


def test_a_log_is_one_contender_more_and_what_it_cannot_tell_is_unknown(study, tmp_path):
    log = write_log(tmp_path / "their_8b", study.benchmark.tasks)
    done = command(study.run.folder, log, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    found = Board.model_validate_json((tmp_path / "out" / "leaderboard.json").read_text("utf-8"))
    card, part = found.card("their_8b"), found.slices[0].standing("their_8b")
    assert (card.model, card.method, card.engine) == ("their/model-8b", "unknown", "lm-eval 0.4.9 hf")
    assert (card.cost, card.size, card.memory, card.thinking, card.seconds, card.tokens_out) == (None,) * 6
    assert (card.budget, card.doubt, card.samples) == (2048, "", dict.fromkeys(sorted(TASKS), 1))
    assert 0.4 < part.low < part.score < part.high  # wide: in some tasks all documents are answered alike
    assert found.slice("task", "fields_zh").standing("their_8b").score == pytest.approx(8 / 12)
    assert len(found.contenders) == 8
    assert "their/model-8b" in (tmp_path / "out" / "leaderboard.html").read_text("utf-8")


def less_room(line: dict[str, Any]) -> None:
    for each in line["arguments"].values():
        if isinstance(each["arg_1"], dict):
            each["arg_1"]["max_gen_toks"] = 64


def another_edition(line: dict[str, Any]) -> None:
    line["doc"] = line["doc"] | {"answer": "D"}


def another_prompt(line: dict[str, Any]) -> None:
    """Examples of its own before every question: not the content that others were asked."""
    for each in line["arguments"].values():
        each["arg_0"] = f"Example {line['doc_id']}\n{each['arg_0']}"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (less_room, "budget: 2048 tokens an answer for old and 64 tokens an answer for their_8b"),
        (another_edition, "the answer of rules_zh/rules_zh-"),
        (another_prompt, "content differs between old and their_8b"),
    ],
    ids=["budget", "edition", "content"],
)
def test_what_cannot_be_compared_is_refused_by_name(study, tmp_path, change, says):
    log = write_log(tmp_path / "their_8b", study.benchmark.tasks, change)
    done = command(study.run.folder, log, "--out", tmp_path / "out")
    assert (done.exit_code, says in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "out").exists()


def test_a_task_that_was_not_asked_and_a_log_alone_are_refused(study, tmp_path):
    log = write_log(tmp_path / "their_8b", study.benchmark.tasks[:2])
    done = command(study.run.folder, log)
    assert (done.exit_code, "no samples of task ratios_en" in done.stderr) == (2, True), done.stderr
    done = command(log)
    assert (done.exit_code, "name a run of the same exam beside it" in done.stderr) == (2, True), done.stderr
    done = command(study.run.folder, log, log)
    assert done.exit_code == 2
