"""Intake: a user's file becomes a card and an exam that load; a card's state is told, and faults end with status 2."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from eval.benchmark import find, read_task
from eval.cli import app
from eval.intake import check, draft, table
from finetune.card import BadCard, DataCard

SHELF = Path(__file__).parent.parent / "data_cards"
CSV = """编号,题目,选项A,选项B,选项C,答案,文件,题型
q1,甲公司2023年收入是多少？,1亿,2亿,3亿,B,年报.pdf,单选
q2,乙公司哪些指标下降？,收入,利润,成本,AC,年报.pdf,多选
q3,"丙公司，是否盈利？",是,否,,A,公告,单选
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEWORTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TUNEWORTH_DATA", raising=False)
    monkeypatch.setenv("TUNEWORTH_CARDS", "")


@pytest.fixture
def drafted(tmp_path):
    """drafted(content, ending=".csv", encoding="utf-8") -> the drafted card, checked to be without faults."""

    def make(content: str, ending: str = ".csv", encoding: str = "utf-8", name: str = "our_exam") -> DataCard:
        file = tmp_path / "data" / f"questions{ending}"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content.encode(encoding))
        made = draft(file, tmp_path / "exams", name)
        assert all(path.parent == tmp_path / "exams" / name for path in made)
        path = tmp_path / "exams" / name / f"{name}.md"
        report = check(path, None)
        assert report.faults == ()
        assert report.edition == "own"
        return DataCard.read(path)

    return make


def jsonl(*records) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


# ---- data new


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_users_csv_becomes_an_exam_that_loads(drafted, tmp_path, encoding):
    card = drafted(CSV, encoding=encoding)
    rows = card.clustered(None, "test")
    assert [(row.id, row.answer, row.multiple, row.cluster) for row in rows] == [
        ("q1", "B", False, "年报.pdf"), ("q2", "AC", True, "年报.pdf"), ("q3", "A", False, "公告"),
    ]  # fmt: skip
    assert rows[2].options == ("是", "否")
    assert not card.published
    chosen = read_task(*find(str(tmp_path / "exams/our_exam")))
    written = read_task(*find(str(tmp_path / "exams/our_exam/our_exam_gen")))
    assert ([row.id for row in chosen.rows], chosen.protocol, chosen.answer) == (["q1", "q3"], "likelihood", "letter")
    assert ([row.id for row in written.rows], written.protocol) == (["q1", "q2", "q3"], "generated")


@pytest.mark.parametrize(
    ("content", "ending", "shape", "answers"),
    [
        ("question;A;B;answer\nq;x;y;B\n", ".csv", "choice", ["B"]),
        ("question\toption_1\toption_2\tanswer\nq\tx\ty\t2\nr\tx\ty\t1\n", ".tsv", "choice", ["B", "A"]),
        ("question,A,B,answer\nq,x,y,y\n", ".csv", "choice", ["B"]),
        ("question,choices,answer\nq,\"['x', 'y', 'z']\",C\n", ".csv", "choice", ["C"]),
        (jsonl({"q_id": 1, "question": "q", "options": ["x", "y"], "answer": 0}), ".jsonl", "choice", ["A"]),
        (jsonl({"question": "q", "choices": {"A": "x", "B": "y"}, "answer": "b"}), ".jsonl", "choice", ["B"]),
        (jsonl({"question": "q", "options": ["x", "y"], "answer": ["A", "B"]}), ".jsonl", "choice", ["AB"]),
        ('[{"question": "q", "answer": 7}, {"question": "r", "answer": "1,200"}]', ".json", "numeric", ["7", "1,200"]),
        ("问题,答案\n盈利吗？,是\n亏损吗？,否\n", ".csv", "choice", ["A", "B"]),
        ("headline,label\n" + "a rose,up\nb fell,down\n" * 5, ".csv", "choice", ["B", "A"] * 5),
        ("question,answer\nWho?,The board of directors\n", ".csv", "qa", ["The board of directors"]),
        ("question,answer\nq,1\nr,\n", ".csv", "numeric", ["1"]),
    ],
)  # fmt: skip
def test_shapes_are_guessed(drafted, tmp_path, content, ending, shape, answers):
    card = drafted(content, ending)
    assert card.shape == shape
    assert [row.answer for row in card.rows(None, "test")] == answers
    task = read_task(*find(str(tmp_path / "exams/our_exam")))
    assert [row.answer for row in task.rows] == answers
    likelihood = shape == "choice" and answers != ["AB"]
    assert task.protocol == ("likelihood" if likelihood else "generated")
    assert (tmp_path / "exams/our_exam/our_exam_gen.yaml").exists() == likelihood


def test_a_split_column_makes_splits(drafted, tmp_path):
    card = drafted("question,answer,split\nq,1,train\nr,2,测试: 一\ns,3,dev\n")
    assert {split: [row.answer for row in card.rows(None, split)] for split in card.splits} == {
        "dev": ["3"], "train": ["1"], "测试: 一": ["2"],
    }  # fmt: skip
    assert read_task(*find(str(tmp_path / "exams/our_exam"))).split == "dev"


def test_a_row_without_its_split_is_refused_with_its_line(tmp_path):
    """It would have sent every row, those of training too, into the exam."""
    file = tmp_path / "q.csv"
    file.write_text("question,answer,split\nq,1,train\nr,2,\ns,3,test\nt,4, \n")
    with pytest.raises(BadCard, match=r"q\.csv:3: column 'split' is empty here and in 1 more of 4 rows; write test or"):
        draft(file, tmp_path / "exams", "ours")
    assert not (tmp_path / "exams").exists()


def test_an_empty_split_column_is_as_none(drafted):
    assert set(drafted("question,answer,split\nq,1,\nr,2,\n").splits) == {"test"}


@pytest.mark.parametrize(
    ("record", "shape"),
    [
        ({"messages": [{"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}]}, "messages"),
        ({"conversations": [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}]}, "sharegpt"),
        ({"prompt": "问", "completion": "答"}, "prompt_completion"),
        ({"instruction": "问", "output": "答"}, "alpaca"),
    ],
)
def test_training_rows_become_a_card_alone(drafted, tmp_path, record, shape):
    card = drafted(jsonl(record), ".jsonl")
    assert (card.shape, card.languages) == (shape, ("zh",))
    assert [turn.content for turn in card.rows(None, "train")[0].conversation()] == ["问", "答"]
    assert [path.name for path in (tmp_path / "exams/our_exam").iterdir()] == ["our_exam.md"]


def test_doubts_stand_in_the_card(drafted):
    assert "No column names the document" in drafted("question,answer\nWho?,The board\n").body
    assert "several right options: 1" in drafted(CSV, name="second").body


@pytest.mark.parametrize(
    ("content", "ending", "words"),
    [
        ("topic,answer\nx,1\n", ".csv", "no column for the question among topic, answer; name it question or"),
        ("question,A,B\nx,1,2\n", ".csv", "no column for the answer"),
        ("question,answer\nx,\n", ".csv", "holds no answer"),
        ("question,A,B,answer\nx,1,2,Z\n", ".csv", "answer 'Z' names none of the options"),
        ("question,answer\n", ".csv", "holds no record"),
        ('{"question": \n', ".jsonl", r"questions\.jsonl:1: not JSON"),
        ("x", ".txt", r"ends in \.txt; \.csv"),
    ],
)
def test_a_file_that_cannot_be_understood_leaves_nothing(tmp_path, content, ending, words):
    file = tmp_path / f"questions{ending}"
    file.write_text(content, "utf-8")
    with pytest.raises(BadCard, match=words):
        draft(file, tmp_path / "exams", "our_exam")
    assert not (tmp_path / "exams").exists()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "q.csv").write_text(CSV, "utf-8")
    draft(tmp_path / "q.csv", tmp_path, "our_exam")
    before = {path: path.read_bytes() for path in (tmp_path / "our_exam").iterdir()}
    with pytest.raises(BadCard, match="is there already, nothing was written"):
        draft(tmp_path / "q.csv", tmp_path, "our_exam")
    assert {path: path.read_bytes() for path in (tmp_path / "our_exam").iterdir()} == before
    for name in ("../up", "two words", "1st", "null", ""):
        with pytest.raises(BadCard, match="--name"):
            draft(tmp_path / "q.csv", tmp_path, name)


def test_new_then_check_at_the_front_door(tmp_path):
    (tmp_path / "q.csv").write_text(CSV, "utf-8")
    words = ["data", "new", str(tmp_path / "q.csv"), "--folder", str(tmp_path / "exams"), "--name", "our_exam"]
    made = CliRunner().invoke(app, words)
    assert made.exit_code == 0, made.output
    card = tmp_path / "exams/our_exam/our_exam.md"
    assert str(card) in made.output
    assert CliRunner().invoke(app, ["data", "check", str(card)]).exit_code == 0
    (tmp_path / "q.csv").write_text(CSV + "q4,问？,1,2,3,E,公告,单选\n", "utf-8")
    refused = CliRunner().invoke(app, ["data", "check", str(card)])
    assert refused.exit_code == 2
    assert "q.csv:5" in refused.output
    assert "unpinned" in refused.output
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 2
    assert len(again.stderr.strip().splitlines()) == 1


# ---- data check


def card_with(tmp_path, text: str, **changes) -> Path:
    front = {
        "name": "own", "title": "t", "licence": {"name": "private", "commercial": True}, "languages": ["zh"],
        "published": False, "shape": "choice", "format": "csv", "columns": {"options": ["A", "B", "C"]},
        "splits": {"test": ["exam.csv"]}, **changes,
    }  # fmt: skip
    (tmp_path / "exam.csv").write_text("question,A,B,C,answer\n" + text, "utf-8")
    (tmp_path / "own.md").write_text(f"---\n{yaml.safe_dump(front)}---\n", "utf-8")
    return tmp_path / "own.md"


def test_counts_of_a_split(tmp_path):
    long = "某企业为增值税一般纳税人，设有一个基本生产车间，生产销售两种产品"
    long = f"{long}，{long[::-1]}"
    text = (
        f"{long}。,一,二二,三,B\n{long}。,一,二二,三,A\n{long}吗？,一,二二,三,B\n"
        "另一个问题？,相同,相同,不,C\nWhat is the yield?,长长长,二,,B\n"
    )
    report = check(card_with(tmp_path, text, languages=["zh", "en"]), None)
    found = report.splits[0]
    assert (found.rows, found.languages) == (5, {"zh": 4, "en": 1})
    assert (found.exact, found.conflicting, found.near) == (1, 1, 1)
    assert (found.clusters, found.largest_cluster) == (3, 3)
    assert found.repeated_options == 1
    assert found.options == {2: 1, 3: 4}
    assert found.letters == {"A": 0.2, "B": 0.6, "C": 0.2}
    assert found.blind["most_frequent"] == pytest.approx(0.6)
    assert found.blind["longest"] == pytest.approx((1 + 0 + 1 + 0 + 0) / 5)
    assert found.blind["random"] == pytest.approx((4 / 3 + 1 / 2) / 5)
    notes = "\n".join(report.warnings)
    for words in (
        "with different answers",
        "1 exact, 1 near",
        "an option twice: 1",
        "clusters: 3",
        "most frequent letter",
    ):
        assert words in notes


def test_what_a_user_should_know_of_a_card(tmp_path):
    text = "问题一？,1,2,3,A\n"
    licence = {"name": "CC-BY-NC-4.0", "commercial": False}
    sums = {"first": {"exam.csv": "0" * 64}}
    report = check(card_with(tmp_path, text, licence=licence, published=True, editions=sums), None)
    notes = "\n".join(report.warnings)
    assert report.edition == "unpinned"
    for words in (
        "no commercial use",
        "a newer base may have seen it",
        "nearest is first, which differs in 1 of its files: exam.csv",
    ):
        assert words in notes
    assert "lists no edition" in "\n".join(check(card_with(tmp_path, text), None).warnings)


def test_splits_that_share_questions_are_told(tmp_path):
    (tmp_path / "more.csv").write_text("question,A,B,C,answer\n问题一?,4,5,6,A\n", "utf-8")
    path = card_with(tmp_path, "问题一？,1,2,3,A\n问题二？,1,2,3,A\n", splits={"test": "exam.csv", "train": "more.csv"})
    assert check(path, None).overlaps == {"test & train": 1}
    by_design = {"all": "exam.csv", "some": {"files": "exam.csv", "where": {"C": "3"}}}
    assert check(card_with(tmp_path, "问题一？,1,2,3,A\n", splits=by_design), None).overlaps == {}


def test_every_fault_is_told_and_shown(tmp_path):
    path = card_with(
        tmp_path, "问？,1,2,3,D\n" * 30 + "[b]问[/b]？,1,2,3,A\n", splits={"test": "exam.csv", "dev": "dev.csv"}
    )
    report = check(path.rename(tmp_path / "other.md"), None)
    assert len(report.faults) == 32
    assert "name is own, the file other.md" in report.faults[0]
    assert any("no file dev.csv" in fault for fault in report.faults)
    console = Console(width=200, file=io.StringIO())
    console.print(table(report))
    shown = console.file.getvalue()
    assert "exam.csv:2: answer 'D' is not among A to C" in shown
    assert "and 12 faults more" in shown
    assert "not usable as it is" in shown


@pytest.mark.parametrize("name", ["label", "knowledge", "extraction", "tuning"])
def test_the_demo_cards_have_no_fault(name):
    report = check(SHELF / f"demo_{name}.md", None)
    assert report.faults == ()
    assert report.edition == "official"
    assert report.splits[0].exact == report.splits[0].conflicting == 0
