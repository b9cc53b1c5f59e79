"""Records of a card's files and columns: what is read, in all the ways of real files; what is refused at its place."""

from __future__ import annotations

import gzip
import hashlib
import json
from functools import partial

import pytest
import small_card
from small_card import EXAM, jsonl

from finetune.card import BadCard


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    small_card.alone(tmp_path, monkeypatch)


@pytest.fixture
def make(tmp_path):
    return partial(small_card.make, tmp_path)


# ---- files


@pytest.mark.parametrize(
    ("changes", "content"),
    [
        ({}, b"\xef\xbb\xbf" + EXAM.encode()),
        ({}, EXAM.replace("\n", "\r\n").encode()),
        ({"reading": {"encoding": "gb18030"}}, EXAM.encode("gb18030")),
        ({"reading": {"delimiter": ";"}}, EXAM.replace(",", ";").encode()),
        ({"reading": {"header": ["question", "A", "B", "C", "answer"]}}, EXAM.partition("\n")[2].encode()),
        ({}, EXAM.replace("\n", "\n\n", 1).encode()),
    ],
)
def test_csv_in_its_variants(make, changes, content):
    rows = make({"exam.csv": content}, **changes).rows(None, "test")
    assert [(row.question, row.answer) for row in rows] == [("利润多少？", "B"), ("收入多少？", "A")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (EXAM + '"多\n行？",1,2,3,D\n', r"exam\.csv:4: answer 'D' is not among A to C"),
        ('question,A,B,C,answer\n"多\n行？",1,2,3,A\n问？,1,2,3,D\n', r"exam\.csv:4: answer 'D'"),
        (EXAM + "问？,1,2\n", r"exam\.csv:4: 3 cells where the header has 5"),
        (EXAM + '问？,1,2,3,"A\n', r"exam\.csv:4: not CSV"),
        ("question,A,A,C,answer\n", r"exam\.csv:1: the header names 'A' twice"),
        (EXAM.replace("question", "query"), r"exam\.csv:2: no column 'question'; there are query"),
        (EXAM + ",1,2,3,A\n", r"exam\.csv:4: question is empty"),
        (EXAM + "问？,1,2,3,\n", r"exam\.csv:4: answer is empty; answer it, or set unanswered: drop"),
        (EXAM + "问？,1,,3,A\n", r"exam\.csv:4: options are"),
        (EXAM + "问？,1,2,3,AB\n", r"exam\.csv:4: answer 'AB' names several"),
        (EXAM.encode("gb18030"), r"exam\.csv:2: not utf-8-sig text \(byte 0xc0: "),
        (
            EXAM + "问？,(B) 一,(A) 二,(C) 三,A\n",
            r"exam\.csv:4: options begin with letters of their own \(B, A, C\); set",
        ),
    ],
)
def test_a_broken_csv_is_refused_at_its_place(make, content, words):
    with pytest.raises(BadCard, match=words):
        make({"exam.csv": content}).rows(None, "test")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("exam.jsonl", '{"question": "q"\n', r"exam\.jsonl:1: not JSON"),
        ("exam.jsonl", '{"question": "q", "answer": "a"}\n\n[1]\n', r"exam\.jsonl:3: a record of named values"),
        ("exam.json", '[\n{"question": }]', r"exam\.json:2: not JSON"),
        ("exam.json", '{"data": []}', r"exam\.json: a list of records is needed, found dict"),
        ("exam.json", '[{"question": "q", "answer": "a"}, 7]', r"exam\.json#2: a record of named values"),
        ("exam.jsonl", '{"question": "q", "answer": "a"}\n' + "[" * 100_000 + "\n", r"exam\.jsonl:2: brackets within"),
        ("exam.json", "[" * 100_000, r"exam\.json: brackets within"),
        (
            "exam.jsonl.gz",
            gzip.compress(b'{"question": "q", "answer": "a"}\n', mtime=0)[:-9],
            r"exam\.jsonl\S*: not a whole gzip",
        ),
    ],
)
def test_broken_json_is_refused_at_its_place(make, name, content, words):
    plain = name.removesuffix(".gz")
    form = plain.rpartition(".")[2]
    card = make({name: content}, shape="qa", columns={}, format=form, splits={"test": plain})
    with pytest.raises(BadCard, match=words):
        card.rows(None, "test")


def test_all_broken_records_are_counted_and_the_rest_is_read(make):
    card = make({"exam.csv": EXAM + "问？,1,2,3,D\n问！,1,2,3,E\n再问？,1,2,3,A\n"})
    rows, faults = card.sift(None, "test")
    assert [row.question for row in rows] == ["利润多少？", "收入多少？", "再问？"]
    assert len(faults) == 2
    with pytest.raises(BadCard, match=r"exam\.csv:4: .* \(and 1 more"):
        card.rows(None, "test")


def test_records_inside_a_json_file(make):
    content = json.dumps(
        {"data": {"items": [{"question": "q", "answer": float("nan")}, {"question": "q", "answer": "a"}]}}
    )
    asked = {"shape": "qa", "format": "json", "columns": {}, "unanswered": "drop", "splits": {"test": "e.json"}}
    card = make({"e.json": content}, reading={"records": "data.items"}, **asked)
    assert [row.answer for row in card.rows(None, "test")] == ["a"]
    with pytest.raises(BadCard, match=r"no rows on the way to reading\.records"):
        make({}, reading={"records": "rows"}, **asked).rows(None, "test")


# ---- columns


@pytest.mark.parametrize(
    ("options", "reading"),
    [
        (["x", "y", "z"], {}),
        ({"A": "x", "B": "y", "C": "z"}, {}),
        ({"C": "z", "A": "x", "B": "y"}, {}),
        ("{'A': 'x', 'B': 'y', 'C': 'z'}", {"literal": ["choices"]}),
        ("['x', 'y', 'z']", {"literal": ["choices"]}),
    ],
)
def test_options_in_one_column(make, options, reading):
    card = make({"e.jsonl": jsonl({"question": "q", "choices": options, "answer": "C"})}, format="jsonl",
                columns={"options": "choices"}, reading=reading, splits={"test": "e.jsonl"})  # fmt: skip
    assert card.rows(None, "test")[0].options == ("x", "y", "z")


def test_a_literal_is_read_and_never_run(make, tmp_path):
    code = f"__import__('pathlib').Path({str(tmp_path / 'ran')!r}).touch()"
    content = jsonl({"question": "q", "choices": code, "answer": "A"})
    card = make({"e.jsonl": content}, format="jsonl", splits={"test": "e.jsonl"},
                columns={"options": "choices"}, reading={"literal": ["choices"]})  # fmt: skip
    with pytest.raises(BadCard, match="no Python literal"):
        card.rows(None, "test")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("form", "written", "letter"),
    [("letters", "b", "B"), ("text", "二亿", "B"), ("index0", "1", "B"), ("index1", "1", "A"), ("index0", 2, "C")],
)
def test_answers_in_their_forms(make, form, written, letter):
    record = {"question": "q", "A": "一亿", "B": "二亿", "C": "三亿", "answer": written}
    columns = {"options": ["A", "B", "C"], "answer_form": form}
    card = make({"e.jsonl": jsonl(record)}, format="jsonl", columns=columns, splits={"test": "e.jsonl"})
    assert card.rows(None, "test")[0].answer == letter


@pytest.mark.parametrize(("form", "written"), [("text", "四亿"), ("index0", "3"), ("index1", "0"), ("letters", "AA")])
def test_answers_that_fit_nothing_are_refused(make, form, written):
    columns = {"options": ["A", "B", "C"], "answer_form": form, "multiple": True}
    card = make({"exam.csv": f"question,A,B,C,answer\nq,一亿,二亿,三亿,{written}\n"}, columns=columns)
    with pytest.raises(BadCard, match=rf"exam\.csv:2: answer '{written}'"):
        card.rows(None, "test")


def test_several_right_options_only_where_the_card_says_so(make):
    text = 'kind,question,A,B,C,answer\n多选,q,1,2,3,"C, a"\n多选,r,1,2,3,B\n单选,s,1,2,3,B\n'
    columns = {"options": ["A", "B", "C"], "multiple": {"kind": "多选"}}
    rows = make({"exam.csv": text}, columns=columns).rows(None, "test")
    assert [(row.answer, row.multiple) for row in rows] == [("AC", True), ("B", True), ("B", False)]


def test_given_options_are_answered_by_text(make):
    split = {"files": "exam.csv", "options": ["是", "否"]}
    rows = make({"exam.csv": "question,answer\nq,否\nr,是\n"}, columns={}, splits={"test": split}).rows(None, "test")
    assert [(row.options, row.answer) for row in rows] == [(("是", "否"), "B"), (("是", "否"), "A")]


def test_subject_of_the_path_context_table_cluster_blank_and_optional(make):
    record = {"q": "问", "table": [["年", "利润"], ["2023", 5]], "lines": ["一", "二"], "answer": 12.5, "why": "略。"}
    files = {"a/tax_val.jsonl": jsonl(record), "b/law_val.jsonl": jsonl({**record, "note": "n"})}
    card = make(
        files, shape="numeric", format="jsonl",
        columns={"question": "q", "context": ["lines", "table", "note"], "optional": "note", "explanation": "why",
                 "cluster": "table", "from_path": {"subject": "([^/]+)_val$"}},
        reading={"blank": ["略。"]}, splits={"val": ["*/*_val.jsonl"]},
    )  # fmt: skip
    one, two = card.rows(None, "val")
    assert (one.subject, one.answer, one.explanation) == ("tax", "12.5", "")
    assert one.context == "一\n二\n\n年 | 利润\n2023 | 5"
    assert two.context.endswith("\n\nn")
    assert one.cluster == two.cluster == hashlib.sha256("年 | 利润\n2023 | 5".encode()).hexdigest()[:16]
    assert (one.id, two.id) == ("a/tax_val/0", "b/law_val/0")


def test_languages_said_single_or_by_script(make):
    text = "question,answer,lang\n利润?,1,en\nprofit?,2,zh\n"
    both = ["zh", "en"]
    assert [r.lang for r in make({"exam.csv": text}, shape="qa", columns={}, languages=both).rows(None, "test")] == [
        "zh",
        "en",
    ]
    said = {"shape": "qa", "columns": {"lang": "lang"}, "languages": both}
    assert [r.lang for r in make({}, **said).rows(None, "test")] == ["en", "zh"]
    assert [r.lang for r in make({}, shape="qa", columns={}, languages=["en"]).rows(None, "test")] == ["en", "en"]
    with pytest.raises(BadCard, match="language 'de' is not known"):
        make({"exam.csv": text.replace("en", "de")}, **said).rows(None, "test")


# ---- the ways of real files


@pytest.mark.parametrize(
    ("options", "read"),
    [
        (["(A)x", "(B)y", "(C)A z"], ("x", "y", "A z")),
        (["A．x", " B. y", "C、z"], ("x", "y", "z")),
        (["A x", "C: z", "B .y"], ("x", "y", "z")),
        (["（A） x", "(C)z", "(B)y"], ("x", "y", "z")),
    ],
)
def test_letters_before_options_are_taken_off(make, options, read):
    card = make({"e.jsonl": jsonl({"question": "q", "o": options, "answer": "C"})}, format="jsonl",
                columns={"options": "o", "lettered": True}, splits={"test": "e.jsonl"})  # fmt: skip
    (row,) = card.rows(None, "test")
    assert (row.options, row.answer) == (read, "C")


@pytest.mark.parametrize("options", [["(A)x", "y"], ["(A)x", "(A)y"], ["(A)x", "(C)y"], ["Apples", "Bananas"]])
def test_options_that_lost_their_letters_are_refused_or_dropped(make, options):
    records = {"e.jsonl": jsonl({"question": "q", "o": ["(A)x", "(B)y"], "answer": "A"},
                                {"question": "q", "o": options, "answer": "A"})}  # fmt: skip
    form = {"format": "jsonl", "columns": {"options": "o", "lettered": True}, "splits": {"test": "e.jsonl"}}
    with pytest.raises(BadCard, match=r"e\.jsonl:2: options"):
        make(records, **form).rows(None, "test")
    assert [row.id for row in make(records, **form, misfits="drop").rows(None, "test")] == ["0"]


def test_lists_within_records_are_records(make):
    squad = {"data": [{"title": "t", "paragraphs": [{"id": "P", "context": "c", "qas": [
        {"id": "Q1", "question": "甲？", "answers": [{"text": "一"}, {"text": "一"}, {"text": "二"}]},
        {"id": "Q2", "question": "乙？", "answers": [{"text": "三"}]},
    ]}]}]}  # fmt: skip
    form = {"format": "json", "shape": "qa", "splits": {"test": "e.json"}}
    columns = {"id": "id", "context": "context", "answers": "answers.text"}
    reading = {"records": "data", "nested": ["paragraphs", "qas"]}
    card = make({"e.json": json.dumps(squad)}, columns=columns, reading=reading, **form)
    rows = card.rows(None, "test")
    assert [(row.id, row.context, row.answer) for row in rows] == [("Q1", "c", '["一", "二"]'), ("Q2", "c", '["三"]')]
    assert rows[0].conversation()[1].content == "一"
    wrong = make({"e.json": json.dumps(squad)}, columns=columns, reading={**reading, "nested": ["qas"]}, **form)
    with pytest.raises(BadCard, match=r"e\.json#1: qas is no list of records"):
        wrong.rows(None, "test")


@pytest.mark.parametrize(("column", "fault"), [("answers.txt", "no 'answers.txt'"), ("question", "no list of answers")])
def test_accepted_answers_that_are_not_there(make, column, fault):
    content = jsonl({"question": "q", "answers": [{"text": "a"}]})
    card = make(
        {"e.jsonl": content}, format="jsonl", shape="qa", columns={"answers": column}, splits={"test": "e.jsonl"}
    )
    with pytest.raises(BadCard, match=rf"e\.jsonl:1: .*{fault}"):
        card.rows(None, "test")


def test_text_once_misread_is_turned_back_where_the_card_says_so(make):
    text = "question,A,B,C,answer\nthe Fed\u00e2\u20ac\u2122s caf\u00e9 \u2014 \u5229\u6da6?,1,2,3,A\n"
    with pytest.raises(
        BadCard, match=r"exam\.csv:2: '\u00e2\u20ac\u2122' was decoded wrongly; set reading\.mend: cp1252"
    ):
        make({"exam.csv": text}).rows(None, "test")
    elsewhere = "note," + text.replace("the Fed", "x,the Fed").replace("\u00e2\u20ac\u2122", "s").replace(
        "x,", "\u00e2\u20ac\u2122,"
    )
    assert make({"exam.csv": elsewhere}).rows(None, "test"), "what nobody is shown may be as it is"
    (row,) = make({"exam.csv": text}, reading={"mend": "cp1252"}).rows(None, "test")
    assert row.question == "the Fed\u2019s caf\u00e9 \u2014 \u5229\u6da6?"


def test_half_a_character_is_refused_at_its_place(make):
    text = '{"q": "a", "a": "b"}\n{"q": "\\ud83d", "a": "b"}\n'
    card = make({"e.jsonl": text}, shape="qa", format="jsonl", columns={"question": "q", "answer": "a"},
                splits={"test": "e.jsonl"})  # fmt: skip
    with pytest.raises(BadCard, match=r"e\.jsonl:2: '\\ud83d' is half of a character; repair its encoding"):
        card.rows(None, "test")


def test_given_options_may_be_answered_by_number(make):
    split = {"files": "exam.csv", "options": ["dovish", "hawkish"]}
    card = make({"exam.csv": "question,answer\nq,1\n"}, columns={"answer_form": "index0"}, splits={"test": split})
    assert card.rows(None, "test")[0].answer == "B"
