"""Data cards: what one says, what is refused and with which words, how files are found and known."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from functools import partial
from pathlib import Path

import pytest
import small_card
from small_card import EXAM
from small_exam import ROOT
from small_study import tuneworth

from finetune.card import BadCard, DataCard
from finetune.card.columns import Columns
from finetune.card.dates import Dates
from finetune.card.edition import Split
from finetune.card.records import Reading

SHELF = Path(__file__).parent.parent / "data_cards"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    small_card.alone(tmp_path, monkeypatch)


@pytest.fixture
def make(tmp_path):
    return partial(small_card.make, tmp_path)


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
            {"shape": "qa", "labels": ["是", "否"]},
            r"labels: whoever answers must be told them.*\{labels\} in instruction",
        ),
        ({"shape": "qa", "instruction": "选：{labels}"}, "labels: whoever answers must be told them"),
        ({"instruction": "选：{labels}", "labels": ["是", "否"]}, "labels: shape choice has none; use shape: qa"),
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


def test_younger_keys_do_not_move_the_digest_of_a_card_without_them(make):
    plain = make({"exam.csv": EXAM})
    assert {"mend", "nested"}.isdisjoint(str(plain.model_dump(exclude_defaults=True)))
    digest = plain.digest(None)
    assert make({}, misfits="refuse", reading={"mend": ""}).digest(None) == digest
    assert make({}, misfits="drop").digest(None) != digest
    assert make({}, instruction="", labels=[]).digest(None) == digest
    assert make({}, instruction="请选择。").digest(None) != digest


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


@pytest.mark.parametrize("command", [("data", "check", "data_cards/demo_label.md"), ("check", "recipes/demo.yaml")])
def test_a_mistyped_root_is_refused_and_not_passed_over(tmp_path, command):
    """The card's own files lie beside it, and would be taken without a word."""
    done = tuneworth(*command, "--data-root", tmp_path / "dta", cwd=ROOT)
    assert done.returncode == 2
    assert "dta: no such folder (--data-root or TUNEWORTH_DATA); correct it, or leave it out" in done.stderr
