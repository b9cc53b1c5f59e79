"""What is taken for evidence: figures of an answer that stand in it or nowhere, and questions that are left without it.

Thousands commas, percent forms and units are read in both languages, in what is shown and in what is said.
"""

from __future__ import annotations

import pytest

from eval.extract.support import sizes, unsupported
from eval.twins import bared, twin
from finetune.card import Row

SHOWN = "revenue was $ 5,829 in 2019 and 5735 in 2018 ( in millions ), margin 23.64 % ; 利润1.25亿元"


@pytest.mark.parametrize(
    ("answer", "quoted", "nowhere"),
    [
        ("", 0, 0),
        ("Revenue was $5,829 million.", 1, 0),
        ("Revenue was $5.8 billion and the margin 23.6%", 2, 0),  # rounded, in another unit
        ("营业收入58.29亿元，利润12,500万元", 2, 0),
        ("a margin of 0.236, not of 0.25", 2, 1),
        ("a margin of 23.645%", 1, 1),  # more digits than were shown
        ("Revenue was 6,100, that is 6,100 in all", 1, 1),  # each once
        ("5829 - 5735 = 94, and 94 / 5735 = 1.64%", 3, 0),  # reckoned before the eyes
        ("5829 减去 5735 等于 94", 2, 0),
        ("6100 - 5735 = 365", 2, 1),  # its operand is invented, its result is not counted
        ("It rose by 94", 1, 1),
        ("There are 3 reasons. 1. In 2020 it was up", 0, 0),
    ],
)
def test_figures_that_stand_nowhere(answer, quoted, nowhere):
    assert unsupported(answer, SHOWN) == (quoted, nowhere)


def test_the_right_result_stands_though_it_is_nowhere_shown():
    assert unsupported("It rose by 94", SHOWN, "94.0") == (1, 0)


def item(**facts) -> Row:
    return Row(**({"id": "q", "split": "test", "lang": "en", "question": "how much?", "answer": "94"} | facts))


def test_evidence_is_taken_away_where_there_is_some_to_answer_by():
    row = item(context="sales 5829 and 5735", program="subtract(5829, 5735)")
    assert bared(row) == row.model_copy(update={"context": ""})
    assert bared(item()) is None
    assert bared(row.model_copy(update={"question": "5829 less 5735?"})) is None  # it can be answered
    assert twin("evidence", row, "number", written=False) is None  # options cannot be refused
    assert twin("evidence", row, "label") is None


REPORT = (
    "sales of 12,345 and 2,019 units, assets ￥3，456.7万元, cash 5 829, 1'234'567 shares, margin 23.64 per cent, "
    "占比三成二，费率千分之三，上升 12 个百分点，增长百分之八点五, payout 0.375, 利差 45bp"
)


@pytest.mark.parametrize(
    ("answer", "nowhere"),
    [
        ("12345", 0), ("12,345", 0), ("12，345", 0), ("12 345", 0), ("12'345", 0), ("12.3 thousand", 0), ("1.23万", 0),
        ("$12,345.00", 0), ("5829", 0), ("5,829", 0), ("1234567", 0), ("123.5万", 0), ("1.23 million", 0),
        ("3456.7万元", 0), ("3,456.7", 0), ("34,567,000", 0), ("2019股", 0), ("2,019", 0),
        ("12,435", 1), ("12，435", 1), ("12 435", 1), ("3，465.7万元", 1), ("7,777", 1), ("7，777万元", 1),
        ("2,091", 1), ("$2,091", 1), ("2091元", 1),  # no years, as they are written
        ("2091", 0), ("in 2091", 0), ("2091年", 0), ("2091元旦", 0), ("2091元月", 0),  # these may be
    ],
)  # fmt: skip
def test_thousands_are_read_however_they_are_parted(answer, nowhere):
    assert unsupported(answer, REPORT)[1] == nowhere


@pytest.mark.parametrize(
    ("answer", "nowhere"),
    [
        ("23.64%", 0), ("23.64 percent", 0), ("23.64％", 0), ("百分之23.64", 0), ("百分之二十三点六四", 0),
        ("0.2364", 0),
        ("23.6 pct", 0), ("24 percentage points", 0), ("2,364 basis points", 0), ("2364个基点", 0),
        ("32%", 0), ("三成二", 0), ("3成", 0), ("约三成", 0), ("0.32", 0), ("百分之三十二", 0), ("3‰", 0), ("0.3%", 0),
        ("12%", 0), ("0.12", 0), ("8.5%", 0), ("850个基点", 0), ("37.5%", 0), ("百分之三十七点五", 0), ("0.45%", 0),
        ("24.63%", 1), ("24.63 percent", 1), ("百分之二十四点六三", 1), ("0.2463", 1), ("17.3个百分点", 1),
        ("七成五", 1), ("五成", 1), ("9‰", 1), ("54bp", 1), ("百分之八点六", 1), ("73.5 per cent", 1),
        ("1,732 basis points", 1),
    ],
)  # fmt: skip
def test_percent_is_read_in_every_form(answer, nowhere):
    assert unsupported(answer, REPORT) == (1, nowhere)


WORDS = (
    "revenue of ninety million dollars, one hundred and twenty-five stores, cash 3,400, margin 12 %, fee 2.5 percent"
)


@pytest.mark.parametrize(
    ("answer", "quoted", "nowhere"),
    [
        ("ninety million dollars", 1, 0), ("Ninety Million", 1, 0), ("$90 million", 1, 0), ("eighty million", 1, 1),
        ("125 stores", 1, 0), ("one hundred twenty-five stores", 1, 0), ("one hundred and fifteen stores", 1, 1),
        ("three thousand four hundred", 1, 0), ("three thousand, four hundred", 1, 0),
        ("four thousand three hundred", 1, 1), ("$5.8 billion", 1, 1), ("12.5 thousand", 1, 1),
        ("twelve percent", 1, 0), ("Twenty-five percent of revenue", 1, 1), ("two point five per cent", 1, 0),
        ("two point six percent", 1, 1), ("five percent", 1, 1), ("nine basis points", 1, 1), ("seven billion", 1, 1),
        ("two reasons, three steps, ten years", 0, 0), ("one or two", 0, 0), ("one, two, three", 0, 0),
        ("one hundred", 0, 0),
        ("nineteen ninety", 0, 0), ("someone told none of it", 0, 0), ("often, a hundred times", 0, 0),
        ("the twenty-first", 0, 0), ("三分之一", 0, 0), ("九千万元", 1, 0), ("八千万元", 1, 1),
    ],
)  # fmt: skip
def test_figures_in_words_are_figures(answer, quoted, nowhere):
    assert unsupported(answer, WORDS) == (quoted, nowhere)


@pytest.mark.parametrize(
    "text",
    [
        "七成本",
        "三成员",
        "一成立",
        "完成三成交",
        "5、829",
        "12 3456",
        "这一成就显著",
        "一成不变",
        "这一成因",
        "一成套设备",
        "一成全",
        "一成见",
        "一成年人",
    ],
)
def test_what_only_looks_like_one_figure_is_none(text):
    assert not {750, 70, 30, 10, 5829, 123456} & {int(size) for size in sizes(text)}


@pytest.mark.parametrize("text", ["约三成以上", "三成人持有", "三成年轻人", "不足三成，不变", "三成不到"])
def test_tenths_are_read_before_ordinary_words(text):
    assert 30 in sizes(text)


def test_a_list_is_one_number_only_where_that_was_shown():
    assert unsupported("110, 220, 330", "of 110 and of 220") == (3, 1)
    assert unsupported("110, 220", "of 110,220 in all") == (1, 0)
    assert unsupported("110 and 220", "of 110, 220 and more") == (2, 0)


@pytest.mark.parametrize(
    ("program", "question", "left"),
    [
        ("subtract(5829, 5735)", "5829 less 5735?", False),
        ("subtract(5829, 5735)", "what is $ 5,829 less 5,735?", False),
        ("subtract(5829, 5735)", "5，829减去5，735是多少？", False),
        ("subtract(5829, 5735)", "5,829 million less 5735 million?", False),
        ("multiply(0.05, 1200)", "5% of 1,200?", False),
        ("multiply(5%, 1200)", "five hundredths, 0.05, of 1,200?", False),
        ("multiply(5%, 1200)", "1,200 的百分之五是多少？", False),
        ("multiply(30%, 1200)", "1200万元的三成是多少？", False),
        ("subtract(5829, 5735)", "what changed from 5829?", True),
        ("add(20, 5)", "what was it in 2005?", True),  # digits within a year are no figure
        ("divide(const_2, const_5)", "what share was it?", True),  # it takes none from anywhere
    ],
)
def test_a_question_that_has_all_figures_keeps_its_evidence(program, question, left):
    assert (bared(item(context="a table", question=question, program=program)) is not None) is left
