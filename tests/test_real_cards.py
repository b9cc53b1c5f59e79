"""The cards of public sets read the upstream files as an independent reading of them does (items.jsonl.gz)."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.card import DataCard, Row, label_of
from finetune.card.likeness import normalise

pytestmark = pytest.mark.data
SHELF = Path(__file__).parent.parent / "data_cards"
Item = dict[str, Any]


def part(name: str) -> Callable[[Item], bool]:
    return lambda item: item["split"] == name


def ant(*kinds: str) -> Callable[[Item], bool]:
    return lambda item: item["subset"].startswith("Ant/") and item["split"] == "test" and item["type"] in kinds


def cflue(*kinds: str) -> Callable[[Item], bool]:
    return lambda item: item["subset"] == "knowledge" and item["type"] in kinds


SPLITS = [  # card, split, rows, which items of the independent reading
    ("fineval", "dev", 170, part("dev")),
    ("fineval", "val", 765, part("val")),
    ("fin_eva", "test", 1359, ant("single")),
    ("fin_eva", "compliance", 210, ant("short")),
    ("cflue", "all", 2492, cflue("single", "judge", "multiple")),
    ("cflue", "single", 1701, cflue("single", "judge")),
    ("cflue", "multiple", 791, cflue("multiple")),
    ("finqa", "dev", 577, part("dev")),
    ("finqa", "test", 767, part("test")),
    ("finre", "train", 13486, part("train")),
    ("finre", "valid", 987, part("valid")),
    ("finre", "test", 2473, part("test")),
    ("gsm8k", "train", 7473, part("train")),
    ("gsm8k", "test", 898, part("test")),
    ("mmlu", "dev", 285, part("dev")),
    ("mmlu", "val", 1054, part("val")),
    ("mmlu", "test", 9432, part("test")),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEWORTH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def items(shared_data) -> Callable[[str], list[Item]]:
    read: dict[str, list[Item]] = {}

    def of(name: str) -> list[Item]:
        if name not in read:
            with gzip.open(shared_data / name / "items.jsonl.gz", "rt", encoding="utf-8") as lines:
                read[name] = [json.loads(line) for line in lines]
        return read[name]

    return of


def card_of(name: str) -> DataCard:
    return DataCard.read(SHELF / f"{name}.md")


def told(item: Item) -> tuple[str, ...]:
    """Question, options, answer, explanation and subject of an item, as a card should read them."""
    options = tuple(text.strip() for text in item.get("options", {}).values())
    answer, why = item["answer"], item.get("explanation", "").strip()
    if item["set"] == "fin_eva" and item["type"] == "short":
        options, answer = ("是", "否"), {"是": "A", "否": "B"}[answer]
    if item["set"] == "cflue" and why in ("略", "略。"):
        why = ""
    subject = "" if item["set"] in ("gsm8k", "finqa", "finre") else item["subject"]
    return (item["question"].strip(), *options, answer, why, subject)


def read(row: Row) -> tuple[str, ...]:
    return (row.question, *row.options, str(row.answer), row.explanation, row.subject)


@pytest.mark.parametrize(("name", "split", "count", "chosen"), SPLITS, ids=[f"{s[0]}-{s[1]}" for s in SPLITS])
def test_rows_equal_the_independent_reading(shared_data, items, name, split, count, chosen):
    rows = card_of(name).rows(shared_data, split)
    assert len(rows) == len({row.id for row in rows}) == count
    assert Counter(map(read, rows)) == Counter(told(item) for item in items(name) if chosen(item))


@pytest.mark.parametrize("name", sorted({split[0] for split in SPLITS}))
def test_the_files_at_hand_are_the_listed_subset(shared_data, name):
    files = card_of(name).locate(shared_data)
    assert files.edition == "subset"
    assert all(files.paths.values())


def test_fin_eva_has_two_to_five_options_and_its_contexts(shared_data, items):
    rows = card_of("fin_eva").rows(shared_data, "test")
    assert Counter(len(row.options) for row in rows) == {4: 1220, 5: 94, 3: 42, 2: 3}
    contexts = Counter(
        item["context"].strip() for item in items("fin_eva") if ant("single")(item) and "context" in item
    )
    assert Counter(row.context for row in rows if row.context) == contexts


def test_cflue_says_where_several_may_be_right_without_looking_at_the_answer(shared_data):
    rows = card_of("cflue").rows(shared_data, "all")
    assert sum(row.multiple for row in rows) == 791
    assert sum(row.multiple and len(row.answer or "") == 1 for row in rows) == 83
    assert all(row.multiple for row in rows if len(row.answer or "") > 1)


def test_cflue_halves_share_no_question(shared_data):
    card = card_of("cflue")
    halves = {split: card.rows(shared_data, split) for split in ("exam_half", "train_half", "exam_half_single")}
    exam, train = ({normalise(row.question) for row in halves[split]} for split in ("exam_half", "train_half"))
    assert not exam & train
    assert len(halves["exam_half"]) + len(halves["train_half"]) == 2492
    assert {row.id for row in halves["exam_half_single"]} == {row.id for row in halves["exam_half"] if not row.multiple}


def test_finre_asks_for_head_and_tail_before_the_sentence(shared_data, items):
    rows = card_of("finre").clustered(shared_data, "test")
    pairs = [item for item in items("finre") if item["split"] == "test"]
    assert [row.context for row in rows] == [f"{item['head']}\n\n{item['tail']}" for item in pairs]
    assert len({row.cluster for row in rows}) == len({item["question"].strip() for item in pairs})


def test_phrasebank_is_read_as_it_was_and_its_halves_share_no_sentence(shared_data, items):
    card = card_of("financial_phrasebank")
    assert card.locate(shared_data).edition == "subset"
    agreed = {(row.question, label_of(row)) for row in card.rows(shared_data, "agreed")}
    told = {(i["question"], i["answer"]) for i in items("financial_phrasebank") if i["subset"] == "AllAgree"}
    assert agreed == told
    exam, train = ([normalise(r.question) for r in card.rows(shared_data, s)] for s in ("exam_half", "train_half"))
    assert not {*exam} & {*train}
    assert len(exam) + len(train) == len(card.rows(shared_data, "all")) == 3169


def test_finqa_questions_on_one_table_are_one_cluster(shared_data, items):
    rows = card_of("finqa").clustered(shared_data, "test")
    tables = [item["context"].partition("\n\nTable: ")[2] for item in items("finqa") if item["split"] == "test"]
    pairs = {(row.cluster, table) for row, table in zip(rows, tables, strict=True)}
    assert len(pairs) == len(set(tables)) == len({cluster for cluster, _ in pairs})
    assert "payments volume" in card_of("finqa").rows(shared_data, "dev")[0].context


def test_gsm8k_trains_on_the_solution_and_then_the_answer(shared_data):
    row = card_of("gsm8k").rows(shared_data, "train")[0]
    assert row.conversation()[1].content == f"{row.explanation}\nAnswer: 72"
    assert "####" not in row.target


def test_clusters_of_fineval_are_near_duplicates(shared_data):
    rows = card_of("fineval").clustered(shared_data, "val")
    assert all(row.cluster for row in rows)
    assert len({row.cluster for row in rows}) == 765
