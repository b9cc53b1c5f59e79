"""Sensitivity: every other way of looking against figures by hand, and the rule that turns a headline."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest
from judged_run import finished, judged
from verdict_samples import sample
from written_exam import Run, graded

from eval import items
from eval.paired import Estimate, estimate
from eval.pairing import Pair
from eval.report import render
from eval.verdict import Verdict, judge
from eval.verdict.evidence import Evidence
from eval.verdict.variants import kept_questions


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> tuple[Run, Evidence, Verdict]:
    """Two seeds, two samples, answers not read and cut off on both sides, and half the answers in no form asked for."""
    folder = tmp_path_factory.mktemp("wide")

    def change(answer):
        number = int(answer.id.split("-")[1])
        if not answer.score and number % 20 == 3:
            return answer.model_copy(update=graded("unparsed"))
        if not answer.score and number % 20 == 7:
            return answer.model_copy(update=graded("truncated"))
        said = "A" if answer.score else "B"
        return answer.model_copy(update={"text": said if number % 2 else f"I would say that it is {said}, on balance"})

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEWORTH_CARDS", "")
        sit = {name: {"change": change} for name in ("lora", "newer")}
        run = finished(folder, "exam.samples=2", "train.seeds=[17, 18]", sit=sit)
        evidence = Evidence.read(run.recipe, run.run)
        return run, evidence, judge(run.recipe, run.run)


def facts(evidence: Evidence) -> tuple[list[str], list[str], list[str]]:
    rows = list(evidence.sheets["lora"].questions.values())
    return [row.cluster for row in rows], [row.task for row in rows], [row.lang for row in rows]


def by_hand(evidence: Evidence, name: str) -> Estimate:
    """The contrast lora - newer in one other way, with numpy and the plain estimate alone."""
    lora, newer = evidence.sheets["lora"], evidence.sheets["newer"]
    clusters, tasks, langs = (np.array(each) for each in facts(evidence))
    d, weights, kept = lora.scores - newer.scores, evidence.weights, np.ones(400, dtype=bool)
    if name == "every question weighs the same":
        weights = {"letters": 240.0, "numbers": 160.0}
    elif name == "every task weighs the same":
        weights = {"letters": 1.0, "numbers": 1.0}
    elif name.startswith("without task"):
        kept = tasks != name.split()[-1]
    elif name.startswith("without"):
        kept = langs != {"Chinese": "zh", "English": "en"}[name.split()[-1]]
    elif name.startswith("every question a cluster"):
        clusters = np.arange(400)
    elif name.startswith(("answers not read", "answers cut off")):
        outcome = "unparsed" if "read" in name else "truncated"
        d = d - newer.share(outcome) if "rival" in name else d + lora.share(outcome)
    elif "half" in name:
        one = int("other" in name)
        whole = [
            np.concatenate([sheet.drawn(task)[:, :, one] for task in ("letters", "numbers")]).T
            for sheet in (lora, newer)
        ]
        d = whole[0] - whole[1]
    elif name.startswith("training seed"):
        d = d[[0 if name.split()[2] == "17" else 1]]
    named = {task: weights[task] for task in dict.fromkeys(tasks[kept])}
    return estimate(d[:, kept], clusters[kept].tolist(), tasks[kept].tolist(), named)


NAMES = [
    "every question weighs the same", "every task weighs the same", "without task letters", "without task numbers",
    "without English", "without Chinese", "every question a cluster of its own",
    "answers not read: all of the rival's right", "answers not read: all of the challenger's right",
    "answers cut off: all of the rival's right", "answers cut off: all of the challenger's right",
    "half of the samples", "the other half of the samples", "training seed 17 alone", "training seed 18 alone",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_each_way_of_looking_is_what_a_hand_would_make_of_it(wide, name):
    _, evidence, made = wide
    case = next(case for case in made.sensitivity.cases if case.name == name)
    known = by_hand(evidence, name)
    assert (case.gain, case.low, case.high) == pytest.approx((known.gain, known.low, known.high))
    assert (case.a_priori, case.challenger, case.rival) == (True, "lora", "newer")


def test_answers_in_no_form_asked_for_are_read_the_other_way_from_the_columns_too(wide):
    """A strict reader takes 'A' and leaves the sentence: every second right letter is lost, on both sides."""
    run, evidence, made = wide
    case = next(case for case in made.sensitivity.cases if case.kind == "extractor")
    lora, newer = evidence.sheets["lora"], evidence.sheets["newer"]
    odd = np.array([int(key[1].split("-")[1]) % 2 for key in lora.questions])
    letters = np.array([key[0] == "letters" for key in lora.questions])
    for sheet in (lora, newer):
        assert (sheet.second[:, letters] == (sheet.scores * odd)[:, letters]).all()
        wrong = sheet.share("wrong")
        assert (sheet.second_wrong[:, letters] == (wrong * odd)[:, letters]).all()
        assert (sheet.second_wrong != wrong).any()
    weight = lora.item_weight(evidence.weights)
    assert case.gain == pytest.approx((lora.second - newer.second).mean(axis=0) @ weight)
    again = Evidence.read(run.recipe, run.run)  # from items.parquet this time
    assert (again.sheets["lora"].second == lora.second).all()
    assert made.sensitivity == judge(run.recipe, run.run).sensitivity


def test_every_row_is_told_and_the_share_that_agrees(wide):
    _, _, made = wide
    cases = made.sensitivity.cases
    kinds = {"weights", "task", "language", "clusters", "extractor", "blanks", "samples", "seed", "margin", "prompt"}
    assert {case.kind for case in cases} == kinds  # nothing is priced here
    assert made.sensitivity.agreeing == pytest.approx(np.mean([case.call == made.sensitivity.call for case in cases]))
    assert Verdict.model_validate_json(made.model_dump_json()) == made


def test_answers_that_are_missing_score_nothing_and_are_bounded(tmp_path):
    """Every twentieth question of newer has one answer of two; what it might have been is a row either way."""
    run = finished(tmp_path, "exam.samples=2")
    log = run.run.seed("newer", 0).items
    rows = items.read(log)
    items.replace(log, [row for row in rows if not (row.sample and int(row.id.split("-")[1]) % 20 == 3)])
    found, evidence = judge(run.recipe, run.run), Evidence.read(run.recipe, run.run)
    told = {case.name: case for case in found.sensitivity.cases if "missing" in case.name}
    rivals = told["answers that are missing: all of the rival's right"]
    share = float(evidence.sheets["newer"].share("missing")[0] @ evidence.sheets["newer"].item_weight(evidence.weights))
    assert share == pytest.approx(0.5 / 20)
    assert (rivals.gain, rivals.a_priori) == (pytest.approx(found.delta.gain - share), True)
    assert told["answers that are missing: all of the challenger's right"].gain == pytest.approx(found.delta.gain)


def test_worth_it_that_rests_on_one_task_alone_is_inconclusive(tmp_path):
    """Three quarters of the weight gain 35 points, the rest lose 45: without the one task it is not worth it."""
    rates = {"lora": {"letters": 0.9, "numbers": 0.1}}
    found = judged(tmp_path, rates=rates)
    assert {ruling.call for ruling in found.rulings} == {"worth_it"}
    assert found.outcome == "inconclusive"
    assert "without task letters" in found.sensitivity.turning
    assert "by another analysis, as good a priori (without task letters), it is not worth it" in found.sentence
    assert "按另一种同样合理的分析（去掉任务 letters），则不值得" in found.sentence_zh
    assert [step.what for step in found.settle] == ["sensitivity"]
    page = render(found)
    assert 'data-case="without task letters" data-call="not_worth_it"' in page


def test_a_margin_or_a_price_is_another_question_and_turns_nothing(tmp_path):
    """Twenty points at a margin of 2, where 3 would do too; a wrong answer that costs what a right one brings."""
    prices = ("costs.gpu_hour=18", "costs.value_per_correct=1", "costs.queries=100000", "costs.people=19000")
    found = judged(tmp_path, *prices)
    by_name = {case.name: case for case in found.sensitivity.cases}
    assert found.sensitivity.call == "worth_it"
    assert by_name["queries: half"].call == "not_worth_it"
    assert not by_name["queries: half"].a_priori
    assert by_name["a wrong answer costs what a right one is worth"].kind == "loss"
    assert (found.outcome, found.sensitivity.turning) == ("worth_it", ())


def test_the_page_and_the_json_hold_the_same_rows():
    made = sample("worth_it")
    page = render(made)
    for case in made.sensitivity.cases:
        assert f'data-call="{case.call}"' in page
        assert case.name_zh in page
    assert json.loads(made.model_dump_json())["sensitivity"]["cases"]
    assert render(sample("invalid")).find('id="sensitivity"') == -1


def test_samples_that_pay_best_are_told_where_a_question_has_a_price(tmp_path):
    def luck(answer):
        right = random.Random(f"{answer.contender} {answer.id} {answer.sample}").random() < (
            0.8 if answer.score else 0.2
        )
        return answer.model_copy(update=graded("correct" if right else "wrong"))

    sit = {name: {"change": luck} for name in ("lora", "newer")}
    found = judged(
        tmp_path, "exam.samples=4", "train.seeds=[17, 18]", "costs.gpu_hour=18", "costs.question=0.003", sit=sit
    )
    best, ratio = found.power.paying, found.comparisons[0].spread.drawn_to_kept
    assert best.answer == pytest.approx(3 * 0.1 / 3600 * 18)  # a tenth of a second a side, of two seeds and of one
    assert best.samples == pytest.approx(math.sqrt(best.question / best.answer * ratio), abs=1)
    assert best.samples > 1
    assert f'data-paying="{best.samples}"' in render(found)


def test_questions_that_are_left_weigh_what_their_tasks_do(wide):
    """[n] sums to 1 and has as many entries as questions; the gain by it is the layout's own."""
    _, evidence, _ = wide
    pair = Pair.of(evidence.sheets["lora"], evidence.sheets["newer"], evidence.weights)
    rows = list(pair.challenger.questions.values())
    left = kept_questions(np.array([row.lang == "zh" or row.id[-1] == "1" for row in rows]), rows, evidence.weights)
    found = left(pair)
    assert found.weight.shape == found.differences.shape[1:]
    assert found.weight.sum() == pytest.approx(1)
    gain = found.estimate(level=0.025, margin=0.02).gain
    assert found.differences.mean(axis=0) @ found.weight == pytest.approx(gain)


@pytest.mark.parametrize(("price", "told"), [(0.000001, False), (1000.0, True)])
def test_more_samples_are_advised_where_they_pay(tmp_path, price, told):
    """Where one more question costs next to nothing, more questions are what settles it."""

    def luck(answer):
        right = random.Random(f"{answer.contender} {answer.id} {answer.sample}").random() < 0.5
        return answer.model_copy(update=graded("correct" if right else "wrong"))

    sit = {name: {"change": luck} for name in ("lora", "newer")}
    found = judged(tmp_path, "exam.samples=2", "costs.gpu_hour=18", f"costs.question={price}", sit=sit)
    assert (found.outcome, found.power.sampling_share > 0.1) == ("inconclusive", True)
    step = next((step for step in found.settle if step.what == "samples"), None)
    assert (step is not None) == told
    assert step is None or step.number == found.power.paying.samples


def test_what_would_settle_it_names_the_rival_where_it_is_not_the_incumbent(tmp_path):
    found = judged(tmp_path, "rule.alternatives=[prompted]", rates={"prompted": 0.74})
    step = next(step for step in found.settle if step.what == "items")
    assert (found.outcome, step.text in found.sentence) == ("inconclusive", True)
    assert "would settle it, if the true gain over prompted is the one seen." in step.text
    assert "若对 prompted 的真实增益即为所见" in step.text_zh


def test_half_of_the_samples_is_charged_for_its_own_wrong_answers(tmp_path):
    """Where newer is not right its first answer is refused and its second wrong. Of the first alone, harm that newer
    does not do is charged to lora, and it does not pay; of the second it does."""

    def late(answer):
        outcome = "wrong" if answer.sample else "refused"
        return answer if answer.score else answer.model_copy(update=graded(outcome))

    prices = ("costs.gpu_hour=18", "costs.value_per_correct=0.01", "costs.queries=1000000", "costs.people=3000")
    found = judged(tmp_path, *prices, "costs.loss_per_wrong=0.01", "exam.samples=2", sit={"newer": {"change": late}})
    calls = {case.name: case.call for case in found.sensitivity.cases if case.kind == "samples"}
    assert found.sensitivity.call == "worth_it"
    assert calls == {"half of the samples": "not_worth_it", "the other half of the samples": "worth_it"}
    assert found.outcome == "inconclusive"
