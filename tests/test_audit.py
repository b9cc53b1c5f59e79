"""Audit of rows: duplicates and overlap as comparing all pairs finds them, and as they stand in the real sets."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from test_likeness import SHORT, by_all_pairs
from typer.testing import CliRunner

from eval.audit.duplicates import first_alike
from eval.audit.grams import characters, words
from eval.audit.overlap import overlap
from eval.benchmark import Benchmark
from eval.cli import app
from eval.intake import check
from finetune.card import DataCard, Message, Row
from finetune.card.likeness import normalise
from finetune.recipe import Recipe

HAN = "的一是不了在人有我他这为之大来以个中上们到说国和地也子时道出而"


def asked(number: int, question: str, lang: str = "zh", **facts) -> Row:
    return Row(id=str(number), split="test", lang=lang, question=question, answer="1", **facts)


def taught(number: int, question: str, answer: str = "好", lang: str = "zh", **facts) -> Row:
    turns = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Row(id=str(number), split="train", lang=lang, messages=turns, **facts)


# ---- grams and duplicates


@given(st.text("ab甲乙, ", max_size=30), st.text("ab甲乙, ", max_size=30), st.integers(1, 6))
@settings(max_examples=300, deadline=None)
def test_grams_are_equal_where_the_runs_are(one, other, size):
    def runs(text: str) -> set[str]:
        plain = normalise(text)
        return {plain[at : at + size] for at in range(max(1, len(plain) - size + 1)) if plain}

    mine, theirs = characters(one, size), characters(other, size)
    assert (len(mine), len(theirs)) == (len(runs(one)), len(runs(other)))
    if min(map(len, map(normalise, (one, other)))) >= size:
        assert len(np.intersect1d(mine, theirs)) == len(runs(one) & runs(other))


def test_words_do_not_care_for_marks_and_case():
    assert words("The net profit, rose!", 3).tolist() == words("the NET profit - rose", 3).tolist()
    assert len(words("the net profit rose", 5)) == 0


@given(SHORT)
@settings(max_examples=100, deadline=None)
def test_duplicates_join_what_comparing_all_pairs_joins(texts):
    """One direction only: a chain of likeness may be found from another end, but nothing unlike is joined."""
    exact = by_all_pairs(texts)
    assert all(exact[place] == exact[first] for place, first in enumerate(first_alike(texts)))


def test_planted_copies_are_found_among_many():
    rng = random.Random(5)
    texts = ["".join(rng.choices(HAN, k=200)) for _ in range(2000)]
    copies = {at: texts[at][:100] + "新" + texts[at][101:] for at in range(0, 2000, 40)}
    found = first_alike([*texts, *copies.values(), "", "。"])
    assert found[:2000] == list(range(2000))
    assert found[2000:-2] == list(copies)
    assert found[-2:] == [2050, 2051]


# ---- overlap


def test_every_sign_of_overlap_is_told_apart():
    rng = random.Random(1)
    long = ["".join(rng.choices(HAN, k=60)) for _ in range(4)]
    english = "the company recorded net revenue of 4.5 billion dollars in fiscal 2020, up from a year before"
    exam = [
        asked(0, "什么是净息差？"),
        asked(1, long[0]),
        asked(2, "利润是多少？", context=long[1]),
        asked(3, f"Why? {english}", "en"),
        asked(4, "别的问题？", cluster="年报2023.pdf"),
        asked(5, "没有人教过这道题，题目也不短，一共有二十五个字以上的样子。", cluster="7"),
    ]
    rows = [
        taught(0, "什么是 净息差"),
        taught(1, long[0][:30] + "新" + long[0][31:]),
        taught(2, f"请看：{long[1][10:40]}。", cluster="7"),
        taught(3, "说一说", english.upper()),
        taught(4, "说说", source="年报 2023.PDF"),
        taught(5, "没有人教过这道题，题目也不长"),
    ]
    found = overlap(rows, exam, ("a#train", "b#test"))
    assert (found.same, found.near, found.runs, found.source) == (("0",), ("1",), ("1", "2", "3"), ("4",))
    assert (found.questions, found.any) == (6, {"0", "1", "2", "3", "4"})


def test_an_instruction_that_all_share_is_no_overlap():
    told = "请阅读下面这则新闻，并判断它对相关公司的股价是利好、利空还是中性，只写一个词："
    exam = [asked(at, f"{told}甲{at}公司盈利") for at in range(20)]
    rows = [taught(at, f"{told}乙{at}公司亏损严重啊", "利空") for at in range(20)]
    assert overlap(rows, exam, ("a", "b")).runs == ()
    assert len(overlap(rows[:5], exam, ("a", "b")).runs) == 20  # too few to call it an instruction


def test_a_report_taught_by_many_rows_is_overlap_all_the_same():
    report = "".join(random.Random(2).choices(HAN, k=300))
    exam = [asked(at, f"第{at}问？", context=report) for at in range(20)]
    rows = [taught(at, f"{report}\n第{at}题") for at in range(30)]
    assert len(overlap(rows, exam, ("a", "b")).runs) == 20


def test_nothing_overlaps_with_nothing():
    assert overlap([], [asked(0, "问？")], ("a", "b")).any == set()
    assert overlap([taught(0, "问？")], [], ("a", "b")).any == set()


# ---- the real sets: counts of the files at hand


def card(place: Path, name: str, **front) -> DataCard:
    """A card in `place` over upstream files."""
    settled = {"licence": {"name": "x", "commercial": False}, "published": True, "title": name, "name": name}
    path = place / f"{name}.md"
    path.write_text(f"---\n{yaml.safe_dump({**settled, **front}, allow_unicode=True)}---\n", "utf-8")
    return DataCard.read(path)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    place = tmp_path_factory.mktemp("cards")
    asks = {"languages": ["zh"], "shape": "prompt_completion", "format": "csv"}
    asks["columns"] = {"prompt": "question", "completion": "A"}
    tables = {"context": ["text", "table"], "answer": "answer", "source": "table", "question": "questions"}
    return {
        "fineval": card(
            place, "fineval", folder="fineval/original", **asks,
            splits={"val": ["val/*_val.csv"], "test": ["test_unlabelled/*_test.csv"]},
        ),
        "sufe": card(
            place, "sufe", folder="fin_eva/original/SUFE", **asks,
            splits={"all": ["dev/*.csv", "val/*.csv", "test/*.csv"], "val": ["val/*.csv"]},
        ),
        "finre": card(
            place, "finre", folder="finre/original", languages=["zh"], shape="prompt_completion", format="csv",
            reading={"delimiter": "\t", "header": ["head", "tail", "relation", "sentence"]},
            columns={"prompt": "sentence", "completion": "relation"},
            splits={"train": ["train.txt"], "test": ["test.txt"]},
        ),
        "finqa": card(
            place, "finqa", folder="finqa", languages=["en"], shape="numeric", format="jsonl",
            columns={"context": ["context", "table"], "answer": "computed_answer", "source": "table"},
            splits={"all": ["dev.jsonl", "test.jsonl"]},
        ),
        "convfinqa": card(
            place, "convfinqa", folder="convfinqa/original", languages=["en"], shape="numeric", format="json",
            columns=tables, splits={"dev": ["convfinqa_dev.json"]},
        ),
    }  # fmt: skip


@pytest.mark.data
def test_fineval_is_fin_eva_under_another_name(real, shared_data):
    """708 of its val questions are in the other's val part, one more elsewhere in it; so is all of its test part."""
    exam, suite = real["fineval"], real["sufe"].rows(shared_data, "all")
    val = overlap(suite, exam.rows(shared_data, "val"), ("sufe", "val"))
    test = overlap(suite, exam.rows(shared_data, "test"), ("sufe", "test"))
    assert (len(val.same), len(val.near), val.questions) == (709, 1, 765)
    assert (len(test.same), test.questions) == (3340, 3340)
    parts = overlap(real["sufe"].rows(shared_data, "val"), exam.rows(shared_data, "val"), ("sufe", "val"))
    assert len(parts.same) == 708


@pytest.mark.data
def test_finqa_and_convfinqa_share_their_tables(real, shared_data):
    single, chained = real["finqa"].rows(shared_data, "all"), real["convfinqa"].rows(shared_data, "dev")
    found = overlap(chained, single, ("convfinqa", "finqa"))
    assert len(found.source) == 470
    assert len({normalise(row.source) for row in single if row.id in set(found.source)}) == 145
    assert len(set(found.runs) - set(found.source)) == 80
    assert len(overlap(single, chained, ("finqa", "convfinqa")).source) == 285


@pytest.mark.data
def test_four_sentences_of_finre_are_taught_and_examined(real, shared_data):
    exam = real["finre"].rows(shared_data, "test")
    found = overlap(real["finre"].rows(shared_data, "train"), exam, ("train", "test"))
    assert len({row.asked for row in exam if row.id in set(found.same)}) == 4


SHIPPED = sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))


@pytest.mark.data
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_shipped_study_tunes_on_most_of_a_task(shared_data, monkeypatch, path):
    """98 of FinQA's 767 test questions share a run of words with its dev rows; all of ConvFinQA would."""
    monkeypatch.setenv("TUNEWORTH_DATA", str(shared_data))
    recipe = Recipe.read(path)
    barred = {normalise(row.asked) for use in recipe.train.exclude for row in use.card.rows(shared_data, use.split)}
    every = [row for use in recipe.data_used for row in use.card.rows(shared_data, use.split)]
    taught = [row for row in every if normalise(row.asked) not in barred]
    for task in Benchmark.read(recipe).tasks if recipe.purpose == "study" else ():
        found = overlap(taught, task.rows, ("taught", task.name))
        assert found.same == ()
        assert len(found.any) <= 0.15 * len(task.rows), task.name


# ---- the front door


def test_what_check_finds_at_the_front_door(tmp_path):
    cards = Path(__file__).parent.parent / "data_cards"
    rows = [{"prompt": "沪铜的交易单位是多少？", "completion": "5吨"}] * 2
    rows += [{"prompt": "the bank\ufffds rate", "completion": "```up"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    front = {
        "languages": ["zh", "en"],
        "shape": "prompt_completion",
        "format": "jsonl",
        "splits": {"train": "rows.jsonl"},
    }
    own = card(tmp_path, "own", **front)
    words = ["data", "check", str(own.path), "--json", str(tmp_path / "found.json")]
    done = CliRunner().invoke(
        app, [*words, "--against", str(cards / "demo_label.md"), "--against", f"{own.path}#train"]
    )
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    (split,) = found["splits"]
    assert (split["rows"], split["exact"], split["cut"], split["encoding"]) == (3, 1, ["2"], {"replaced": ["2"]})
    demo, itself = found["against"]
    assert (demo["exam"], demo["questions"], demo["same"], demo["runs"]) == ("demo_label#test", 480, [], [])
    assert (itself["same"], itself["questions"]) == (["0", "1", "2"], 3)
    for line in (
        "own#train teaches 3 of 3 questions of own#train: 3 the same, whose rows train.exclude takes out",
        "decoded wrongly (replaced) in 1 rows",
        "cut off: 1",
    ):
        assert line in " ".join(done.output.split())
    assert CliRunner().invoke(app, [*words, "--against", str(tmp_path / "none.md")]).exit_code == 2
    taken = CliRunner().invoke(app, ["data", "check", str(own.path), "--json", str(tmp_path)])
    assert (taken.exit_code, taken.stderr) == (
        2,
        f"tuneworth: {tmp_path}: Is a directory; name another place, or open this one\n",
    )


@pytest.mark.parametrize("name", ["label", "knowledge", "extraction"])
def test_the_demo_teaches_nothing_of_its_exams(name):
    cards = Path(__file__).parent.parent / "data_cards"
    (found,) = check(cards / "demo_tuning.md", None, [str(cards / f"demo_{name}.md")]).against
    assert (found.questions, found.same, found.source) == (480, (), ())
