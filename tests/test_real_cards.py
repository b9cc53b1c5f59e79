"""The cards of public sets read the upstream files as an independent reading of them does (items.jsonl.gz)."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.extract import grade
from finetune.card import DataCard, Row, label_of
from finetune.card.likeness import normalise

pytestmark = pytest.mark.data
SHELF = Path(__file__).parent.parent / "data_cards"
Item = dict[str, Any]
SETS = {  # cards that are a part of a set
    "agieval_en": "agieval", "agieval_zh": "agieval", "cfbenchmark_tags": "cfbenchmark",
    "cfbenchmark_sentiment": "cfbenchmark", "openfindata_options": "cfbenchmark", "financebench_prose": "financebench",
}  # fmt: skip
LABELS = {"fomc_stance": ("dovish", "hawkish", "neutral"), "sentiment": ("积极", "中性", "消极")}
WITHOUT_SUBJECT = ("gsm8k", "finqa", "finre", "financebench", "fomc_stance", "cmrc2018")


def part(name: str) -> Callable[[Item], bool]:
    return lambda item: item["split"] == name


def ant(*kinds: str) -> Callable[[Item], bool]:
    return lambda item: item["subset"].startswith("Ant/") and item["split"] == "test" and item["type"] in kinds


def cflue(*kinds: str) -> Callable[[Item], bool]:
    return lambda item: item["subset"] == "knowledge" and item["type"] in kinds


def kind(subset: str, subject: str) -> Callable[[Item], bool]:
    return lambda item: (
        item["subset"] == subset and item["subject"].startswith(subject) and item["type"] in ("single", "tags")
    )


def agieval(*names: str) -> Callable[[Item], bool]:
    """One right letter among four or five options, none of which has lost its own."""
    return lambda item: (
        item["subset"].startswith(names)
        and len(item.get("options", {})) >= 4
        and len(item["answer"]) == 1
        and not any("\u9300   \u7b2c\u4e03\u5468\u671f" in text for text in item["options"].values())
    )


SPLITS = [  # card, split, rows, which items of the independent reading
    ("fineval", "dev", 170, part("dev")),
    ("fineval", "val", 765, part("val")),
    ("fin_eva", "test", 1359, ant("single")),
    ("fin_eva", "compliance", 210, ant("short")),
    ("cflue", "all", 2492, cflue("single", "judge", "multiple")),
    ("cflue", "single", 1701, cflue("single", "judge")),
    ("cflue", "multiple", 791, cflue("multiple")),
    ("cmmlu", "dev", 335, part("dev")),
    ("cmmlu", "test", 7667, part("test")),
    ("agieval_en", "test", 1385, agieval("aqua", "gaokao-english", "lsat", "sat")),
    ("agieval_zh", "test", 1070, agieval(*(f"gaokao-{s}" for s in ("b", "che", "chi", "g", "h", "mathqa", "p")))),
    ("cmrc2018", "dev", 2124, part("dev")),
    ("convfinqa", "dev", 285, part("dev")),
    ("financemath", "validation", 141, part("validation")),
    ("financebench", "numbers", 37, lambda item: item["subject"] == "metrics-generated"),
    ("financebench_prose", "prose", 70, lambda item: item["subject"] != "metrics-generated"),
    ("fomc_stance", "train", 1903, part("train")),
    ("fomc_stance", "test", 311, part("test")),
    ("cfbenchmark_tags", "event", 394, kind("basic", "event")),
    ("cfbenchmark_tags", "product", 205, kind("basic", "product")),
    ("cfbenchmark_tags", "sector", 287, kind("basic", "sector")),
    ("cfbenchmark_sentiment", "test", 380, kind("basic", "sentiment")),
    ("openfindata_options", "knowledge", 110, kind("openfindata", "金融知识")),
    ("openfindata_options", "intent", 55, kind("openfindata", "金融判别/金融意图理解")),
    ("openfindata_options", "calculation", 145, kind("openfindata", "金融计算")),
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
            path = shared_data / SETS.get(name, name) / "items.jsonl"
            packed = path.with_name("items.jsonl.gz")
            text = gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()
            read[name] = [json.loads(line) for line in text.decode().split("\n") if line]
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
    if labels := LABELS.get(item["set"] if item["set"] == "fomc_stance" else item["subject"]):
        options, answer = labels, "ABC"[labels.index(answer)]
    if item["set"] == "cmrc2018":
        answer = str(sorted({text.strip() for text in item["all_answers"]}))
    if item["set"] == "agieval":  # left on by that reading where it is not (A)
        options, why = tuple(re.sub(r"^[A-E] ?[.．]\s*", "", text) for text in options if text), ""
    basic = item["subset"] == "basic"
    subject = "" if basic or item["set"] in WITHOUT_SUBJECT else item["subject"].rpartition("/")[2]
    question = item["context"] if basic else item["question"]
    return (mended(question.strip()), *options, answer, why, subject)


def mended(text: str) -> str:
    """Windows-1252 misreadings of the few signs that occur, by a table of their own."""
    signs = {
        "\u201d": "\u2014",
        "\u2122": "\u2019",
        "\u2018": "\u2011",
        "\u0153": "\u201c",
        "\x9d": "\u201d",
        "\u201c": "\u2013",
    }
    for seen, meant in signs.items():
        text = text.replace(f"\u00e2\u20ac{seen}", meant)
    return text


def read(row: Row) -> tuple[str, ...]:
    accepted = str(sorted(json.loads(row.answer or ""))) if (row.answer or "").startswith('["') else str(row.answer)
    return (row.question, *row.options, accepted, row.explanation, row.subject)


def turned_back(text: Any) -> Any:
    """UTF-8 that was read as Windows-1252, read as UTF-8."""
    if not isinstance(text, str):
        return text
    return re.sub("[ÃÂ][\u00a0-\u00ff]", lambda found: found[0].encode("cp1252").decode(), text)


@pytest.mark.parametrize(("name", "split", "count", "chosen"), SPLITS, ids=[f"{s[0]}-{s[1]}" for s in SPLITS])
def test_rows_equal_the_independent_reading(shared_data, items, name, split, count, chosen):
    rows = card_of(name).rows(shared_data, split)
    assert len(rows) == len({row.id for row in rows}) == count
    known = Counter(told(item) for item in items(name) if chosen(item))
    if name == "mmlu":  # the independent reading left what somebody had decoded wrongly as it stands
        known = Counter({tuple(map(turned_back, told)): count for told, count in known.items()})
    assert Counter(map(read, rows)) == known


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
    assert all(row.instruction.endswith("只写关系本身，一行，不加标点。") for row in rows)
    assert {label for split in ("train", "valid", "test") for row in card_of("finre").rows(shared_data, split)
            for label in (row.answer,)} == set(rows[0].labels)  # fmt: skip
    for said in ("拥有", "关系：拥有", "杉杉股份与雅戈尔的关系是“拥有”。", "关系如下：\n拥有"):
        assert grade("label", said, "拥有", rows[0].known).outcome == "correct", said
    assert grade("label", "两者没有任何关系可言", "拥有", rows[0].known).outcome == "unparsed"
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


def test_logiqa_is_put_in_order_and_has_lost_no_other_question(shared_data, items):
    every = [item for item in items("agieval_zh") if item["subset"].startswith("logiqa")]
    rows = {lang: card_of("logiqa").rows(shared_data, lang) for lang in ("zh", "en")}
    assert {lang: len(found) for lang, found in rows.items()} == {"zh": 435, "en": 416}
    assert sum(item["subset"] == "logiqa-en" for item in every) == 418
    assert Counter(row.answer for row in rows["zh"]) == {"C": 127, "B": 110, "D": 110, "A": 88}
    assert not any(text.startswith(("(A)", "(B)", "A．", "B．")) for row in rows["zh"] for text in row.options)


def test_open_book_questions_come_with_their_pages(shared_data, items):
    rows = card_of("financebench").rows(shared_data, "numbers")
    pages = {item["question"].strip(): item["context"] for item in items("financebench")}
    assert all(pages[row.question][:200].strip() in row.context for row in rows)


def test_what_was_misread_in_fomc_is_turned_back(shared_data):
    rows = card_of("fomc_stance").rows(shared_data, "test") + card_of("fomc_stance").rows(shared_data, "train")
    left = [row.question for row in rows if "\u00e2\u20ac" in row.question]
    assert len(left) == 1, "one has lost the last of its three bytes"
    assert sum("\u2014" in row.question for row in rows) > 5
