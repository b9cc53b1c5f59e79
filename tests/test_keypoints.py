"""Key points: what an answer says, denies, reverses and names; and OpenFinData's rubrics."""

import json
import re
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.benchmark import find, read_task
from eval.extract import grade, process_results
from eval.extract.keypoints import Point, Rubric, weigh
from eval.grading import graded
from finetune.mistakes import BadInput

PROFIT = {
    "say": [
        {"says": "净利润同比增长12.5%", "weight": 2},
        {"says": "毛利率低于行业平均水平"},
        {"says": "营业收入1.2亿元"},
    ],
    "not_say": [{"says": "公司没有任何风险", "weight": 2}],
    "source": "《2022年年度报告》",
}
MARGIN = {
    "say": [
        "Operating margin declined from 36.8% to 34.6%",
        {"says": "cash of 120 million", "phrases": ["120 million"]},
    ],
    "not_say": ["The company is bankrupt"],
    "source": {"says": "10-K", "phrases": ["10-K", "annual report"]},
}
ANSWERS = [  # rubric, answer, said, forbidden, source named, score
    (PROFIT, "据2022年年度报告，净利润同比增长12.5%。毛利率低于行业平均水平，营业收入为1.2亿元。",
     (1, 2, 3), (), True, 1),
    (PROFIT, "净利润同比增长12.5%。", (1,), (), False, 2 / 5),
    (PROFIT, "净利润同比增长１２．５％。", (1,), (), False, 2 / 5),
    (PROFIT, "净利润同比增长百分之十二点五", (1,), (), False, 2 / 5),
    (PROFIT, "净利润同比增长13%。", (), (), False, 0),
    (PROFIT, "净利润同比下降12.5%。", (), (), False, 0),
    (PROFIT, "净利润并未同比增长12.5%。", (), (), False, 0),
    (PROFIT, "毛利率高于行业平均水平。", (), (), False, 0),
    (PROFIT, "营业收入120百万元。", (3,), (), False, 1 / 5),
    (PROFIT, "净利润同比增长12.5%。公司没有任何风险。", (1,), (1,), False, 0),
    (PROFIT, "净利润同比增长12.5%。不能说公司没有任何风险。", (1,), (), False, 2 / 5),
    (PROFIT, "《2022年年度报告》", (), (), True, 1 / 5),
    (PROFIT, "不知道", (), (), False, 0),
    (MARGIN, "The operating margin declined from 36.8% to 34.6% (10-K). Cash is $120 million.", (1, 2), (), True, 1),
    (MARGIN, "Operating margin has declined, 36.8% to 34.6%", (1,), (), False, 1 / 3),
    (MARGIN, "Operating margin rose from 36.8% to 34.6%", (), (), False, 0),
    (MARGIN, "Operating margin declined from 36.8% to 30%", (), (), False, 0),
    (MARGIN, "Cash: 1.2亿", (2,), (), False, 1 / 3),
    (MARGIN, "Cash is not 120 million.", (), (), False, 0),
    (MARGIN, "The company is bankrupt, says the annual report.", (), (1,), True, 0),
    (MARGIN, "The company is not bankrupt. Cash of 120 million.", (2,), (), False, 1 / 3),
]  # fmt: skip


@pytest.mark.parametrize(("rubric", "answer", "said", "forbidden", "sourced", "score"), ANSWERS)
def test_what_an_answer_says(rubric, answer, said, forbidden, sourced, score):
    found = weigh(answer, Rubric.model_validate(rubric))
    assert (found.said, found.forbidden, found.sourced) == (said, forbidden, sourced)
    assert found.score == pytest.approx(score)


def said(statement: str, answer: str, *, forbidden: bool = False) -> bool:
    """Whether the answer makes the statement, as a point or as one that it must not make."""
    found = weigh(answer, Rubric.model_validate({"say": ["xyz"], "not_say": [statement]} if forbidden else [statement]))
    return bool(found.forbidden if forbidden else found.said)


PROMISE, PROMISING = "可以向客户承诺收益", "You may promise returns to clients"


@pytest.mark.parametrize(
    ("statement", "answer"),
    [(PROMISE, f"{word}向客户承诺收益") for word in ("禁止", "严禁", "切勿", "杜绝", "避免", "拒绝", "不得", "切忌")]
    + [(PROMISE, f"向客户承诺收益{word}") for word in (
        "属于违规", "是违法的", "的行为是被禁止的", "，这是违法的", "，属于违规", "。这种行为不允许", "是错误的")]
    + [(PROMISE, f"可以向客户承诺收益吗{word}") for word in ("？不可以。", "？否", "，不可以", "？绝对不行", "？严禁")]
    + [(PROMISE, "是否可以向客户承诺收益：否"), ("可以承诺保本", "可以承诺保本吗？不可以。")]
    + [(PROMISING, answer) for answer in (
        "It is prohibited to promise returns to clients", "Promising returns to clients is forbidden.",
        "Avoid promising returns to clients", "Refrain from promising returns to clients",
        "Never promise returns to clients", "Promising returns to clients is illegal", "Refuse to promise returns to clients",
        "May you promise returns to clients? No.", "Can you promise returns to clients? Never.",
        "Promising returns to clients, that is prohibited.", "It is wrong to promise returns to clients")],
)  # fmt: skip
def test_what_is_prohibited_or_refuted_is_not_said(statement, answer):
    assert not said(statement, answer, forbidden=True)
    assert not said(statement, answer)


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        (PROMISE, "可以向客户承诺收益"), (PROMISE, "可以向客户承诺收益吗？可以向客户承诺收益。"), (PROMISE, "不禁止向客户承诺收益"),
        (PROMISING, "You may promise returns to your clients."), (PROMISING, "It is not prohibited to promise returns to clients"),
        ("严禁承诺保本", "不得承诺保本"), ("不得承诺保本", "严禁承诺保本"), ("不得承诺保本", "承诺保本属于违规"), ("应当避免过度集中", "应避免过度集中"),
        ("应分散投资以降低风险", "为避免损失，应分散投资以降低风险"), ("毛利率同比下降", "毛利率为什么同比下降？不是因为成本。"),
        ("Do not promise returns to clients", "It is forbidden to promise returns to clients"),
        ("风险等级为R3", "风险等级是R3级"), ("The filing is form 10-K", "The filing is a form 10K"), ("评级为AA+", "评级：AA+"), ("应当在T+1日交收", "应在T＋1日交收"),
        ("FY2022 revenue rose", "revenue rose in 2022, against FY2021"), ("第A类客户适用", "A类客户适用，B类客户不适用"), ("风险等级为R3", "风险等级由R4调为R3"),
        ("至少5个工作日", "不少于5个工作日"), ("最少保留5个工作日", "至少保留5个工作日"), ("保证金上调至12%", "保证金提高至12%，即上调至12%"), ("每季度报告一次", "每季报告一次"),
        ("必须经董事会批准", "必须经董事会批准，不是股东会"), ("必须经董事会批准", "必须经公司批准，并经董事会通过"), ("由甲方承担费用", "费用由甲方承担，乙方不承担"),
        ("The seller bears the cost", "The cost is borne by the seller, not the buyer"), ("must be at least 8%", "must be no less than 8%"),
        ("Report before March 1", "After closing, report before March 1"),
    ],
)  # fmt: skip
def test_what_says_the_same_in_other_words_is_said(statement, answer):
    assert said(statement, answer)


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        ("风险等级为R3", "风险等级为R4"), ("客户为C3型投资者", "客户为C1型投资者"), ("评级为AA+", "评级为AA-"), ("评级为AAA", "评级为BBB"), ("The rating is BBB+", "The rating is BBB-"),
        ("The filing is form 10-K", "The filing is form 10-Q"), ("应当在T+1日交收", "应当在T+0日交收"), ("适用第A类客户", "适用第B类客户"), ("Class A shares were sold", "Class B shares were sold"),
        ("Margins rose in Q3", "Margins rose in Q2"), ("FY2022 revenue rose", "FY2021 revenue rose"), ("至少5个工作日", "至多5个工作日"), ("不少于5个工作日", "不超过5个工作日"),
        ("must be at least 8%", "must be at most 8%"), ("a term of no less than 5 years", "a term of no more than 5 years"), ("保证金上调至12%", "保证金下调至12%"), ("评级被调高至AA", "评级被调低至AA"),
        ("每季度报告一次", "每年度报告一次"), ("Report to the board quarterly", "Report to the board annually"), ("必须经董事会批准", "必须经股东会批准"), ("必须经董事会批准", "必须经股东会批准，不是董事会"),
        ("由甲方承担费用", "由乙方承担费用"), ("报告应提交给证监会", "报告应提交给银保监会"), ("交易所为上交所", "交易所为深交所"), ("The seller bears the cost", "The buyer bears the cost"),
        ("The lessee pays the tax", "The lessor pays the tax"), ("应在3月1日之前报告", "应在3月1日之后报告"), ("Report before March 1", "Report after March 1"),
        ("The loan has a fixed rate", "The loan has a floating rate"),
    ],
)  # fmt: skip
def test_another_code_or_side_is_another_statement(statement, answer):
    assert not said(statement, answer)


def test_the_log_says_which_points_were_made():
    found = grade("keypoints", "净利润同比增长12.5%。公司没有任何风险。", json.dumps(PROFIT, ensure_ascii=False))
    assert (found.extracted, found.rule, found.outcome) == ("said 1 of 3; must not: 1; no source", "keypoints", "wrong")
    assert grade("keypoints", "", json.dumps(PROFIT)).outcome == "unparsed"
    assert grade("keypoints", "抱歉，我无法回答", json.dumps(PROFIT)).outcome == "refused"


@pytest.mark.parametrize(
    "gold",
    [
        '{"say": ["a b", {"says": "c d", "weight": 1}]}',
        '["a b", "c d"]',
        '{"content": "a b", "score": "1"}\n{"content": "c d", "score": "1"}',
        "a b\nc d",
    ],
)
def test_a_rubric_may_be_written_in_four_ways(gold):
    assert Rubric.read(gold).say == (Point(says="a b"), Point(says="c d"))


@pytest.mark.parametrize(
    ("gold", "told"),
    [
        ("", "say"),
        ("[]", "say"),
        ('{"say": ["a"], "sya": []}', "sya: Extra inputs"),
        ('{"say": [{"says": "a", "weight": 0}]}', "greater than 0"),
        ('[{"says": "large", "reads": "figure"}]', "'large' holds no number"),
        ('[{"says": "maybe", "reads": "yes_no"}]', "'maybe' is neither"),
        ("[" * 5000, "key points"),
    ],
)
def test_a_rubric_that_is_none_is_refused(gold, told):
    with pytest.raises(BadInput, match=told):
        Rubric.read(gold)


def exam(folder, answers: list[str]):
    """A task of free answers with key points, as a user would write it."""
    rows = [{"question": f"第{n}家公司经营如何？", "doc": f"d{n}", "points": gold} for n, gold in enumerate(answers)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    (folder / "free.md").write_text(
        "---\nname: free\ntitle: Free answers\nlicence: {name: private, commercial: true}\nlanguages: [zh]\n"
        "published: false\nshape: qa\nformat: jsonl\ncolumns: {question: question, answer: points, cluster: doc}\n"
        "splits: {test: [rows.jsonl]}\n---\n", "utf-8",
    )  # fmt: skip
    (folder / "free.yaml").write_text(
        "task: free\ncustom_dataset: !function eval.benchmark.load\ndataset_kwargs: {card: free, split: test}\n"
        "test_split: test\noutput_type: generate_until\ndoc_to_text: '{{ask}}'\ndoc_to_target: '{{answer}}'\n"
        "generation_kwargs: {until: [], do_sample: false}\nprocess_results: !function eval.extract.process_results\n"
        "metric_list:\n  - {metric: keypoints, aggregation: mean, higher_is_better: true}\n"
        "metadata: {version: 1, headline: keypoints, answer: keypoints}\n", "utf-8",
    )  # fmt: skip
    return find(str(folder / "free"))


def test_lm_eval_grades_key_points_by_the_same_code(tmp_path):
    from eval.score.questions import questions

    (asked,) = questions(read_task(*exam(tmp_path, [json.dumps(PROFIT)])))
    said = "净利润同比增长12.5%。"
    assert asked.judge.process_results(asked.doc, [said]) == {"keypoints": pytest.approx(0.4)}
    assert process_results(asked.doc, [said])["keypoints"] == grade("keypoints", said, json.dumps(PROFIT)).score


def test_a_bad_rubric_is_told_before_the_exam(tmp_path):
    with pytest.raises(BadInput, match=r"free.yaml: 1: key points .*say"):
        read_task(*exam(tmp_path, [json.dumps(PROFIT), '{"not_say": ["x"]}']))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [("answer", "poem", "metadata.answer 'poem'"), ("reading", "kind", "metadata.reading 'kind'")],
)
def test_unknown_kinds_and_readings_are_refused(tmp_path, key, value, told):
    folder, name = exam(tmp_path, [json.dumps(PROFIT)])
    path = folder / "free.yaml"
    text = re.sub(
        r", answer: keypoints",
        f", {key}: {value}" + ("" if key == "answer" else ", answer: keypoints"),
        path.read_text("utf-8"),
    )
    path.write_text(text, "utf-8")
    with pytest.raises(BadInput, match=told):
        read_task(folder, name)


def test_a_strict_reading_is_another_task(tmp_path):
    folder, name = exam(tmp_path, [json.dumps(PROFIT)])
    lenient, path = read_task(folder, name), folder / "free.yaml"
    path.write_text(
        path.read_text("utf-8").replace("answer: keypoints}", "answer: keypoints, reading: strict}"), "utf-8"
    )
    strict = read_task(folder, name)
    assert (lenient.reading, strict.reading) == ("lenient", "strict")
    assert lenient.digest != strict.digest


def test_the_engine_grades_by_the_tasks_own_reading():
    task = read_task(*find("demo_extraction"))
    row = task.rows[0]
    said = f"今年的数字是 {row.answer}，去年的没有说"
    lenient = graded(task, row, said, closed=True, finish="stop")
    strict = graded(replace(task, reading="strict"), row, said, closed=True, finish="stop")
    assert (lenient["outcome"], lenient["rule"]) == ("correct", "alone")
    assert (strict["outcome"], strict["rule"]) == ("unparsed", "none")


@given(st.text(max_size=300))
def test_any_answer_earns_a_share(text):
    assert 0 <= weigh(text, Rubric.model_validate(PROFIT)).score <= 1


@pytest.mark.data
def test_openfindata(shared_data, monkeypatch, tmp_path):
    """483 items: what is said word for word is found, what other items say hardly ever, a denial seldom."""
    monkeypatch.setenv("TUNEWORTH_DATA", str(shared_data))
    monkeypatch.setenv("TUNEWORTH_CACHE", str(tmp_path))
    task = read_task(*find("openfindata"))
    assert (len(task.rows), task.edition, len({row.subject for row in task.rows})) == (483, "subset", 8)
    rubrics = [Rubric.read(row.answer or "") for row in task.rows]
    words = ["\n".join(point.says for point in rubric.say) for rubric in rubrics]
    others = zip(words[1:] + words[:1], rubrics, strict=True)
    rates = {
        "itself": statistics.mean(weigh(text, rubric).score for text, rubric in zip(words, rubrics, strict=True)),
        "another item's": statistics.mean(weigh(text, rubric).score for text, rubric in others),
        "the question": statistics.mean(
            weigh(row.question, r).score for row, r in zip(task.rows, rubrics, strict=True)
        ),
        "one point alone, beyond its weight": statistics.mean(
            weigh(r.say[0].says, r).score - r.say[0].weight / sum(p.weight for p in r.say) for r in rubrics
        ),
    }
    print({name: round(rate, 3) for name, rate in rates.items()})
    assert rates["itself"] == 1
    assert rates["another item's"] < 0.03
    assert rates["the question"] < 0.3
    assert 0 <= rates["one point alone, beyond its weight"] < 0.1  # points of one item can say nearly the same
