"""Data cards: what is read, what is refused and with which words, how files are found and known."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune import card as card_room
from finetune.card import BadCard, DataCard, Row, ask
from finetune.card.columns import Columns
from finetune.card.dates import Dates
from finetune.card.edition import Split
from finetune.card.records import Reading

SHELF = Path(__file__).parent.parent / "data_cards"
FRONT = {
    "name": "own", "title": "A private exam", "licence": {"name": "private", "commercial": True}, "languages": ["zh"],
    "published": False, "shape": "choice", "format": "csv", "columns": {"options": ["A", "B", "C"]},
    "splits": {"test": ["exam.csv"]},
}  # fmt: skip
EXAM = "question,A,B,C,answer\n利润多少？,一亿,二亿,三亿,B\n收入多少？,四亿,五亿,,A\n"
TURNS = [{"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEWORTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TUNEWORTH_DATA", raising=False)


@pytest.fixture
def make(tmp_path):
    """make({"exam.csv": text or bytes}, key=value, ...) -> DataCard; keys replace those of FRONT."""

    def build(files: dict[str, str | bytes], **changes) -> DataCard:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        front = yaml.safe_dump({**FRONT, **changes}, allow_unicode=True)
        (tmp_path / "own.md").write_text(f"---\n{front}---\nFor people.\n", "utf-8")
        return DataCard.read(tmp_path / "own.md")

    return build


def jsonl(*records) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def tuning(make, shape, record, **columns):
    return make({"t.jsonl": jsonl(record)}, shape=shape, format="jsonl", columns=columns, splits={"train": "t.jsonl"})


# ---- the card itself


def test_front_matter_body_and_rows(make):
    card = make({"exam.csv": EXAM})
    assert card.body == "For people.\n"
    first, second = card.rows(None, "test")
    assert (first.question, first.options, first.answer, first.lang) == (
        "利润多少？",
        ("一亿", "二亿", "三亿"),
        "B",
        "zh",
    )
    assert second.options == ("四亿", "五亿")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"licnce": {}}, "licnce: unknown; did you mean licence"),
        ({"columns": {"options": ["A", "B"], "awnser": "x"}}, r"columns\.awnser: unknown; did you mean answer"),
        ({"licence": {"name": "x", "commercial": True, "uri": ""}}, r"licence\.uri: unknown; did you mean url"),
        ({"columns": {}}, r"columns\.options: missing"),
        ({"reading": {"mend": "latin"}}, r"reading\.mend"),
        ({"columns": {"options": ["A", "B"], "answer": ""}}, "needs question and answer"),
        ({"splits": {}}, "splits"),
        ({"splits": {"test": ["../exam.csv"]}}, r"\.\./exam\.csv: name files below"),
        ({"splits": {"test": ["**/exam.csv"]}}, r"\*\*/exam\.csv: name files below"),
        ({"shape": "chioce"}, "shape"),
        (
            {"columns": {"options": ["A", "B"], "from_path": {"subject": "(a"}}},
            r"subject: '\(a' is no regular expression",
        ),
        ({"columns": {"options": ["A", "B"], "from_path": {"subject": "a"}}}, "subject: 'a' has no group"),
    ],
)
def test_a_faulty_card_is_refused_by_key(make, changes, words):
    with pytest.raises(BadCard, match=words) as found:
        make({}, **changes)
    assert "own.md" in str(found.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# no front matter", r"card\.md:1: no front matter"),
        ("---\nname: [a\ntitle: b\n---\n", r"card\.md:\d: not YAML"),
        ("---\njust words\n---\n", "no mapping of keys"),
    ],
)
def test_a_card_that_is_none(tmp_path, text, words):
    (tmp_path / "card.md").write_text(text, "utf-8")
    with pytest.raises(BadCard, match=words):
        DataCard.read(tmp_path / "card.md")
    with pytest.raises(BadCard, match=r"absent\.md: No such file"):
        DataCard.read(tmp_path / "absent.md")


def test_readme_speaks_of_every_key():
    text = (SHELF / "README.md").read_text("utf-8")
    keys = {key for model in (DataCard, Columns, Dates, Split, Reading) for key in model.model_fields}
    assert {key for key in keys if not re.search(rf"\b{key}\b", text)} - {"source", "defects"} == set()


# ---- places, digests, editions


def test_missing_files_say_which_where_and_how(make, tmp_path):
    source = {"repository": "https://example.org/set", "commit": "abc123", "path": "data/exam.csv"}
    card = make({}, source=source, folder="own/original")
    with pytest.raises(BadCard) as found:
        card.rows(tmp_path / "root", "test")
    for word in (
        "exam.csv",
        str(tmp_path / "root/own/original"),
        "https://example.org/set @ abc123: data/exam.csv",
        "--data-root",
    ):
        assert word in str(found.value)


def test_roots_in_turn_then_beside_the_card(make, tmp_path, monkeypatch):
    card = make({"f/exam.csv": EXAM, "two/f/exam.csv": EXAM.replace("一亿", "九亿")}, folder="f")
    assert card.rows(None, "test")[0].options[0] == "一亿"
    several = f"{tmp_path / 'one'}{os.pathsep}{tmp_path / 'two'}"
    assert card.rows(Path(several), "test")[0].options[0] == "九亿"
    monkeypatch.setenv("TUNEWORTH_DATA", several)
    assert card.rows(None, "test")[0].options[0] == "九亿"


def test_a_listed_edition_goes_before_an_earlier_root(make, tmp_path):
    sums = {"own": {"exam.csv": hashlib.sha256(EXAM.encode()).hexdigest()}}
    card = make({"exam.csv": EXAM, "root/exam.csv": "question,A\n"}, editions=sums)
    assert card.locate(tmp_path / "root").edition == "own"


def test_editions_are_known_by_content_gzipped_or_not(make, tmp_path):
    sums = {"old": {"exam.csv": "0" * 64}, "own": {"exam.csv": hashlib.sha256(EXAM.encode()).hexdigest()}}
    card = make({"exam.csv": EXAM}, editions=sums)
    digest = card.digest(None)
    assert card.locate(None).edition == "own"
    (tmp_path / "exam.csv").unlink()
    (tmp_path / "exam.csv.gz").write_bytes(gzip.compress(EXAM.encode()))
    assert card.locate(None).edition == "own"
    assert card.digest(None) == digest
    assert len(card.rows(None, "test")) == 2
    (tmp_path / "exam.csv").write_text(EXAM + "再问？,1,2,3,A\n", "utf-8")
    assert card.locate(None).edition == "unpinned"
    assert card.differences(card.locate(None)) == {"old": ["exam.csv"], "own": ["exam.csv"]}
    assert len(card.rows(None, "test")) == 3, "the plain file goes before the gzipped one"


def test_a_star_stays_inside_one_folder():
    split = Split(files=["val/*.csv", "[[]x].csv"])
    assert [split.has(name) for name in ("val/a.csv", "val/b/a.csv", "a.csv", "[x].csv")] == [True, False, False, True]


def test_an_edition_covers_the_splits_that_are_there(make):
    sums = {f"{name}.csv": hashlib.sha256(EXAM.encode()).hexdigest() for name in ("exam", "more", "train")}
    splits = {"test": ["exam.csv", "more.csv"], "train": ["train.csv"]}
    assert make({"exam.csv": EXAM}, editions={"own": sums}, splits=splits).locate(None).edition == "unpinned"
    assert make({"more.csv": EXAM}, editions={"own": sums}, splits=splits).locate(None).edition == "own"
    with pytest.raises(BadCard, match=r"no file train\.csv \(split train\)"):
        make({}, splits=splits).rows(None, "train")


def test_a_sha256sum_file_lists_an_edition(make):
    line = f"{hashlib.sha256(EXAM.encode()).hexdigest()}  exam.csv\n"
    assert make({"exam.csv": EXAM, "own.sha256": line}, editions={"own": "own.sha256"}).locate(None).edition == "own"
    with pytest.raises(BadCard, match=r"own\.sha256:2: 'nonsense'"):
        make({"own.sha256": line + "nonsense\n"}, editions={"own": "own.sha256"})
    with pytest.raises(BadCard, match=r"none\.sha256: No such file"):
        make({}, editions={"own": "none.sha256"})


def test_the_digest_follows_what_decides_the_rows(make):
    plain = make({"exam.csv": EXAM}).digest(None)
    assert make({}, title="Another title", defects=["known"]).digest(None) == plain
    assert make({}, columns={"options": ["B", "A", "C"]}).digest(None) != plain
    assert make({"exam.csv": EXAM + "再问？,1,2,3,A\n"}).digest(None) != plain


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
        (EXAM.encode("gb18030"), r"exam\.csv: not utf-8-sig text"),
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


@pytest.mark.parametrize("answer", ["1,080", "-3", "93.5%", ".5", "1e-05", "yes", "否", "$12"])
def test_numbers_are_taken_as_written(make, answer):
    rows = make({"exam.csv": f'question,answer\nq,"{answer}"\n'}, shape="numeric", columns={}).rows(None, "test")
    assert rows[0].answer == answer


@pytest.mark.parametrize("answer", ["twelve", "1 of 2", "12.5.1", "nan", "inf"])
def test_what_is_no_number_is_refused(make, answer):
    with pytest.raises(BadCard, match="is not a number; correct it, or use shape: qa"):
        make({"exam.csv": f"question,answer\nq,{answer}\n"}, shape="numeric", columns={}).rows(None, "test")


def test_an_answer_after_a_mark(make):
    text = jsonl({"question": "2+3?", "answer": "2+3=5.\n#### 5"})
    card = make({"e.jsonl": text}, shape="numeric", format="jsonl", languages=["en"], target="explanation",
                columns={"answer_after": "####"}, splits={"train": "e.jsonl"})  # fmt: skip
    row = card.rows(None, "train")[0]
    assert (row.answer, row.explanation) == ("5", "2+3=5.")
    assert row.conversation()[-1].content == "2+3=5.\nAnswer: 5"
    with pytest.raises(BadCard, match="has no '####' before the answer"):
        make({"e.jsonl": jsonl({"question": "q", "answer": "5"})}, shape="numeric", format="jsonl",
             columns={"answer_after": "####"}, splits={"train": "e.jsonl"}).rows(None, "train")  # fmt: skip


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


# ---- splits, ids, clusters


def test_two_records_with_one_id_are_refused_with_both_places(make):
    columns = {"options": ["A", "B", "C"], "id": "id"}
    card = make({"exam.csv": "id,question,A,B,C,answer\n7,q,1,2,3,A\n7,r,1,2,3,A\n"}, columns=columns)
    with pytest.raises(BadCard, match=r"exam\.csv:3: id '7' is already at exam\.csv:2"):
        card.rows(None, "test")


def test_a_split_chooses_by_column_and_an_unknown_one_is_refused(make):
    splits = {
        "a": {"files": "exam.csv", "where": {"answer": "A"}},
        "x": {"files": "exam.csv", "where": {"year": ["1"]}},
    }
    card = make({"exam.csv": EXAM}, splits=splits)
    assert [row.answer for row in card.rows(None, "a")] == ["A"]
    with pytest.raises(BadCard, match="no column 'year', by which the split chooses"):
        card.rows(None, "x")
    with pytest.raises(BadCard, match="no split 'train'; there are a, x"):
        card.rows(None, "train")


def test_ids_do_not_change_when_a_second_file_comes(make):
    card = make({"a_1.csv": EXAM}, splits={"test": "a_*.csv"})
    before = [row.id for row in card.rows(None, "test")]
    make({"a_2.csv": EXAM})
    assert [row.id for row in card.rows(None, "test")] == [*before, "a_2/0", "a_2/1"]


def test_halves_part_the_rows_and_keep_equal_questions_together(make):
    lines = [f"第{n}问，利润{end},1,2,3,A" for n in range(60) for end in ("？", " ?！")]
    splits = {"all": "e.csv", "exam": {"files": "e.csv", "half": 0}, "train": {"files": "e.csv", "half": 1}}
    card = make({"e.csv": "question,A,B,C,answer\n" + "\n".join(lines)}, splits=splits)
    ids = {split: {row.id for row in card.rows(None, split)} for split in splits}
    assert ids["exam"] | ids["train"] == ids["all"]
    assert not ids["exam"] & ids["train"]
    assert {int(each) // 2 for each in ids["exam"]}.isdisjoint({int(each) // 2 for each in ids["train"]})
    assert 20 < len(ids["exam"]) < 100


def test_clusters_are_the_cards_or_near_duplicates_and_are_kept(make, monkeypatch):
    long = "某企业为增值税一般纳税人，设有一个基本生产车间，生产销售两种产品"
    text = (
        f"question,A,B,C,answer,doc\n{long}。,1,2,3,A,\n另一问？,1,2,3,A,\n{long}吗,1,2,3,A,\n{long}？,1,2,3,A,合同\n"
    )
    card = make({"exam.csv": text})
    assert [row.cluster for row in card.clustered(None, "test")] == ["0", "1", "0", "0"]
    monkeypatch.setattr(card_room, "groups", lambda texts: pytest.fail("grouped a second time"))
    assert [row.cluster for row in card.clustered(None, "test")] == ["0", "1", "0", "0"]
    named = make({}, columns={"options": ["A", "B", "C"], "cluster": "doc"})
    assert [row.cluster for row in named.clustered(None, "test")] == ["0", "1", "0", "合同"]


def test_questions_on_one_context_are_one_cluster(make):
    text = "question,answer,context\n收入？,1,年报全文在此\n成本是多少？,2,年报全文在此。\n收入？,3,另一份年报\n"
    card = make({"exam.csv": text}, shape="qa", columns={"context": "context"})
    assert [row.cluster for row in card.clustered(None, "test")] == ["0", "0", "2"]


# ---- how a question is put


def test_ask_in_both_languages():
    row = Row(id="1", split="s", lang="zh", question="利润？", options=("一亿", "二亿"), answer="B", context="年报")
    assert ask(row) == "年报\n\n利润？\nA. 一亿\nB. 二亿\n只回答选项字母。"
    english = row.model_copy(update={"lang": "en", "multiple": True, "context": ""})
    assert ask(english).splitlines()[0] == "利润？"
    assert ask(english).endswith("answer with the letters of all that are.")
    assert ask(row.model_copy(update={"options": (), "answer": "12"})) == "年报\n\n利润？"


ROWS = st.builds(
    Row, id=st.text(), split=st.just("s"), lang=st.sampled_from(["zh", "en"]), question=st.text(min_size=1),
    options=st.lists(st.text(min_size=1), min_size=2, max_size=6).map(tuple), multiple=st.booleans(), context=st.text(),
)  # fmt: skip


@given(ROWS, st.sampled_from(["A", "B", "AB", None]), st.text(), st.text())
@settings(max_examples=50, deadline=None)
def test_what_is_asked_does_not_depend_on_the_answer(row, answer, explanation, target):
    told = row.model_copy(update={"answer": answer, "explanation": explanation, "target": target})
    assert ask(told) == ask(row)
    if answer:
        assert told.conversation()[0].content == ask(row)


def test_the_digest_is_of_the_content(make):
    row = make({"exam.csv": EXAM}).rows(None, "test")[0]
    assert row.digest == row.model_copy(update={"id": "other", "split": "train", "cluster": "c"}).digest
    for change in ({"question": "?"}, {"context": "c"}, {"options": ("x", "y")}, {"answer": "A"}):
        assert row.digest != row.model_copy(update=change).digest


def test_an_unanswered_row_cannot_be_trained_on():
    with pytest.raises(ValueError, match="no answer is known"):
        Row(id="1", split="s", lang="zh", question="?").conversation()


# ---- training rows


@pytest.mark.parametrize(
    ("shape", "record", "columns", "turns"),
    [
        ("messages", {"messages": TURNS}, {}, [("user", "问"), ("assistant", "答")]),
        ("sharegpt", {"conversations": [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}]},
         {"messages": "conversations"}, [("user", "问"), ("assistant", "答")]),
        ("prompt_completion", {"prompt": "问", "completion": "答"}, {}, [("user", "问"), ("assistant", "答")]),
        ("alpaca", {"instruction": "做", "input": "这", "output": "好"}, {}, [("user", "做\n这"), ("assistant", "好")]),
        ("alpaca", {"instruction": "做", "output": "好", "system": "你", "history": [["问", "答"]]}, {},
         [("system", "你"), ("user", "问"), ("assistant", "答"), ("user", "做"), ("assistant", "好")]),
    ],
)  # fmt: skip
def test_conversations_of_every_shape(make, shape, record, columns, turns):
    row = tuning(make, shape, record, **columns).rows(None, "train")[0]
    assert [(turn.role, turn.content) for turn in row.conversation()] == turns
    assert row.asked == "\n".join(text for role, text in turns if role == "user")


@pytest.mark.parametrize(
    ("shape", "record", "words"),
    [
        ("messages", {"messages": TURNS[:1]}, "the last turn is not the assistant's"),
        (
            "messages",
            {"messages": [TURNS[0], {"role": "assistant", "content": " "}]},
            "the turn of the assistant is empty",
        ),
        ("messages", {"messages": [{"role": "tool", "content": "x"}, TURNS[1]]}, "a turn with role 'tool'"),
        ("messages", {"messages": "问"}, "no list of {role, content}"),
        ("messages", {"turns": TURNS}, "no column 'messages'; there are turns"),
        ("prompt_completion", {"prompt": "问", "completion": ""}, "the turn of the assistant is empty"),
        ("alpaca", {"instruction": "做", "output": "好", "history": ["x"]}, "no list of .user, assistant. pairs"),
    ],
)
def test_conversations_without_anything_to_learn_are_refused(make, shape, record, words):
    with pytest.raises(BadCard, match=rf"t\.jsonl:1: .*{words}"):
        tuning(make, shape, record).rows(None, "train")


# ---- the demo's cards


@pytest.mark.parametrize(
    ("name", "split", "rows", "clusters"),
    [
        ("label", "test", 480, 60),
        ("knowledge", "test", 480, 60),
        ("extraction", "test", 480, 48),
        ("tuning", "train", 720, None),
    ],
)
def test_the_demo_cards_are_of_the_listed_edition(name, split, rows, clusters):
    card = DataCard.read(SHELF / f"demo_{name}.md")
    assert card.locate(None).edition == "official"
    found = card.rows(None, split)
    assert len(found) == rows
    assert {row.lang for row in found} == {"zh", "en"}
    assert clusters is None or len({row.cluster for row in found}) == clusters


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
    assert "\u00e2\u20ac\u2122" in make({"exam.csv": text}).rows(None, "test")[0].question
    (row,) = make({"exam.csv": text}, reading={"mend": "cp1252"}).rows(None, "test")
    assert row.question == "the Fed\u2019s caf\u00e9 \u2014 \u5229\u6da6?"


def test_given_options_may_be_answered_by_number(make):
    split = {"files": "exam.csv", "options": ["dovish", "hawkish"]}
    card = make({"exam.csv": "question,answer\nq,1\n"}, columns={"answer_form": "index0"}, splits={"test": split})
    assert card.rows(None, "test")[0].answer == "B"


def test_younger_keys_do_not_move_the_digest_of_a_card_without_them(make):
    plain = make({"exam.csv": EXAM})
    assert {"mend", "nested"}.isdisjoint(str(plain.model_dump(exclude_defaults=True)))
    digest = plain.digest(None)
    assert make({}, misfits="refuse", reading={"mend": ""}).digest(None) == digest
    assert make({}, misfits="drop").digest(None) != digest
