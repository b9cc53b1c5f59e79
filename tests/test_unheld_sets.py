"""FinanceIQ and TAT-QA, whose files are not at hand: small files in just their layout, quirks and faults included."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.benchmark import Task, find, find_card, read_task
from eval.extract import grade, numeracy
from eval.score.questions import questions
from finetune.card import BadCard

CERTIFICATES = ("注册会计师（CPA）", "精算师-金融数学")
HEADER = ",Question,A,B,C,D,Answer\n"
ROWS = {  # as in the published files: index column, fullwidth signs, questions of several lines, equal options
    "注册会计师（CPA）": "0,关于函证，以下哪种表述是正确的？,由被审计单位控制,由注册会计师控制,无需回函,只能发邮件,B\n"
    "1,下列（    ）不属于审计证据?,询证函回函,会计记录。,管理层声明,传闻,D\n",
    "精算师-金融数学": '0,"销售商有两个选项：\n方案一：打九折；\n方案二：半年后付48%。\n利率为？",2%,5%,7%,9%,D\n'
    "1,该年金的现值为,1/5,1/7,1/6,1/4,C\n2,风险指数是哪个函数？,R(x)=,R(x)=,R(x)=,R(x)=,A\n",
}


@pytest.fixture
def financeiq(tmp_path, monkeypatch) -> Path:
    for part in ("dev", "test"):
        for name, rows in ROWS.items():
            path = tmp_path / "financeiq" / part / f"{name}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((HEADER + rows).encode("utf-8-sig" if name.endswith("学") else "utf-8"))
    monkeypatch.setenv("TUNEWORTH_DATA", str(tmp_path))
    monkeypatch.setenv("TUNEWORTH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "financeiq"


def test_financeiq_is_read_as_it_is_published(financeiq):
    task = read_task(*find("financeiq"))
    assert (len(task.rows), task.edition, task.guess_rate) == (5, "unpinned", 0.25)
    assert {row.subject for row in task.rows} == {*CERTIFICATES}
    by_id = {row.id: row for row in task.rows}
    assert by_id["test/注册会计师（CPA）/1"].options == ("询证函回函", "会计记录。", "管理层声明", "传闻")
    several = by_id["test/精算师-金融数学/0"]
    assert several.question.count("\n") == 3
    assert several.answer == "D"
    assert by_id["test/精算师-金融数学/1"].options == ("1/5", "1/7", "1/6", "1/4")


@pytest.mark.parametrize("name", ["financeiq", "financeiq_gen"])
def test_lm_eval_asks_the_same_questions_of_financeiq(financeiq, name):
    asked = questions(read_task(*find(name)))
    assert len(asked) == 5
    assert "B. 由注册会计师控制" in asked[0].text
    if name == "financeiq":
        assert asked[0].options == ("A", "B", "C", "D")
    else:
        assert asked[0].judge.process_results(asked[0].doc, ["答案是：B"]) == {"exact": 1.0}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("0,问？,甲,乙,丙,丁,E\n", r"test/税务师\.csv:2: answer 'E' is not among A to D"),
        ("0,问？,甲,乙,,丁,A\n", r"test/税务师\.csv:2: options are \['甲', '乙', '', '丁'\]"),
        ("0,问，几何？,甲,乙,丙,A\n", r"test/税务师\.csv:2: 6 cells where the header has 7"),
        ("0,问？,甲,乙,丙,丁,A\n1,问？,甲,乙,丙,丁,\n", r"test/税务师\.csv:3: Answer is empty"),
        ("0,,甲,乙,丙,丁,A\n", r"test/税务师\.csv:2: Question is empty"),
        ('0,"问？,甲,乙,丙,丁,A\n', r"test/税务师\.csv:2: not CSV"),
        ("0,问？,甲,乙,丙,丁,AB\n", r"test/税务师\.csv:2: answer 'AB' names several options"),
        ("", r"test/税务师\.csv: no record in it"),
    ],
)
def test_a_broken_row_of_financeiq_is_refused_by_file_and_line(financeiq, row, told):
    (financeiq / "test" / "税务师.csv").write_text(HEADER + row, "utf-8")
    with pytest.raises(BadCard, match=told):
        find_card("financeiq").rows(None, "test")


def test_a_missing_file_is_told_with_where_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEWORTH_DATA", str(tmp_path))
    for name, where in (("financeiq", "Duxiaoman-DI/XuanYuan"), ("tatqa", "NExTplusplus/TAT-QA")):
        with pytest.raises(BadCard, match=f"get them from https://github.com/{where}"):
            read_task(*find(name))


# ---- TAT-QA


def asked(uid: str, text: str, answer: Any, kind: str, scale: str = "", **more: Any) -> dict[str, Any]:
    return {
        "uid": uid, "order": 1, "question": text, "answer": answer, "derivation": more.get("derivation", ""),
        "answer_type": kind, "answer_from": "table-text", "rel_paragraphs": ["1"], "req_comparison": False,
        "scale": scale, "facts": [], "consts": [], "mappings": [{"table": [1, 1]}],
    }  # fmt: skip


def report(number: int, *items: dict[str, Any]) -> dict[str, Any]:
    rows = [["", "2019", "2018"], ["Fixed Price", "$  1,452.4", "$  1,146.2"], ["Other", "44.1", "(56.7)"]]
    told = "The contracts\u2019 sales are disaggregated (in millions): \u201cfixed\u201d and other."
    return {
        "table": {"uid": f"t{number}", "table": rows},
        "paragraphs": [
            {"uid": f"p{number}", "order": 1, "text": told},
            {"uid": f"q{number}", "order": 2, "text": "24. Sales"},
        ],
        "questions": list(items),
    }


REPORTS = [
    report(
        1,
        asked("a", "What is paid?", ["allowable costs; plus a profit, if any"], "span"),
        asked("b", "What is the amount of total sales in 2019?", ["$1,496.5"], "span", "million"),
        asked("c", "What are the contract types?", ["fixed-price type", "cost-plus type"], "multi-span"),
        asked("d", "What is the change in Other?", -12.6, "arithmetic", "million", derivation="44.1-56.7"),
        asked(
            "e",
            "What is the percentage change in Other?",
            -22.22,
            "arithmetic",
            "percent",
            derivation="(44.1-56.7)/56.7",
        ),
        asked("f", "How many years exceeded $1,200?", "2", "count"),
    ),
    report(
        2,
        asked("g", "In which years?", ["2019", "2018", "2017"], "multi-span"),
        asked("h", "What is the adjustment?", ["$0.5 million"], "span"),
        asked("i", "What is the discount rate?", ["4.00%"], "span", "percent"),
        asked("j", "How many segments?", 3, "count"),
        asked("k", "What is the ratio?", 3.61, "arithmetic"),
        asked(
            "l",
            "What is the average of Fixed Price?",
            1299.3,
            "arithmetic",
            "million",
            derivation="($1,452.4 + $1,146.2) / 2",
        ),
        asked("m", "How many years?", "2", "count", derivation="2019##2018"),
        asked("n", "What is the sum of Other?", 100.8, "arithmetic", "million", derivation="44.1+56.8"),
    ),
]
GOLD = {
    "a": "allowable costs; plus a profit, if any", "b": "$1,496.5 million", "c": "fixed-price type\ncost-plus type",
    "d": "-12.6 million", "e": "-22.22 percent", "f": "2", "g": "2019\n2018\n2017", "h": "$0.5 million", "i": "4.00%",
    "j": "3", "k": "3.61", "l": "1299.3 million", "m": "2", "n": "100.8 million",
}  # fmt: skip


@pytest.fixture
def tatqa(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TUNEWORTH_DATA", str(tmp_path))
    monkeypatch.setenv("TUNEWORTH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "tatqa"
    folder.mkdir()
    (folder / "tatqa_dataset_test_gold.json").write_text(json.dumps(REPORTS, indent=2), "utf-8")
    return folder


def read_tatqa() -> Task:
    return read_task(*find("tatqa"))


def test_tatqa_is_read_as_it_is_published(tatqa):
    task = read_tatqa()
    assert {row.id: row.answer for row in task.rows} == GOLD
    assert {row.cluster for row in task.rows} == {"t1", "t2"}
    assert {row.subject for row in task.rows} == {"span", "multi-span", "arithmetic", "count"}
    assert (task.edition, task.rows[3].explanation) == ("unpinned", "44.1-56.7")
    context = task.rows[0].context
    assert context.index("24. Sales") < context.index("Fixed Price | $  1,452.4 | $  1,146.2")


def test_lm_eval_asks_and_grades_tatqa_by_the_same_code(tatqa):
    first, *_ = questions(read_tatqa())
    assert "Fixed Price" in first.text
    assert first.text.endswith("several answers one a line.")
    said = "Allowable costs, plus the profit if any."
    assert first.judge.process_results(first.doc, [said]) == {"f1": 1.0}


def test_a_number_twin_of_tatqa_is_reckoned_anew_by_its_derivation(tatqa):
    """Of arithmetic that gives the gold, in its scale: not of counts, spans, or what does not (`n`)."""
    made = {row.id: row for row in read_tatqa().twins("numbers").rows}
    assert made.keys() == {"d", "e", "l"}

    def cells(row, name: str) -> list[float]:
        (line,) = re.findall(rf"^{name} \| (.*)$", row.context, re.M)
        return [float(re.sub("[^0-9.]", "", cell)) for cell in line.split("|")]

    for name, row in made.items():
        (now, then), (fixed, before) = cells(row, "Other"), cells(row, "Fixed Price")
        wanted = {"d": now - then, "e": 100 * (now - then) / then, "l": (fixed + before) / 2}[name]
        value, scale = row.answer.split()
        assert float(value) == pytest.approx(wanted, abs=0.006)
        assert scale == {"e": "percent"}.get(name, "million")
        assert row.answer != GOLD[name]
        assert "2019 | 2018" in row.context, "years stay"
        assert grade("numeracy", f"{value} {scale}", row.answer).score == 1


@pytest.mark.parametrize(
    "way", ["{}", "Answer: {}", "The answer is:\n{}", "\\boxed{{{}}}", "**{}**", "Final answer: {}"]
)
def test_every_gold_of_tatqa_is_read_back(way):
    for gold in GOLD.values():
        assert grade("numeracy", way.format(gold), gold).outcome == "correct", gold
        assert way != "{}" or grade("numeracy", gold, gold, reading="strict").outcome == "correct"


@pytest.mark.parametrize(
    ("said", "gold", "score"),
    [
        ("-12.6", "-12.6 million", 0), ("-12,600 thousand", "-12.6 million", 1),
        ("-$12.60 million", "-12.6 million", 1),
        ("12.6 million", "-12.6 million", 0), ("-12.58 million", "-12.6 million", 0),
        ("1.4965 billion", "$1,496.5 million", 1), ("$1,496.5 billion", "$1,496.5 million", 0),
        ("-22.22%", "-22.22 percent", 1), ("-0.2222", "-22.22 percent", 1), ("-22.22", "-22.22 percent", 0),
        ("-22.2%", "-22.22 percent", 0), ("23%", "0.23", 1), ("I cannot answer.", "3.61", 0),
        ("2017, 2018 and 2019", "2019\n2018\n2017", 1), ("2018; 2019", "2019\n2018\n2017", 0.8),
        ("2019\n2018\n2017\n2016", "2019\n2018\n2017", 6 / 7),
        ("The cost-plus type", "fixed-price type\ncost-plus type", 0.8),
        ("1. fixed-price type\n2. cost-plus type", "fixed-price type\ncost-plus type", 1), ("gold", "silver", 0),
    ],
)  # fmt: skip
def test_scale_and_sets_count_by_the_publishers_rules(said, gold, score):
    assert grade("numeracy", said, gold).score == pytest.approx(score)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"scale": "dozen"}, r"test_gold\.json#1\.1: scale 'dozen'; known are thousand"),
        ({"answer": [5, None]}, r"test_gold\.json#1\.1: answer is no text, number or list"),
        ({"answer": {"x": 1}}, r"test_gold\.json#1\.1: answer is no text, number or list"),
        ({"answer": []}, r"test_gold\.json#1\.1: answer is empty"),
        ({"answer": None}, r"test_gold\.json#1\.1: answer is empty"),
        ({"question": ""}, r"test_gold\.json#1\.1: question is empty"),
        ({"uid": "b"}, r"test_gold\.json#1\.2: id 'b' is already at"),
    ],
)
def test_a_broken_question_of_tatqa_is_refused_by_its_place(tatqa, change, told):
    reports = json.loads(json.dumps(REPORTS))
    reports[0]["questions"][0] |= change
    (tatqa / "tatqa_dataset_test_gold.json").write_text(json.dumps(reports), "utf-8")
    with pytest.raises(BadCard, match=told):
        find_card("tatqa").rows(None, "test")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[\n{"table": }', r"test_gold\.json:2: not JSON"),
        ('[{"table": {"uid": "t"}, "paragraphs": []}]', r"#1: questions is no list of records"),
        ('[{"questions": [{"uid": "a", "question": "?", "answer": 1}]}]', r"#1\.1: no column 'table\.uid'"),
        ('{"table": 1}', r"a list of records is needed"),
    ],
)
def test_a_broken_file_of_tatqa_is_refused(tatqa, text, told):
    (tatqa / "tatqa_dataset_test_gold.json").write_text(text, "utf-8")
    with pytest.raises(BadCard, match=told):
        find_card("tatqa").rows(None, "test")


@given(said=st.text(max_size=200), gold=st.sampled_from(sorted(GOLD.values())))
def test_any_answer_earns_a_share(said, gold):
    assert 0 <= grade("numeracy", said, gold).score <= 1


@given(st.lists(st.text(alphabet="abc 1.,%$-", min_size=1, max_size=8), min_size=1, max_size=5))
def test_a_list_is_its_own_answer_in_any_order(lines):
    gold = "\n".join(lines)
    wanted = [word for part in numeracy.parts(gold) for word in numeracy.words(part)]
    if wanted:
        assert numeracy.shared(wanted[::-1], wanted) == 1
        assert numeracy.shared([], wanted) == 0
