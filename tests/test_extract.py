"""Reading answers: a table of phrasings in both languages, and properties of numbers, letters and widths."""

from decimal import Decimal

import letter_cases
import number_cases
import pytest
import reading_cases as cases
from hypothesis import example, given
from hypothesis import strategies as st

from eval.extract import grade, process_results

FOUR, MARKET, SENTIMENT = ("w", "x", "y", "z"), ("货币市场", "债券市场", "商品市场"), ("利好", "利空", "中性")
ENGLISH, NESTED = ("positive", "negative", "neutral"), ("收购", "拟收购", "被收购", "被拟收购", "是")
READINGS = [
    *(("letter", FOUR, *row) for row in letter_cases.LETTERS),
    *(("letter", MARKET, *row) for row in letter_cases.WORDS),
    *(("letter", ("对", "错"), *row) for row in letter_cases.POLAR),
    *(("number", (), *row) for row in number_cases.NUMBERS),
    *(("yes_no", (), *row) for row in cases.TRUTH), *(("label", SENTIMENT, *row) for row in cases.LABELS),
    *(("label", ENGLISH, *row) for row in cases.LABELS_EN), *(("label", NESTED, *row) for row in cases.LABELS_NESTED),
    *(("letter", ("positive", "neutral", "negative"), *row) for row in cases.STATED),
    *(("tags", known, text, read, None) for text, known, read in cases.TAGS),
]  # fmt: skip
GOLDS = {"letter": "A", "number": "0", "yes_no": "是", "label": "利好", "tags": "玻璃"}


def test_the_table_is_as_long_as_promised():
    rows = [(kind, text, known) for kind, known, text, _, _ in READINGS]
    assert len(set(rows)) == len(rows) > 400
    chinese = sum(any("\u4e00" <= c <= "\u9fff" for c in text) for _, text, _ in rows)
    assert chinese > 150
    assert len(rows) - chinese > 150


@pytest.mark.parametrize(("kind", "options", "text", "read", "rule"), READINGS)
def test_readings(kind, options, text, read, rule):
    found = grade(kind, text, GOLDS[kind], options)
    assert found.extracted == read
    assert rule in (None, found.rule)
    assert (found.outcome in ("unparsed", "refused")) is (read is None)


@pytest.mark.parametrize(("text", "read"), number_cases.QUANTITIES)
@pytest.mark.parametrize("reading", ["lenient", "strict"])
def test_quantities_in_parts_and_with_units(text, read, reading):
    found = grade("number", text, read or "0", (), reading)
    assert found.extracted == read
    assert found.outcome == ("correct" if read else "unparsed")


@pytest.mark.parametrize(("text", "gold", "leniently", "strictly"), number_cases.COMPARED)
def test_numbers_are_compared_at_the_golds_precision(text, gold, leniently, strictly):
    assert (grade("number", text, gold).outcome == "correct") is leniently
    if strictly is not None:
        assert (grade("number", text, gold, (), "strict").outcome == "correct") is strictly


@pytest.mark.parametrize("text", number_cases.FALLS)
def test_a_fall_in_words_is_below_zero_where_that_is_asked_for(text):
    found = grade("number", text, "-12.5%")
    assert (found.extracted, found.rule, found.outcome) == ("-12.5%", "fall", "correct")
    assert grade("number", text, "-0.125").outcome == "correct"
    assert grade("numeracy", text, "-12.5%") == found
    as_asked = grade("number", text, "12.5%")
    assert (as_asked.extracted, as_asked.outcome) == ("12.5%", "correct")
    assert as_asked.rule != "fall"
    assert grade("number", text, "-12.5%", (), "strict").outcome != "correct"


@pytest.mark.parametrize("text", number_cases.NO_FALLS)
def test_what_is_no_fall_is_not_below_zero(text):
    assert grade("number", text, "-12.5%").outcome != "correct"
    assert grade("numeracy", text, "-12.5%").outcome != "correct"


@pytest.mark.parametrize(("text", "gold"), number_cases.LOSSES)
def test_a_loss_is_below_zero_where_that_is_asked_for(text, gold):
    assert (grade("number", text, gold).rule, grade("number", text, gold).outcome) == ("fall", "correct")
    assert grade("number", text, gold.removeprefix("-")).outcome == "correct"


@pytest.mark.parametrize(("text", "read", "rule"), letter_cases.SETS)
def test_sets_where_one_is_asked_for(text, read, rule):
    found = grade("letter", text, read if read and len(read) > 1 else "AB", FOUR)
    assert (found.extracted, found.rule) == (read, rule)
    if read and len(read) > 1:
        assert grade("letter", text, read, FOUR, "strict").outcome == "unparsed"


@pytest.mark.parametrize(
    "text", ["A/C", "A / C", "答案：A/C", "除D外均正确", "除了D以外都对", "all except D", "all but D are correct"]
)
def test_what_names_a_set_is_no_answer_where_one_letter_is_asked_for(text):
    assert {grade("letter", text, letter, FOUR).outcome for letter in "ABCD"} == {"unparsed"}


@pytest.mark.parametrize(("text", "gold", "leniently", "strictly"), cases.SPANS)
def test_spans(text, gold, leniently, strictly):
    assert (grade("span", text, gold).outcome == "correct") is leniently
    assert (grade("span", text, gold, (), "strict").outcome == "correct") is strictly


def test_option_words():
    labels = ("利好", "利空", "中性")
    assert grade("option", "这是利空消息", "B", labels).outcome == "correct"
    assert grade("option", "利好或利空", "B", labels).outcome == "unparsed"
    assert grade("option", "It is NEGATIVE.", "B", ENGLISH).outcome == "correct"
    assert grade("label", "持有", "持有").outcome == "correct"
    assert grade("label", "增持", "持有").outcome == "wrong"


@pytest.mark.parametrize(
    ("kind", "text", "gold", "options", "strictly"),
    [
        ("letter", "B", "B", FOUR, "B"),
        ("letter", "答案：B", "B", FOUR, "B"),
        ("letter", "\\boxed{B}", "B", FOUR, "B"),
        ("letter", "（Ｂ）。", "B", FOUR, "B"),
        ("letter", "A、C", "AC", FOUR, "AC"),
        ("letter", "B，因为利率下降", "B", FOUR, None),
        ("letter", "利率下降，所以选B", "B", FOUR, None),
        ("letter", "B. 债券", "B", FOUR, None),
        ("number", "12.5%", "12.5%", (), "12.5%"),
        ("number", "Answer: 3,000 yuan", "3000", (), "3000"),
        ("number", "\\boxed{5}", "5", (), "5"),
        ("number", "She has 8 in total.", "8", (), None),
        ("number", "5，不是6", "5", (), None),
        ("yes_no", "是。", "是", (), "yes"),
        ("yes_no", "答案是：否", "否", (), "no"),
        ("yes_no", "No, it fell.", "no", (), None),
        ("label", "利空", "利空", SENTIMENT, "利空"),
        ("label", "这是利空", "利空", SENTIMENT, None),
        ("tags", "玻璃，豆油", "玻璃，豆油", (), "玻璃, 豆油"),
        ("tags", "涉及玻璃。也有豆油", "玻璃", (), None),
    ],
)  # fmt: skip
def test_strictly_only_the_form_asked_for_is_read(kind, text, gold, options, strictly):
    found = grade(kind, text, gold, options, "strict")
    assert (found.extracted, found.rule) == ((strictly, "form") if strictly else (None, "none"))
    if strictly:
        assert grade(kind, text, gold, options).extracted == strictly


def test_sets_of_tags_earn_their_f1():
    assert grade("tags", "玻璃，豆油", "玻璃、豆油").score == 1
    part = grade("tags", "玻璃，燃油，棉纱", "玻璃，豆油")
    assert (part.score, part.outcome) == (pytest.approx(2 / 5), "wrong")


def test_refusals_are_told_from_what_cannot_be_read():
    assert grade("letter", "抱歉，我无法回答。", "A", ("a", "b")).outcome == "refused"
    assert grade("number", "hm", "1").outcome == "unparsed"


def test_lm_eval_hook_is_the_same_grading():
    doc = {"answer_kind": "letter", "answer": "B", "options": ["x", "y", "z"]}
    assert process_results(doc, ["答案是B"]) == {"exact": 1.0}
    assert process_results(doc, ["答案是A"]) == {"exact": 0.0}
    assert process_results(doc | {"reading": "strict", "headline": "form"}, ["B，因为利率下降"]) == {"form": 0.0}
    assert process_results(doc, ["B，因为利率下降"]) == {"exact": 1.0}


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ("<think>\n先看A：\\boxed{A}\n</think>\n\nB", 1.0),
        ("the prompt opened it: A\n</think>\n\n答案：B", 1.0),
        ("<think>\nB\n</think>\n\nA", 0.0),
        ("<think>\nI believe the answer is B", 0.0),
        ("B\n<think>\nor was it A", 0.0),
    ],
)
def test_lm_eval_hook_grades_no_thought(said, score):
    doc = {"answer_kind": "letter", "answer": "B", "options": ["x", "y", "z"]}
    assert process_results(doc, [said]) == {"exact": score}


WIDE = str.maketrans({chr(c): chr(c + 0xFEE0) for c in range(0x21, 0x7F) if chr(c) not in "\\{}"})


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        (k, o, t)
        for k, o, t, read, _ in READINGS
        if read and k != "tags" and "\\" not in t and not set(t) & set(",\u00a0'{*<`_^")
    ],
)
def test_full_width_reads_as_half_width(kind, options, text):
    wide, plain = grade(kind, text.translate(WIDE), GOLDS[kind], options), grade(kind, text, GOLDS[kind], options)
    assert wide.extracted == plain.extracted


@pytest.mark.parametrize(("kind", "options", "text", "read"), [row[:4] for row in READINGS if row[3]])
def test_what_was_read_reads_as_itself(kind, options, text, read):
    assert grade(kind, read, GOLDS[kind], options).extracted == read


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


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=3))
def test_thousands_widths_and_brackets_change_nothing(value):
    plain = grade("number", f"{value:f}", "0").extracted
    assert plain is not None
    wide = f"{value:,f}".translate(WIDE)
    for phrase in (
        f"{value:,f}",
        wide,
        f"({abs(value):,f})" if value < 0 else f"+{value:f}",
        f"答案：{value:,f}元",
        f"${value:,f}",
    ):
        assert Decimal(grade("number", phrase, "0").extracted) == Decimal(plain), phrase


@given(st.decimals(min_value="0.01", max_value=9999, places=2))
def test_magnitudes_and_percent_are_multiplied_out(value):
    for unit, worth in (("万", 10**4), ("亿", 10**8), ("百万", 10**6), (" million", 10**6), ("bn", 10**9)):
        assert Decimal(grade("number", f"答案是{value}{unit}", "0").extracted) == value * worth
    for phrase in (f"{value}%", f"百分之{value}", f"{value} percent", f"{value}个百分点"):
        assert grade("number", phrase, str(value / 100)).outcome == "correct", phrase


@given(st.integers(1, 9999), st.integers(1, 9999))
def test_parts_of_a_quantity_are_added_up(above, below):
    for said, worth in (
        (f"{above}亿{below}万", below * 10**4),
        (f"{above}万零{below}", below - above * (10**8 - 10**4)),
    ):
        for phrase in (said, f"答案是{said}元", f"-{said}"):
            read = Decimal(grade("number", phrase, "0").extracted)
            assert abs(read) == above * 10**8 + worth, phrase


@given(st.permutations("ABCDE"), st.integers(1, 5), st.sampled_from(["、", ",", "，", " ", "", " and ", "和"]))
@example("BECAD", 3, "")
def test_a_set_of_letters_has_no_order(order, size, between):
    gold = "".join(sorted(order[:size]))
    written = between.join(order[:size])
    for phrase in (
        written,
        f"答案是{written}",
        f"选择：{written}",
        f"\\boxed{{{written}}}",
        f"The answer is {written}.",
        f"答案：{written}。",
    ):
        assert grade("letter", phrase, gold, tuple("12345")).extracted == gold, phrase


def test_any_of_the_accepted_answers_is_right():
    gold = '["辽宁省大连市", "大连"]'
    assert grade("span", "大连。", gold).outcome == "correct"
    assert grade("span", "答案是：辽宁省大连市", gold).outcome == "correct"
    assert grade("span", "沈阳", gold) == grade("span", "沈阳", "辽宁省大连市")
    assert grade("span", '["a", 1]', '["a", 1]').outcome == "correct"
