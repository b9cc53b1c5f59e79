"""Key points: what an answer says, denies, reverses and names; and OpenFinData's rubrics."""

import json
import re
import statistics
from dataclasses import replace

import pytest
import reading_cases as cases
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


@pytest.mark.parametrize(("statement", "answer"), cases.PROHIBITED)
def test_what_is_prohibited_or_refuted_is_not_said(statement, answer):
    assert not said(statement, answer, forbidden=True)
    assert not said(statement, answer)


@pytest.mark.parametrize(("statement", "answer"), cases.SAME)
def test_what_says_the_same_in_other_words_is_said(statement, answer):
    assert said(statement, answer)


@pytest.mark.parametrize(("statement", "answer"), cases.OTHER)
def test_another_code_or_side_is_another_statement(statement, answer):
    assert not said(statement, answer)


@pytest.mark.parametrize(
    ("figure", "answer", "told"),
    [
        ("-12.5%", "Revenue fell by 12.5% in 2015.", True),
        ("-12.5%", "收入同比下降12.5%", True),
        ("-3.2亿元", "净亏损3.2亿元", True),
        ("12.5%", "Revenue fell by 12.5%.", True),
        ("-12.5%", "Revenue rose by 12.5%.", False),
        ("-12.5%", "The loss narrowed by 12.5%", False),
        ("-12.5%", "It did not fall by 12.5%", False),
        ("-12.5%", "亏损减少12.5%", False),
        ("12.5%", "-12.5%", False),
    ],
)
def test_a_figure_below_zero_may_be_told_as_a_fall(figure, answer, told):
    rubric = Rubric.model_validate([{"says": figure, "reads": "figure"}])
    assert bool(weigh(answer, rubric).said) is told


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
