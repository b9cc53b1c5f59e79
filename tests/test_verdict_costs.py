"""What tuning costs, in the verdict: the bills that may turn it, and what its sentence says of them and until when."""

from __future__ import annotations

import pytest
from judged_run import PRICES, at_the_door, codes, finished, gate, judged

from eval.report.summary import _scores
from eval.verdict import Verdict
from eval.verdict.ruling import amount, points


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


def test_a_margin_below_0_bears_a_loss_and_no_gain_is_claimed(tmp_path):
    """Cheap to serve, a little worse: worth it, and not because it beats anyone (decision.md 5.5)."""
    slow = {"change": lambda row: row.model_copy(update={"seconds": 30.0})}
    terms = "costs.gpu_hour=18", "costs.value_per_correct=0.5", "costs.queries=1000000", "rule.margin=-0.1"
    found = judged(tmp_path / "one", *terms, rates={"lora": 0.53}, sit={"newer": slow})
    assert found.outcome == "worth_it"
    assert found.delta.low < 0
    least = points(-found.delta.low)
    assert found.sentence.startswith(f"Worth it: lora loses at most {least} points to newer, which the margin bears. ")
    assert found.sentence_zh.startswith(f"值得微调：lora 至多比 newer 低 {least} 个百分点，在门槛容许之内。")
    told = " ".join(reason.text + reason.text_zh for reason in found.rulings[0].reasons)
    assert "beats" not in found.sentence + told
    assert "at least −" not in told
    both = (*terms, "rule.alternatives=[prompted]")
    sits = {"newer": slow, "prompted": slow}
    mixed = judged(tmp_path / "both", *both, rates={"lora": 0.53, "prompted": 0.3}, sit=sits)
    assert mixed.sentence.startswith(f"Worth it: lora beats prompted; lora loses at most {least} points to newer")
    assert mixed.sentence_zh.startswith("值得微调：lora 优于 prompted；lora 至多比 newer 低")


def test_the_level_of_the_interval_is_said_as_it_is(tmp_path):
    found = judged(tmp_path, "rule.confidence=0.975")
    assert "(97.5% interval" in found.sentence
    assert "（97.5% 区间" in found.sentence_zh


def test_where_nobody_knows_what_a_query_costs_nothing_is_worth_it(tmp_path):
    """One answer whose seconds a log does not tell: no net benefit can be told, and none is taken to be above 0."""
    unknown = {"change": lambda row: row.model_copy(update={"seconds": None}) if row.id == "letters-7" else row}
    found = judged(tmp_path, *PRICES, sit={"newer": unknown})
    assert found.money.bills[0].net is None
    assert (found.outcome, gate(found, "serving cost").status) == ("inconclusive", "not_checked")
    assert "what a query of newer costs is not known" in found.sentence
    plain = judged(tmp_path / "plain", sit={"newer": unknown})  # nobody asked for a net benefit
    assert plain.outcome == "worth_it"


@pytest.mark.parametrize("key", ["queries", "retunes", "gpu_hour", "value_per_correct", "loss_per_wrong", "people"])
def test_a_number_without_end_is_refused_and_the_largest_is_judged(tmp_path, key):
    finished(tmp_path, *PRICES)
    rest = tuple(price for price in PRICES if not price.startswith(f"costs.{key}="))
    beyond = at_the_door(tmp_path, changes=(*rest, f"costs.{key}={10**400}"))
    assert (beyond.exit_code, "Traceback" in beyond.output) == (2, False)
    assert f"costs.{key}: " in beyond.output.replace("\n", "")
    most = judged(tmp_path / "most", *rest, f"costs.{key}={10**15}")
    assert Verdict.model_validate_json(most.model_dump_json()) == most
    assert "Inconclusive: ." not in most.sentence
