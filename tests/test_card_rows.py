"""Rows of a card: splits, ids and clusters, numbers, how a question is put, conversations to train on."""

from __future__ import annotations

from functools import partial

import pytest
import small_card
from hypothesis import given, settings
from hypothesis import strategies as st
from small_card import EXAM, jsonl

from finetune import card as card_room
from finetune.card import BadCard, Row, ask

TURNS = [{"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    small_card.alone(tmp_path, monkeypatch)


@pytest.fixture
def make(tmp_path):
    return partial(small_card.make, tmp_path)


def tuning(make, shape, record, **columns):
    return make({"t.jsonl": jsonl(record)}, shape=shape, format="jsonl", columns=columns, splits={"train": "t.jsonl"})


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


# ---- numbers


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


# ---- how a question is put


def test_an_instruction_with_its_labels_stands_before_every_question(make):
    told = {
        "instruction": "只写其一：{labels}。",
        "labels": ["拥有", "收购"],
        "shape": "qa",
        "columns": {"context": "who"},
    }
    card = make({"exam.csv": "who,question,answer\n甲 乙,甲有乙,拥有\n丙 丁,丙买丁,收购\n"}, **told)
    first, second = card.rows(None, "test")
    assert ask(first) == "只写其一：拥有、收购。\n\n甲 乙\n\n甲有乙"
    assert [turn.content for turn in second.conversation()] == ["只写其一：拥有、收购。\n\n丙 丁\n\n丙买丁", "收购"]
    assert first.known == ("拥有", "收购")
    assert first.digest != first.model_copy(update={"instruction": ""}).digest
    english = make({"exam.csv": "who,question,answer\nA,B,拥有\n"}, **told | {"languages": ["en"]})
    assert ask(english.rows(None, "test")[0]).startswith("只写其一：拥有, 收购。")
    stray = make({"exam.csv": "who,question,answer\n甲,乙,合并\n"}, **told)
    with pytest.raises(
        BadCard, match=r"exam\.csv:2: answer '合并' is none of the card's labels; correct it, or add it"
    ):
        stray.rows(None, "test")


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
