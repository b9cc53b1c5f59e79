"""Exchange notices: the committed files, that what is asked for stands in them, and that the parts share nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from eval.audit.overlap import overlap
from eval.benchmark import find, find_card, read_task
from eval.extract import slots, values
from eval.extract.numerals import numbers
from eval.extract.passages import clean
from eval.score.questions import questions
from finetune.card import Row
from finetune.notices.facts import notices, products
from finetune.notices.writing import LANGS, PARTS, contents, spelled

FOLDER = Path(__file__).parent.parent / "data_cards" / "notices"


def read(part: str, lang: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (FOLDER / f"{part}_{lang}.jsonl").read_text("utf-8").splitlines()]


EVERY = [(part, lang, row) for part in PARTS for lang in LANGS for row in read(part, lang)]


def test_the_committed_files_are_what_the_generator_writes():
    assert {name: (FOLDER / name).read_text("utf-8") for name, _ in contents()} == dict(contents())


def test_the_generator_does_not_depend_on_hash_order(tmp_path):
    for seed in ("0", "1"):
        command = [sys.executable, "-m", "finetune.notices", str(tmp_path / seed)]
        (tmp_path / seed).mkdir()
        subprocess.run(command, check=True, capture_output=True, env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."})
    for path in FOLDER.iterdir():
        assert (tmp_path / "0" / path.name).read_bytes() == (tmp_path / "1" / path.name).read_bytes()
        assert (tmp_path / "0" / path.name).read_bytes() == path.read_bytes()
    wrong = subprocess.run([sys.executable, "-m", "finetune.notices"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, "usage" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("lang", LANGS)
def test_the_task_reads_its_pinned_edition(lang):
    task = read_task(*find(f"notices_{lang}"))
    assert (len(task.rows), task.edition, task.lang, task.metric) == (120, "official", lang, "f1")
    assert len({task.cluster(row) for row in task.rows}) == 40
    assert task.scenario == "extraction"
    asked = questions(task)[0]
    assert asked.text.startswith(task.rows[0].context)
    assert asked.judge.process_results(asked.doc, [task.rows[0].answer]) == {"f1": 1.0}
    assert asked.judge.process_results(asked.doc, ["[]"]) == {"f1": 0.0}


def test_training_writes_the_answer_that_the_exam_reads():
    row = next(iter(read_task(*find("notices_zh")).card.rows(None, "train")))
    assert isinstance(row, Row)
    turns = row.conversation()
    assert turns[0].content.endswith(row.question)
    assert slots.read(turns[1].content, lenient=False)[1] == "form"


def gold(row: dict[str, str]) -> list[slots.Record]:
    found = slots.gold_of(row["answer"])
    assert found
    return found


def dates(text: str) -> set[str]:
    plain = values.HAN_DATE.sub(lambda m: values.day(m[0]) or "", text)
    return {values.day(match[0]) or "" for pattern in values.DATES for match in pattern.finditer(plain)}


def rates(text: str) -> set[str]:
    return {values.rate(text[one.start : one.end]) or "" for one in numbers(text) if one.percent}


def test_every_value_stands_in_its_notice_and_is_not_the_only_one_of_its_kind():
    misled = {"rate": 0, "date": 0, "code": 0}
    for _, _, row in EVERY:
        text = clean(row["notice"])
        wanted = gold(row)
        told = {record["contract"] for record in wanted}
        asked = {record[slot] for record in wanted for slot in ("margin_rate", "price_limit")} - {None}
        when = {record["effective_date"] for record in wanted} - {None}
        assert told <= {*slots.codes(text)}
        assert asked <= rates(text)
        assert when < dates(text), "the day of publication stands there too"
        for record in wanted:
            if record["fee"]:
                share = record["fee"].endswith("%")
                figure = record["fee"].removesuffix("/lot").removesuffix("%")
                tenth = f"{float(figure) * 100:g}" if share else figure
                assert re.search(rf"(?<![0-9.]){re.escape(figure)}(?!\.[0-9]|[0-9])|(?<![0-9.]){tenth}(?![0-9])", text)
        misled["rate"] += bool(rates(text) - asked)
        misled["date"] += len(dates(text)) > len(when) + 1
        misled["code"] += len(slots.codes(text)) > len(told)
    assert misled["rate"] > 0.8 * len(EVERY)
    assert min(misled.values()) > 0.25 * len(EVERY)


def test_no_misleading_value_is_a_right_one():
    for part in PARTS:
        for lang in LANGS:
            for notice in notices(part, lang):
                margins = {terms.margin for terms in notice.groups} - {None}
                assert not margins & {notice.old["margin"], notice.hedge}
                assert notice.old["limit"] not in {terms.limit for terms in notice.groups}
                assert notice.closing not in {terms.fee for terms in notice.groups}
                assert notice.effective not in (notice.published, notice.deadline)
                named = [code for terms in notice.groups for code in terms.contracts]
                assert len({*named, notice.other}) == len(named) + 1


def test_contracts_and_absent_fields_vary():
    for lang in LANGS:
        test = [gold(row) for part, said, row in EVERY if (part, said) == ("test", lang)]
        assert {len(records) for records in test} == {1, 2, 3, 4}
        for slot in slots.SLOTS[1:]:
            absent = sum(record[slot] is None for records in test for record in records)
            every = sum(map(len, test))
            assert 0.1 * every < absent < 0.75 * every, slot
        unlike = sum(len({json.dumps({**record, "contract": ""}) for record in records}) > 1 for records in test)
        assert unlike > 0.15 * len(test), "contracts of one notice on other terms"


def test_parts_share_no_product_no_notice_and_no_sentence():
    names = {part: {name for product in products(part) for name in product} for part in PARTS}
    assert not names["train"] & names["test"]
    value = re.compile(r"[A-Z]{2}[0-9]{4}|[0-9０-９一二三四五六七八九十〇零点%％./\-±元手每百万分之年月日]+")
    skeletons = {}
    for part in PARTS:
        lines = [re.split(r"[。\n]|\. ", row["notice"]) for where, _, row in EVERY if where == part]
        known = {value.sub("#", text) for each in lines for text in each if "|" not in text}
        skeletons[part] = {text for text in known if len(re.sub(r"\W|#", "", text)) > 6}
    assert not skeletons["train"] & skeletons["test"]
    assert min(map(len, skeletons.values())) > 30


@pytest.mark.parametrize("lang", LANGS)
def test_tuning_rows_teach_no_question_of_the_exam(lang):
    card = find_card(f"notices_{lang}")
    found = overlap(card.rows(None, "train"), card.rows(None, "test"), ("train", "test"))
    assert (found.questions, found.any) == (120, set())


@pytest.mark.parametrize(
    ("number", "said"), [("4", "四"), ("10", "十"), ("12.5", "十二点五"), ("20", "二十"), ("31", "三十一")]
)
def test_numbers_are_spelled_as_they_are_said(number, said):
    assert spelled(number) == said
    assert values.rate(f"百分之{said}") == f"{number}%"
