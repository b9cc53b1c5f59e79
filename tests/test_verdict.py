"""The verdict, from a run on disk: every outcome, what its sentence says, and what may never be said."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_run import PRICES, codes, finished, gate, judged
from written_exam import build, graded, row

from eval.compare import compare
from eval.foresight import power
from eval.money import Bill, Net
from eval.pairing import Pair
from eval.report.summary import _scores
from eval.sheet import Sheet
from eval.verdict import Verdict, judge
from eval.verdict.ruling import amount, overall, rule, stand


def test_worth_it(tmp_path):
    found = judged(tmp_path)
    assert found.outcome == "worth_it"
    assert found.delta.low > found.margin
    assert found.delta.gain == pytest.approx(found.tau.gain - found.gamma.gain)
    assert (found.delta.n, found.delta.clusters, found.challenger, found.claim) == (400, 160, "lora", "artifact")
    assert found.sentence.startswith("Worth it: lora beats newer. lora against newer: ")
    assert "A claim on this artifact" in found.sentence
    assert found.sentence.endswith("No guard was declared.")
    assert found.sentence_zh.startswith("值得微调：lora 优于 newer。")
    assert found.sentence_zh.endswith("未声明护栏指标。")


def test_the_merge_of_each_adapter_is_told(tmp_path):
    assert gate(judged(tmp_path, tune={"merge_difference": 2e-6}), "merge faithful").figures["lora seed 17"] == 2e-6


def test_the_verdict_is_its_own_json(tmp_path):
    found = judged(tmp_path, *PRICES)
    text = found.model_dump_json()
    assert Verdict.model_validate_json(text) == found
    keys = {"outcome", "sentence", "challenger", "incumbent", "margin", "delta", "tau", "gamma", "contenders",
            "comparisons", "tasks", "gates", "money", "power", "provenance"}  # fmt: skip
    assert keys <= set(json.loads(text))
    assert {"gain", "low", "high", "n", "clusters"} <= set(json.loads(text)["delta"])
    assert "NaN" not in text


@pytest.mark.parametrize(
    ("rates", "margin", "code", "says"),
    [
        ({"lora": 0.3}, 0.02, "harmful", "Not worth it: lora is worse than newer, by at least"),
        ({"lora": 0.55}, 0.1, "equivalent", "lora and newer are equivalent"),
        ({"lora": 0.65}, 0.3, "not_enough", "lora is better than newer, but by at most"),
    ],
)
def test_not_worth_it_says_why(tmp_path, rates, margin, code, says):
    found = judged(tmp_path, f"rule.margin={margin}", rates=rates)
    assert (found.outcome, codes(found)) == ("not_worth_it", {code})
    assert found.delta.high < margin
    assert says in found.sentence
    assert "may have seen" not in found.sentence  # these items are private
    assert found.sentence_zh.startswith("不值得微调：")


def test_the_sentence_says_what_a_tuning_costs_and_until_when_it_stands(tmp_path):
    dates = ("contenders.newer.model.released='2025-04-29'", "contenders.prompted.model.released='2025-08-01'")
    plain = judged(tmp_path / "plain")
    assert "It stands until a base newer than newer is out." in plain.sentence
    assert "结论有效至比 newer 更新的底座问世。" in plain.sentence_zh
    assert "costs" not in plain.sentence
    alone = judged(tmp_path / "alone", *dates, "costs.people=1500")
    paid = "One tuning campaign (people) costs 1,500 CNY in all."
    assert f"{paid} It stands until a base newer than newer (released 2025-04-29)" in alone.sentence
    assert (
        "一轮微调的全部成本（人力）为 1,500 CNY。结论有效至比 newer（2025-04-29 发布）更新的底座问世。"
        in alone.sentence_zh
    )
    both = judged(tmp_path / "both", *dates, "rule.alternatives=[prompted]", rates={"prompted": 0.5})
    assert "It stands until a base newer than prompted (released 2025-08-01) is out." in both.sentence
    undated = judged(tmp_path / "undated", dates[1], "rule.alternatives=[prompted]", rates={"prompted": 0.5})
    assert "It stands until a base newer than newer is out." in undated.sentence


def test_what_calls_nothing_stands_until_nothing(tmp_path):
    terms = "contenders.newer.model.released='2025-04-29'", "costs.people=0.4"
    found = {
        "inconclusive": judged(tmp_path / "open", *terms, rates={"lora": 0.56}),
        "exploratory": judged(tmp_path / "early", *terms, plan=False),
    }
    for outcome, each in found.items():
        assert each.outcome == outcome
        assert "One tuning campaign (people) costs 0.4 CNY in all." in each.sentence
        assert "一轮微调的全部成本（人力）为 0.4 CNY。" in each.sentence_zh
        assert "It stands" not in each.sentence
        assert "结论有效至" not in each.sentence_zh


def test_the_sum_of_the_sentence_is_told_apart_from_the_training_cost_of_the_table(tmp_path):
    found = judged(tmp_path, "costs.gpu_hour=3600", "costs.people=100")
    bill, row = found.money.bills[0], next(each for each in found.contenders if each.name == "lora")
    assert bill.tuning > row.training_cost + 100
    whole = amount(bill.tuning, "CNY")
    assert f"One tuning campaign (training, evaluation, people) costs {whole} in all." in found.sentence
    assert f"一轮微调的全部成本（训练、评测、人力）为 {whole}。" in found.sentence_zh
    heads = [" ".join(str(column.header).split()) for column in _scores(found).columns]
    assert "training cost" in heads
    assert "tuning cost" not in heads


@pytest.mark.parametrize(
    ("value", "says"),
    [(0, "0"), (0.4, "0.4"), (-0.0123, "−0.0123"), (12.345, "12.3"), (99.99, "100"), (1500.4, "1,500"), (1e-30, "0")],
)
def test_a_small_sum_is_not_nothing(value, says):
    assert amount(value, "CNY") == f"{says} CNY"


@pytest.mark.parametrize("challengers", ["[lora]", "[lora, prefix]"])
def test_the_page_expected_what_check_foretold(tmp_path, challengers):
    run = finished(tmp_path, f"rule.challengers={challengers}")
    before = judge(run.recipe, run.run).power.mde_before
    assert f"find a gain of {before:.1%} above the margin" in str(power(run.recipe, run.benchmark))


def test_who_writes_nothing_has_no_budget_of_tokens(tmp_path):
    """A head names an answer, whatever it might write; where only one other is left nothing is compared."""
    cut = {"newer": {"change": lambda r: r.model_copy(update=graded("truncated")) if r.id == "letters-7" else r}}
    headed, model = "contenders.lora.head=sequence", "{id: ./old, family: r1_distill_qwen, think: empty, decoding: "
    more = f"contenders.lora.model={model}{{max_new_tokens: 4096}}}}"
    assert gate(judged(tmp_path / "writes", more, sit=cut), "token budget").status == "failed"
    alone = judged(tmp_path / "alone", more, headed, sit=cut)
    assert "token budget" not in [each.name for each in alone.gates]
    both = judged(tmp_path / "both", more, headed, "rule.challengers=[lora, prefix]", sit=cut)
    assert gate(both, "token budget").figures.keys() == {"prefix: limit", "prefix: cut", "newer: limit", "newer: cut"}
    assert gate(both, "token budget").status == "passed"


def test_too_dear(tmp_path):
    """Better beyond doubt, and each query costs more than the gain is worth."""
    slow = {"lora": {"change": lambda answer: answer.model_copy(update={"seconds": 500.0})}}
    found = judged(tmp_path, *PRICES, sit=slow)
    assert (found.outcome, codes(found)) == ("not_worth_it", {"too_dear"})
    assert found.delta.low > found.margin
    assert found.money.bills[0].breakeven.point is None
    assert "too dear" in found.sentence


def test_paid_for(tmp_path):
    found = judged(tmp_path, *PRICES, "costs.people=1000")
    assert (found.outcome, codes(found)) == ("worth_it", {"above", "pays"})
    bill = found.money.bills[0]
    assert bill.parts["training"] == pytest.approx(18)  # one device hour
    assert bill.parts["evaluation"] == pytest.approx(3 * 400 * 0.1 / 3600 * 18)  # lora, newer and old
    assert bill.net.low > 0
    row = next(row for row in found.contenders if row.name == "lora")
    assert (row.training_cost, row.cost_per_query) == (pytest.approx(18), pytest.approx(0.1 / 3600 * 18 / 0.5))


def test_a_price_that_hangs_in_the_balance_is_inconclusive(tmp_path):
    gain = judged(tmp_path / "a").delta.gain
    found = judged(tmp_path / "b", *PRICES[:2], "costs.queries=1000", f"costs.people={1000 * gain:.0f}")
    assert (found.outcome, codes(found)) == ("inconclusive", {"price_unresolved"})
    assert [step.what for step in found.settle] == ["costs"]


def test_inconclusive_names_what_would_settle_it(tmp_path):
    found = judged(tmp_path, rates={"lora": 0.56})
    assert (found.outcome, codes(found)) == ("inconclusive", {"unresolved"})
    assert found.delta.low <= found.margin <= found.delta.high
    (step,) = found.settle
    whole = found.power.mde / abs(found.delta.gain - found.margin)
    assert (step.what, step.number) == ("items", pytest.approx(400 * whole**2, abs=1))
    assert f"{step.number:,} such questions" in found.sentence
    assert found.sentence.endswith("Until then keep newer, untuned.")
    assert found.sentence_zh.startswith("尚无定论：")


def test_a_prompt_that_closes_the_gap_makes_tuning_not_worth_it(tmp_path):
    """An intersection-union claim: worth it must hold against every alternative too."""
    found = judged(tmp_path, "rule.alternatives=[prompted]", rates={"prompted": 0.9})
    assert found.outcome == "not_worth_it"
    assert found.rulings[0].reasons[0].rival == "prompted"
    assert "worse than prompted" in found.sentence
    assert found.delta.low > found.margin
    beaten = judged(tmp_path / "b", "rule.alternatives=[prompted]", rates={"prompted": 0.5})
    assert beaten.outcome == "worth_it"
    assert "lora beats newer and prompted" in beaten.sentence


def test_two_challengers_are_held_to_holm_and_the_better_one_speaks(tmp_path):
    found = judged(tmp_path, "rule.challengers=[prefix, lora]")
    assert (found.outcome, found.challenger) == ("worth_it", "lora")
    assert {r.challenger: r.call for r in found.rulings} == {"prefix": "not_worth_it", "lora": "worth_it"}
    alone = judged(tmp_path / "b")
    assert found.delta.low < alone.delta.low  # the price of a second try
    assert found.delta.high == alone.delta.high
    none = judged(tmp_path / "c", "rule.challengers=[prefix, lora]", rates={"lora": 0.3})
    assert (none.outcome, none.challenger) == ("not_worth_it", "prefix")
    assert "Neither is lora." in none.sentence


def test_three_seeds_support_a_claim_on_the_recipe(tmp_path):
    found = judged(tmp_path, "train.seeds=[17, 18, 19]")
    assert (found.claim, found.comparisons[0].seeds) == ("recipe", 3)
    assert "A claim on the recipe (3 training seeds)." in found.sentence
    assert found.money.bills[0].parts["training"] == 0  # unpriced, but three seeds were tuned
    assert next(row for row in found.contenders if row.name == "lora").training_seconds == 3 * 3600


def test_without_a_plan_it_is_exploratory_whatever_the_numbers(tmp_path):
    found = judged(tmp_path, plan=False)
    assert (found.outcome, gate(found, "plan").status) == ("exploratory", "failed")
    assert found.delta.low > found.margin
    assert "no plan was kept before scoring" in found.sentence
    assert found.sentence_zh.startswith("仅为探索，不作结论")


def test_a_rule_changed_after_the_scores_is_exploratory(tmp_path):
    finished(tmp_path)
    changed = build(tmp_path, "rule.margin=0.01")
    found = judge(changed.recipe, changed.run)
    assert (found.outcome, found.margin) == ("exploratory", 0.01)
    changed.pledge()
    again = judge(changed.recipe, changed.run)
    assert again.outcome == "exploratory"
    assert gate(again, "plan").reason.startswith("lora was scored under another plan; a changed recipe is another")


def test_an_adapter_tuned_elsewhere_carries_its_declared_cost_and_its_own_digest(tmp_path):
    from finetune.methods import adapter_digest

    brought = tmp_path / "brought"
    brought.mkdir()
    for part in ("adapter_config.json", "adapter_model.safetensors"):
        (brought / part).write_text("{}")
    changes = ("contenders.lora.method=null", f"contenders.lora.adapter={brought}", "contenders.lora.adapter_cost=400")
    digest = adapter_digest(brought)
    found = judged(tmp_path, *changes, *PRICES, sit={"lora": {"adapter_digest": digest}})
    assert (found.outcome, found.claim) == ("worth_it", "artifact")
    assert found.money.bills[0].parts["declared"] == 400
    row = next(row for row in found.contenders if row.name == "lora")
    assert (row.method, row.training_cost, row.roles) == ("adapter", 400, ("challenger",))


def test_contenders_tasks_and_provenance_hold_what_the_page_shows(tmp_path):
    found = judged(tmp_path, "exam.samples=2", "rule.alternatives=[prompted]")
    rows = {row.name: row for row in found.contenders}
    assert {name: row.roles for name, row in rows.items()} == {
        "old": ("base",), "lora": ("challenger",), "prefix": (), "newer": ("incumbent",), "prompted": ("alternative",),
    }  # fmt: skip
    lora = rows["lora"]
    assert lora.low < lora.score < lora.high
    assert lora.score == pytest.approx(sum(t.weight * s.score for t, s in zip(found.tasks, lora.tasks, strict=True)))
    assert sum(lora.outcomes.values()) == pytest.approx(1)
    assert (lora.samples, lora.seconds_per_query) == ({"letters": 2, "numbers": 2}, pytest.approx(0.1))
    assert [(t.name, t.n, t.clusters, t.weight) for t in found.tasks] == [
        ("letters", 240, 80, 0.75), ("numbers", 160, 80, 0.25),
    ]  # fmt: skip
    assert found.delta.gain == pytest.approx(lora.score - rows["newer"].score)
    origin = {o.name: o for o in found.provenance.contenders}
    assert (origin["lora"].adapters, origin["newer"].adapters) == ({17: "lora 17"}, {})
    assert found.provenance.plan_at < found.provenance.first_score_at
    assert found.provenance.attempts == {"plan": 1}


def test_provenance_says_why_an_engine_was_chosen(tmp_path):
    """Where the recipe names none: as score.json has it, in both languages."""
    why = {"engine_why": "vLLM is not installed here", "engine_why_zh": "此处未安装 vLLM"}
    found = judged(tmp_path, sit={"lora": why})
    told = {o.name: (o.engine_why, o.engine_why_zh) for o in found.provenance.contenders}
    assert told["lora"] == tuple(why.values())
    assert told["newer"] == ("", ""), "a manifest that says nothing is not made to"


def test_the_best_on_the_development_questions_is_confirmed_alone_and_uncorrected(tmp_path):
    found = judged(tmp_path, "rule.challengers=[prefix, lora]", "exam.dev=0.3")
    assert [ruling.challenger for ruling in found.rulings] == ["lora"]
    assert {each.challenger for each in found.comparisons if each.role == "delta"} == {"lora"}
    alone = judged(tmp_path / "alone", "exam.dev=0.3")
    assert found.delta == alone.delta  # one confirmation costs what one challenger costs
    assert "lora was chosen on the development questions (lora" in found.sentence
    assert "chosen_on_dev" not in {note.code for note in alone.notes}


def test_development_questions_are_left_out(tmp_path):
    found = judged(tmp_path, "exam.dev=0.3")
    assert found.delta.n == sum(task.n for task in found.tasks) < 400
    assert found.delta.clusters < 160


def sheets(rng: random.Random, names: list[str], rates: list[float]) -> dict[str, Sheet]:
    return {
        name: Sheet.of(name, {0: [
            row("t", i, cluster=str(i // 2), **graded("correct" if rng.random() < rate else "wrong")) for i in range(24)
        ]})
        for name, rate in zip(names, rates, strict=True)
    }  # fmt: skip


@given(st.integers(0, 10**6), st.lists(st.floats(0, 1), min_size=5, max_size=5), st.floats(-0.3, 0.3), st.floats(-9, 9))
@settings(max_examples=40, deadline=None)
def test_worth_it_is_never_said_below_the_margin_or_unpaid(seed, rates, margin, net):
    """Against every rival, for every challenger, whatever the numbers; and never beside an upper bound below it."""
    made = sheets(random.Random(seed), ["lora", "prefix", "newer", "prompted", "old"], rates)
    pairs = {
        who: [Pair.of(made[who], made[rival], {}) for rival in ("newer", "prompted")] for who in ("lora", "prefix")
    }
    standings = stand(pairs, 0.95, margin, *[dict.fromkeys(pairs, ())] * 2)
    rulings = []
    for name, contests in pairs.items():
        found = [compare(pair, role="delta", confidence=0.95, margin=margin) for pair in contests]
        bill = Bill(challenger=name, rival="newer", parts={}, tuning=0, horizon=0, extra_per_query=0, wrong=0,
                    breakeven=None, net=Net(low=net - 1, point=net, high=net + 1))  # fmt: skip
        ruling = rule(standings[name], found, [bill], "CNY")
        rulings.append(ruling)
        assert ruling.reasons
        if ruling.call == "worth_it":
            assert min(ruling.lows.values()) > margin
            assert net - 1 > 0
            assert all(each.high >= margin for each in found)
        if ruling.call == "not_worth_it":
            assert any(each.high < margin for each in found) or net + 1 < 0
    assert (overall(rulings) == "not_worth_it") == all(r.call == "not_worth_it" for r in rulings)
