"""Invented answers and figures: tables for what refuses and what stands in the evidence, then the engine itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from conftest import build_checkpoint
from small_exam import TASK_GEN, model, write_adapter
from typer.testing import CliRunner
from written_exam import row as answered

from eval import items
from eval.benchmark import find, read_task
from eval.cli import app
from eval.extract.refusal import declines
from eval.grading import graded
from eval.score import __main__ as score
from eval.sheet import Sheet
from eval.verdict.grounding import _figures, _refusals
from eval.verdict.twins import paired


@pytest.mark.parametrize(
    "text",
    [
        "无法确定，题目没有提供相关数据。",
        "答案是：无法确定",
        "抱歉，缺少财务报表，不能计算。",
        "信息不足，请提供年报。",
        "根据题目，未给出2019年的营业收入数据，因此无法计算增长率。",
        "The information provided is not sufficient to determine the growth rate.",
        "I cannot calculate this without the table.",
        "The question cannot be answered because no context is given.",
        "Please provide the relevant data.",
        "Answer: cannot be determined",
        "The revenue for 2018 and 2019 was not provided, so I can't compute the change from 2018 to 2019.",
        "\\boxed{\\text{unknown}} as no data is given",
        "I'm sorry, but I don't have access to the filing.",
        "The provided text does not contain this information.",
        "The passage doesn't explicitly mention the date.",
        "The article does not say who founded it. It is about its products.",
        "Data not found in the context",
        "Information not available.",
        "There is no mention of 2019 in it.",
        "N/A",
        "n/a.",
        "Not available",
        "Not mentioned",
        "**Unknown**",
        "Answer: N/A",
        "Answer: not found in the text",
        "无",
        "未提及",
        "未提及。",
        "没有提到",
        "文中未提及。",
        "文中并没有提到他的生日。",
        "文章没有提到",
        "原文没有说明",
        "题目中没有给出该数字",
        "表中未列出2019年的数据，只有2018年的。",
        "无法从文中找到答案",
        "不能从上文得到",
        "答案：无",
        "答案是：文中未提及",
        "\\boxed{\\text{N/A}}",
        "没有上下文",
        "需要提供文章",
    ],
)
def test_refusals_are_seen(text):
    assert declines(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12.5",
        "是",
        "答案是B",
        "营业收入同比增长12%",
        "Revenue rose 5% to 120.",
        "The answer is 12.5%",
        "缺少数据，但按常识，答案：5.2%",
        "No data is given, but assuming a revenue of 100, the answer is 12%.",
        "\\boxed{42}. The table was not provided.",
        "The text does not mention it, but revenue was 500.",
        "The report does not state a reason. Revenue rose by 5%.",
        "The passage does not say so outright, but the answer is Beijing.",
        "文中没有提到原因，但净利润为5亿元。",
        "原文没有说明。净利润为5亿元。",
        "文章没有提到，但应该是1998年的事。",
        "无锡",
        "无形资产",
        "没有",
        "No",
        "Nonetheless, it fell.",
        "available for sale",
        "未提及的风险包括汇率",
        "The firm does not provide services abroad.",
        "公司没有提供担保",
    ],
)
def test_what_is_answered_all_the_same_is_no_refusal(text):
    assert not declines(text)


def sheets() -> tuple[Sheet, Sheet]:
    shown = [answered("t", n, figures=4, unsupported=n) for n in range(4)]
    ends = [{"outcome": "refused", "score": 0.0, "extracted": None}] * 2
    ends += [{"outcome": "wrong", "score": 0.0}, {"outcome": "correct"}]
    return Sheet.of("c", {0: shown}), Sheet.of(
        "c", {0: [answered("t~evidence", n, **each) for n, each in enumerate(ends)]}
    )


def test_refusals_are_told_with_an_interval_and_what_was_known():
    found = _refusals("c", paired(*sheets(), "evidence"), 0.95)
    assert [each.value for each in (found.refused, found.invented, found.known)] == [0.5, 0.25, 0.25]
    assert 0 <= found.refused.low < 0.5 < found.refused.high <= 1
    assert (found.n, found.clusters) == (4, 4)


def test_the_rate_of_figures_is_a_ratio_over_open_book_questions():
    rows = [answered("t", n, figures=n + 1, unsupported=n % 2) for n in range(4)] + [answered("closed", 9)]
    found = _figures("c", Sheet.of("c", {0: rows}), {"t"}, 0.95)
    assert (found.unsupported.value, found.figures, found.n) == (pytest.approx(2 / 10), 2.5, 4)
    assert found.unsupported.low < 0.2 < found.unsupported.high
    assert _figures("c", Sheet.of("c", {0: rows}), {"closed"}, 0.95) is None


TASK = TASK_GEN.replace("own_gen", "book").replace("own", "book").replace("answer: letter", "answer: number")


def write_exam(folder: Path) -> Path:
    """Open-book sums, Chinese and English by turns."""
    folder.mkdir()
    rows = [
        {"id": f"q{n}", "cluster": f"c{n // 2}", "question": "合计多少?" if n % 2 else "how much in all?",
         "text": f"sales {310 + n} and {200 + n}", "answer": str(510 + 2 * n)}
        for n in range(8)
    ]  # fmt: skip
    (folder / "book.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    names = {name: name for name in ("id", "cluster", "question", "answer")}
    front = {
        "name": "book", "title": "book", "licence": {"name": "proprietary", "commercial": True},
        "languages": ["zh", "en"], "published": False, "shape": "numeric", "format": "jsonl",
        "columns": names | {"context": "text"}, "splits": {"test": ["book.jsonl"]},
    }  # fmt: skip
    (folder / "book.md").write_text(f"---\n{yaml.safe_dump(front)}---\n", "utf-8")
    (folder / "book.yaml").write_text(TASK, "utf-8")
    return folder


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return read_task(*find(str(write_exam(tmp_path_factory.mktemp("open") / "exam") / "book")))


@pytest.mark.parametrize(
    ("said", "outcome", "rule"),
    [
        ("I cannot determine that without the table.", "refused", "declined"),
        ("缺少数据，无法计算。", "refused", "declined"),
        ("the answer is 7", "wrong", "announced"),
        ("510", "correct", "alone"),
    ],
)
def test_without_its_evidence_a_question_is_graded_by_whether_it_is_refused(task, said, outcome, rule):
    turned = task.twins("evidence")
    found = graded(turned, turned.rows[0], said, closed=True, finish="stop")
    assert (found["outcome"], found["rule"]) == (outcome, rule)
    assert "figures" not in found


def test_with_its_evidence_a_figure_is_looked_for(task):
    found = graded(task, task.rows[0], "310 + 200 = 510, not 444", closed=True, finish="stop")
    assert (found["figures"], found["unsupported"]) == (4, 1)  # 510 is the gold


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Scored, judged and drawn once; read only."""
    folder = tmp_path_factory.mktemp("grounding")
    write_exam(folder / "exam")
    old = build_checkpoint(folder / "old", "qwen2")
    older, newer = model(old, "r1_distill_qwen"), model(build_checkpoint(folder / "newer", "qwen3"), "qwen3")
    brought = {"model": older, "adapter": str(write_adapter(folder / "adapter", old)), "adapter_cost": 1}
    recipe = {
        "question": "Is it worth it?",
        "contenders": {"old": {"model": older}, "newer": {"model": newer}, "lora": brought},
        "exam": {"tasks": ["./exam/book"], "twins": ["evidence"]},
        "rule": {"challengers": ["lora"], "incumbent": "newer", "base": "old"},
    }
    path, out = folder / "study.yaml", folder / "runs"
    path.write_text(yaml.safe_dump(recipe), "utf-8")
    for name in recipe["contenders"]:
        assert score.main([str(path), "--contender", name, "--out", str(out)]) == 0
    _say_figures(out / "study" / "newer" / "seed-0" / "items.jsonl")
    for command in ("judge", "report"):
        done = CliRunner().invoke(app, [command, str(path), "--out", str(out)])
        assert done.exit_code == 0, done.output
    return out / "study"


def _say_figures(log: Path) -> None:
    """Random weights write no figures: what a real model would say, by the grading that every answer goes through."""
    task = read_task(*find(str(log.parents[4] / "exam" / "book")))
    asked = {("book", row.id): (task, row) for row in task.rows}
    asked |= {("book~evidence", row.id): (task.twins("evidence"), row) for row in task.twins("evidence").rows}
    rows = []
    for row in items.read(log):
        said = (
            "sales 310, 999, in all 510"
            if row.task == "book"
            else "I cannot say"
            if row.id < "q4"
            else "the answer is 7"
        )
        facts = graded(*asked[row.task, row.id], said, closed=True, finish="stop")
        rows.append(row.model_copy(update={"text": said, "finish": "stop", **facts}))
    items.replace(log, rows)


def test_the_prompt_lacks_the_evidence(study):
    asked: dict[str, dict[str, items.ItemScore]] = {"book": {}, "book~evidence": {}}
    for row in items.read(study / "old" / "seed-0" / "items.jsonl"):
        asked[row.task][row.id] = row
    assert len(asked["book~evidence"]) == len(asked["book"]) == 8
    assert all(asked["book"][name].tokens_in > row.tokens_in + 5 for name, row in asked["book~evidence"].items())


def test_verdict_and_page_tell_what_was_invented(study):
    verdict = json.loads((study / "verdict.json").read_text("utf-8"))
    assert verdict["twins"] is None
    found = verdict["grounding"]
    assert found["counts"] == [{"task": "book", "kind": "evidence", "made": 8, "items": 8}]
    refusals = {row["contender"]: row for row in found["refusals"]}
    assert set(refusals) == {"old", "newer", "lora"}
    newer = refusals["newer"]
    assert (newer["refused"]["value"], newer["invented"]["value"], newer["known"]["value"]) == (0.5, 0.5, 0.0)
    figures = {row["contender"]: row for row in found["figures"]}["newer"]
    assert figures["figures"] == 3.0
    assert figures["unsupported"]["value"] > 1 / 3  # 999 of each; 310 and 510 of those that others were shown
    page = (study / "report.html").read_text("utf-8")
    for said in (
        'data-refusals="newer"',
        'data-figures="newer"',
        "What was invented",
        "凭空作答",
        'data-made="book~evidence"',
    ):
        assert said in page
    assert 'id="twins"' not in page


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "least"),
    [("finqa", 700), ("convfinqa", 283), ("cmrc2018", 2124), ("financebench", 30), ("financebench_prose", 45)],
)
def test_open_book_sets_can_be_asked_without_their_evidence(shared_data, name, least):
    task = read_task(Path("eval/tasks").resolve() / name, name)
    assert len(task.twins("evidence").rows) >= least


@pytest.mark.data
def test_gold_answers_of_cmrc_quote_no_figure_that_is_not_shown(shared_data):
    """They are passages of the text, so the rule must find every figure of theirs."""
    task = read_task(Path("eval/tasks/cmrc2018").resolve(), "cmrc2018")
    counts = [graded(task, row, json.loads(row.answer)[0], closed=True, finish="stop") for row in task.rows]
    assert sum(each["figures"] for each in counts) > 200
    assert sum(each["unsupported"] for each in counts) <= 0.01 * sum(each["figures"] for each in counts)
