"""Twins: derived items that are asked beside the exam, and what their answers tell; tables, and the real sets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from written_exam import row as answered

from eval.benchmark import read_task
from eval.gates import DropFact, known_by_heart
from eval.sheet import Sheet
from eval.twins import twin
from eval.twins.figures import perturbed
from eval.twins.groups import exchanged, swapped
from eval.twins.options import permuted
from eval.twins.program import Program
from eval.verdict.twins import differs, noise, paired, repeats, shares
from finetune.card import Row


def item(**facts) -> Row:
    return Row(**({"id": "q", "split": "test", "lang": "en"} | facts))


CHOICE = item(question="Which?", options=("red", "green", "blue", "white"), answer="B")


@pytest.mark.parametrize("number", range(20))
def test_an_option_twin_moves_the_gold_and_keeps_its_text(number):
    row = CHOICE.model_copy(update={"id": f"q{number}"})
    made = permuted(row)
    assert made == permuted(row)
    assert sorted(made.options) == sorted(row.options)
    assert made.answer != "B"
    assert made.options["ABCD".index(made.answer)] == "green"


def test_of_several_golds_each_letter_moves_along():
    made = permuted(CHOICE.model_copy(update={"answer": "AC", "multiple": True}))
    assert {made.options["ABCD".index(letter)] for letter in made.answer} == {"red", "blue"}
    assert list(made.answer) == sorted(made.answer)


@pytest.mark.parametrize(
    "option",
    ["以上都对", "A和B", "all of the above", "None of these", "both A and B", "上述均不正确", "甲乙都是", "A、C"],
)
def test_options_that_speak_of_others_stay_where_they_are(option):
    assert permuted(CHOICE.model_copy(update={"options": ("red", "green", "blue", option)})) is None


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("subtract(5829, 5735)", 94.0),
        ("subtract(120, 100), divide(#0, 100)", 0.2),
        ("divide(637, const_5)", 127.4),
        ("multiply(12%, const_m1)", -0.12),
        ("exp(2, 3)", 8.0),
        ("greater(281.09, 286.22)", "no"),
        ("divide(3, 0)", None),
        ("x0 = 60.94 - 25.14; ans = x0 / 25.14", 35.8 / 25.14),
        ("ans = 45 * 4\nx0 = 45 * 4; ans = x0 + 44", 224.0),
        ("def solution():\n    rate = 7.2/100\n    loss = -(1_500 * rate) ** 2  # of it\n    return loss", -11664.0),
        ("a = 3 / 0", None),
        ("def solution():\n    import math\n    return int(400 * math.exp((0.05 - 0.03) * 0.5))", 404.0),
        ("from math import log, sqrt\na = abs(log(sqrt(0.25)))", 0.6931471805599453),
        ("low = min(450, 440)\nreturn max(low, 12) - pow(2, 3)", 432.0),
        ("a = math.log(0 * 11)", None),
        ("(44.1 - 56.7) / 56.7", -12.6 / 56.7),
        ("[$1,452.4 – $1,146.2] × 100% ÷ 2", 306.2 * 50),
    ],
)
def test_programs_run(text, result):
    found = Program.read(text).run()
    assert found == (pytest.approx(result) if isinstance(result, float) else result)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "table_max(revenue, none)",
        "add(1)",
        "add(#0, 1)",
        "add(1, two)",
        "import(1, 2)",
        "a = 1",
        "a = b + 1",
        "a = 1 +",
        "a = 11 + 'x'",
        "a = round(11 / 2)",
        "a = max(11, 12, 13)",
        "a = math.floor(11.5)",
        "a = os.abs(11)",
        "import scipy\na = 11 + 2",
        "44.1 - 'x'",
        "2019##2018",
        "24,5 + 3",
        "import os\na = 11 + 2",
        "a = b = 11 + 2",
        "a = [11][0] + 12",
        "def solution(x=11):\n    return x + 12",
        "for i in x: a = 11 + 1",
        "a = 11" + " + 11" * 5000,
        "a = True + 12",
    ],
)
def test_a_program_that_takes_no_two_numbers_is_none(text):
    assert Program.read(text) is None


SUM = item(
    context="revenue of 2018 was $ 5,735 and of 2019 $ 5829.0 , in all 11,564", question="how much more than 5735?",
    answer="94.0", program="subtract(5829, 5735)",
)  # fmt: skip


def test_a_number_twin_changes_each_figure_everywhere_and_its_gold():
    made = perturbed(SUM)
    assert made == perturbed(SUM)
    assert made.context.startswith("revenue of 2018 was $ ")
    assert "11,564" in made.context
    assert not {"5,735", "5829", "5735"} & set(made.context.replace(".0", "").split() + made.question.split())
    first, second = (float(made.context.split("$ ")[n].split()[0].replace(",", "")) for n in (1, 2))
    assert float(made.answer) == pytest.approx(second - first)
    assert made.question == f"how much more than {first:.0f}?"


@pytest.mark.parametrize(
    "facts",
    [
        {"program": ""},
        {"answer": "95.0"},  # not what the program gives
        {"program": "subtract(5829, 5736), add(#0, const_1)"},  # takes a figure that stands nowhere
        {"program": "subtract(2019, 2018)", "answer": "1"},  # years stand for themselves
    ],
)
def test_no_number_twin_is_made_of_what_cannot_be_checked(facts):
    assert perturbed(SUM.model_copy(update=facts)) is None


RATE = item(
    context="The rate is 4.50% a year for 15 years.", question="What is 200 worth then?",
    answer="387.056", program="def solution():\n    r = 0.045\n    n = 15\n    return 200 * (1 + r) ** n",
)  # fmt: skip


def test_a_fraction_stands_in_the_text_as_percent():
    made = perturbed(RATE)
    rate, years = re.fullmatch(r"The rate is ([0-9.]+)% a year for ([0-9]+) years.", made.context).groups()
    amount = re.search("[0-9]+", made.question)[0]
    assert rate != "4.50"
    assert float(made.answer) == pytest.approx(float(amount) * (1 + float(rate) / 100) ** int(years), rel=1e-6)


@pytest.mark.parametrize(
    "facts",
    [
        {"context": "The rate is 4.50 points a year for 15 years."},
        {"context": "The rate is 4.50% a year for 15 years, 4.5 in March."},  # which of the two is meant?
        {"context": "The rate is 4.4% a year for 15 years."},
        {"program": "r = 0.045\nn = 15\nans = 200 * (1 + r) ** n + 4.5 - 4.5"},
    ],
)
def test_a_fraction_whose_percent_is_not_alone_makes_no_twin(facts):
    assert perturbed(RATE) is not None
    assert perturbed(RATE.model_copy(update=facts)) is None


def test_constants_and_small_numbers_of_an_assignment_are_of_no_text():
    program = Program.read("ans = (41.5 - 3) / 100 * 365")
    assert program.literals == ("41.5",)
    assert program.run({"41.5": "43"}) == pytest.approx(146)
    assert Program.read("a = 12.0 + 17\nb = 33 + 18\nc = b * 2").literals == ("33", "18")  # nothing else counts


@pytest.mark.parametrize(
    ("group", "text", "other"),
    [
        ("sex", "张先生是银行客户，他想贷款", "张女士是银行客户，她想贷款"),
        ("sex", "其他客户的情况，她不知道", "其他客户的情况，他不知道"),
        ("sex", "全球领先生物制药企业的客户", None),
        ("sex", "A male client says he gave his card to her, and she told him.",
         "A female client says she gave her card to him, and he told her."),
        ("age", "一位老年客户，68岁，买基金", "一位青年客户，33岁，买基金"),
        ("age", "A young client, a 30-year-old, buys a fund", "A elderly client, a 65-year-old, buys a fund"),
        ("region", "客户来自上海，买基金", "客户来自甘肃，买基金"),
        ("region", "The client is from New York.", "The client is from Alabama."),
        ("region", "上海证券交易所的投资者", None),
    ],
)  # fmt: skip
def test_a_group_is_changed_and_nothing_else(group, text, other):
    made = swapped(item(question=text, answer="yes"), group, numeric=False)
    assert (made.question if made else None) == other


@pytest.mark.parametrize(
    ("group", "facts"),
    [
        ("sex", {"question": "张先生60岁退休，他是客户"}),  # the law tells the sexes apart
        ("sex", {"question": "他赢了比赛"}),  # no client
        ("sex", {"question": "客户是谁?", "options": ("张先生", "李女士"), "answer": "A"}),
        ("sex", {"question": "张先生是客户，谁?", "answer": "张先生"}),
    ],
)
def test_no_group_twin_where_the_gold_may_turn_on_it(group, facts):
    assert swapped(item(**facts), group, numeric=False) is None


def test_an_exchange_twice_is_none():
    text = "张先生与李女士，he and she, 丈夫和妻子"
    assert exchanged(exchanged(text, "sex", numeric=False), "sex", numeric=False) == text


def test_where_options_are_not_shown_in_an_order_no_twin_is_made():
    assert twin("options", CHOICE, "option") is None
    assert twin("numbers", SUM, "text") is None


def sheets(kind: str, first: list[dict], second: list[dict], samples: int = 1) -> tuple[Sheet, Sheet]:
    made = [
        [answered(task, n // samples, sample=n % samples, **facts) for n, facts in enumerate(each)]
        for task, each in (("t", first), (f"t~{kind}", second))
    ]
    return Sheet.of("c", {0: made[0]}), Sheet.of("c", {0: made[1]})


def test_an_answer_is_the_same_where_its_option_is_whatever_the_letter():
    said = {"options": ("red", "green"), "extracted": "A"}
    turned = [{"options": ("green", "red"), "extracted": letter} for letter in "BA"]
    pairs = paired(*sheets("options", [said, said], turned), "options")
    assert shares(pairs, differs).tolist() == [[0.0, 1.0]]
    assert [pair.item.cluster for pair in pairs] == ["document 0", "document 1"]


def test_what_changes_between_samples_is_told_beside():
    said = [{"extracted": letter} for letter in "ABAA"]
    pairs = paired(*sheets("sex", said, said, samples=2), "sex")
    assert noise(pairs) == 0.5
    assert shares(pairs, differs).tolist() == [[0.0, 0.0]]
    assert noise(paired(*sheets("sex", said, said), "sex")) is None


def test_who_gives_the_figure_of_before_is_counted():
    gold = {"gold": "94.0", "extracted": "94", "outcome": "correct"}
    turned = [{"gold": "70.0", "extracted": said, "outcome": "wrong", "score": 0.0} for said in ("94", "12")]
    pairs = paired(*sheets("numbers", [gold, gold], turned), "numbers")
    assert shares(pairs, repeats).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize(
    ("facts", "status", "says"),
    [
        ([], "not_checked", "exam.twins"),
        ([("lora", True, -0.1, -0.15, -0.05)], "failed", "leans up; a 'not worth it' survives"),
        ([("newer", False, -0.1, -0.15, -0.05)], "failed", "leans down; a 'worth it' survives"),
        ([("newer", False, -0.1, -0.15, -0.05), ("lora", True, -0.1, -0.15, -0.05)], "failed", "both ways"),
        ([("newer", False, -0.05, -0.15, 0.05)], "unresolved", "cannot be ruled out for newer"),
        ([("newer", False, -0.05, None, None)], "unresolved", "cannot be ruled out"),
        ([("newer", False, 0.0, -0.01, 0.01)], "passed", "none does worse"),
    ],
)
def test_the_gate_says_which_way_a_loss_leans(facts, status, says):
    found = known_by_heart([DropFact(name, "options", *rest) for name, *rest in facts])
    assert (found.status, found.required) == (status, False)
    assert says in found.reason
    assert found.reason_zh != found.reason


@pytest.mark.data
@pytest.mark.parametrize(("name", "made"), [("convfinqa", 271), ("financemath", 78)])
def test_programs_written_as_assignments_give_number_twins(shared_data, name, made):
    task = read_task(Path("eval/tasks").resolve() / name, name)
    assert len(task.twins("numbers").rows) == made


@pytest.mark.data
def test_finqa_gives_number_twins_of_nine_in_ten(shared_data):
    task = read_task(Path("eval/tasks/finqa").resolve(), "finqa")
    assert len(task.twins("numbers").rows) > 0.9 * len(task.rows)
