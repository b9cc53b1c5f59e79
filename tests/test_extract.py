"""Reading answers: a table of phrasings in both languages, and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.extract import grade, process_results

LETTERS = [
    ("B", "B"), ("b", None), ("Ｂ", "B"), ("B.", "B"), ("(B)", "B"), ("【B】", "B"), ("**B**", "B"),
    ("答案是B", "B"), ("答案：B", "B"), ("正确答案为 B。", "B"), ("故选B", "B"), ("应选B项", "B"), ("选择：A、C", "AC"),
    ("选择：C、A", "AC"), ("ABD", "ABD"), ("A、B和D", "ABD"), ("答案是ACD。", "ACD"), ("\\boxed{B}", "B"),
    ("\\boxed{\\text{C}}", "C"), ("The answer is (D).", "D"), ("Answer: A", "A"), ("A and C", "AC"),
    ("I think A is wrong. Answer: C", "C"), ("A项错误，B项正确，答案是B", "B"), ("Option C", "C"),
    ("A、B、C都对", "ABC"), ("A Bank may lend", "A"),
    ("B、因为货币供应增加", "B"), ("", None), ("Apple", None), ("不知道", None), ("E", None),
]  # fmt: skip
NUMBERS = [
    ("5", "5"), ("五 5", "5"), ("-5元", "-5"), ("(1,200)", "-1200"), ("US$1,577.00", "1577.00"), ("¥3.5", "3.5"),
    ("净利润为12.5亿元", "1250000000"), ("3万", "30000"), ("2百万", "2000000"), ("4 million", "4000000"),
    ("增长12.36%", "12.36"), ("区间3-5", "5"), ("从 -3.5 到 4", "4"), ("1e5", "100000"), ("１２３", "123"),
    ("答案是42，不是7", "42"), ("\\boxed{0.5} 而不是 3", "0.5"), ("没有数字", None), ("The answer is 7 of 9", "7"),
    ("1e999999999", None),
]  # fmt: skip
YES_NO = [("是", "yes"), ("不是", "no"), ("否", "no"), ("正确", "yes"), ("不正确", "no"), ("错误", "no"), ("No.", "no"),
          ("Yes, it is", "yes"), ("对", "yes"), ("maybe", None), ("不对", "no"), ("答案是：否", "no"),
          ("答案是错误", "no"), ("I do not know", None),
          ("Note: yes", "yes"), ("是否违约？否", "no"), ("\\boxed{No}", "no")]  # fmt: skip


@pytest.mark.parametrize(("text", "read"), LETTERS)
def test_letters(text, read):
    assert grade("letter", text, "A", ("w", "x", "y", "z")).extracted == read


@pytest.mark.parametrize(("text", "read"), NUMBERS)
def test_numbers(text, read):
    assert grade("number", text, "0").extracted == read


@pytest.mark.parametrize(("text", "read"), YES_NO)
def test_yes_no(text, read):
    assert grade("yes_no", text, "是").extracted == read


@pytest.mark.parametrize(
    ("read", "gold", "right"),
    [("12.34", "12.3", True), ("12.36", "12.3", False), ("12", "12.3", False), ("50", "50.0", True),
     ("50.4", "50", False), ("1,577", "$1577.00", True), ("1.25亿", "125000000", True),
     ("-3.2", "(3.2)", True), ("5", "50", False), ("1" * 40, "12.3", False), ("Yes.", "yes", True), ("7", "no", False)],
)  # fmt: skip
def test_numbers_are_compared_at_the_golds_precision(read, gold, right):
    assert (grade("number", read, gold).outcome == "correct") is right


def test_option_words():
    labels = ("利好", "利空", "中性")
    assert grade("option", "这是利空消息", "B", labels).outcome == "correct"
    assert grade("option", "利好或利空", "B", labels).outcome == "unparsed"
    assert grade("option", "It is NEGATIVE.", "B", ("positive", "negative", "neutral")).outcome == "correct"


def test_refusals_are_told_from_what_cannot_be_read():
    assert grade("letter", "抱歉，我无法回答。", "A", ("a", "b")).outcome == "refused"
    assert grade("number", "hm", "1").outcome == "unparsed"


def test_lm_eval_hook_is_the_same_grading():
    doc = {"answer_kind": "letter", "answer": "B", "options": ["x", "y", "z"]}
    assert process_results(doc, ["答案是B"]) == {"exact": 1.0}
    assert process_results(doc, ["答案是A"]) == {"exact": 0.0}


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_every_plain_number_is_read_back(value):
    for phrase in (
        f"{value}",
        f"答案是{value}",
        f"The answer is {value}.",
        f"\\boxed{{{value}}}",
        f"结果为{value:,}元",
    ):
        assert grade("number", phrase, str(value)).outcome == "correct", phrase


@given(st.sets(st.sampled_from("ABCD"), min_size=1))
def test_every_set_of_letters_is_read_back(letters):
    gold = "".join(sorted(letters))
    for phrase in (
        gold,
        f"答案是{gold}",
        f"选择：{'、'.join(sorted(letters))}",
        f"\\boxed{{{gold}}}",
        f"答案：{','.join(gold)}",
    ):
        assert grade("letter", phrase, gold, ("1", "2", "3", "4")).outcome == "correct", phrase


@given(st.text(max_size=200))
def test_any_text_gets_an_outcome(text):
    for kind in ("letter", "number", "yes_no", "option", "text"):
        assert grade(kind, text, "1", ("a", "b")).outcome in {"correct", "wrong", "unparsed", "refused"}
