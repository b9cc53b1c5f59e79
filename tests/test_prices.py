"""Default prices: every offer is dated and has a source, a recipe without a price takes one and the verdict says which,
its own price goes first, an exchange rate is never assumed."""

from __future__ import annotations

import json
import math
import re
from datetime import date
from types import SimpleNamespace

import pytest
from judged_run import judged, served, told
from written_exam import build

from eval import pledge
from eval.benchmark import Benchmark
from eval.check import show
from eval.money.defaults import STALE, runs_on, said, taken
from eval.report import render
from finetune import plan
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.recipe.prices import shelf

WORTH = ("costs.value_per_correct=1", "costs.queries=1000000")
OURS = {"url": "https://api.deepseek.com/v1", "model": "deepseek-flash", "allow_remote": True}


def test_every_offer_has_a_day_a_source_and_a_unit():
    found = shelf()
    offers = [each for group in found.devices.values() for each in group]
    tokens = [each for api in found.apis.values() for each in api.offers]
    assert len(offers) > 8
    assert {each.unit for each in offers} == {"device hour"}
    assert {each.unit for each in tokens} == {"million tokens"}
    for each in (*offers, *tokens):
        assert each.age(date(2030, 1, 1)) > 0
        assert each.source_zh
        assert not re.search(r" (?:of|to|one|peak|pricing|community|file)\b", each.source_zh)
    for each in tokens:
        assert each.read < each.price
        assert each.cached is None or each.cached < each.read
    assert {name for name, device in plan.shelf().items() if device.price} <= set(found.devices)
    peak, off = (found.apis[name].offers[0] for name in ("deepseek-flash", "deepseek-flash-off-peak"))
    assert (peak.read, peak.price) == (2 * off.read, 2 * off.price)


def test_a_date_without_a_day_is_as_old_as_it_can_be():
    (first, second), day = shelf().devices["rtx4090"], date(2026, 11, 20)
    assert first.age(day) == 61
    assert second.age(day) == (day - date(2026, 1, 1)).days > STALE


def test_a_named_device_is_priced_and_the_verdict_says_from_where(tmp_path):
    found = judged(tmp_path, *WORTH, "costs.device=a800-80g")
    (each,) = found.money.defaults
    assert found.money.gpu_hour == each.quote.price == 5.15
    assert (each.contender, each.quote.name, each.quote.currency, each.quote.rate) == (None, "a800-80g", "CNY", 1)
    assert each.stale  # its page has a year alone
    assert found.money.bills[0].parts["training"] == pytest.approx(5.15)  # one hour
    page = render(found)
    assert 'data-default="a800-80g" data-stale="true"' in page
    assert f"Default price: a800-80g, 5.15 CNY a device hour (gpu-price-index; 2026, up to {each.age} days old" in page
    assert "默认价格：a800-80g，每设备小时 5.15 CNY（gpu-price-index；2026，" in page
    assert f"2026，最多已过 {each.age} 天" in page
    assert each.ran == "cpu"  # the written run says so of every stage
    assert "Its seconds are another device&#39;s: cpu." in page
    assert "计时来自另一设备：cpu。" in page


def test_a_device_is_known_by_the_name_that_it_gives_itself(tmp_path):
    recipe = build(tmp_path, "costs.device=h20").recipe
    own, others = {"NVIDIA H20"}, {"NVIDIA H20", "NVIDIA H200", "cpu"}
    assert [taken(recipe, None, each)[0].ran for each in (own, others, ())] == ["", "NVIDIA H200, cpu", ""]


@pytest.mark.parametrize(
    ("named", "own", "others"),
    [
        ("h100", "NVIDIA H100 80GB HBM3", ["NVIDIA H100 PCIe", "NVIDIA GH100", "cpu"]),
        ("rtx4090", "NVIDIA GeForce RTX 4090", ["NVIDIA GeForce RTX 4090 D", "NVIDIA GeForce RTX 4090 Laptop GPU"]),
        ("a100-40g", "NVIDIA A100-SXM4-40GB", ["NVIDIA A100-SXM4-80GB", "NVIDIA A100 80GB PCIe"]),
        ("b200", "NVIDIA B200", ["NVIDIA GB200", "NVIDIA B2000", "NVIDIA H200"]),
        ("rtx5090", "NVIDIA GeForce RTX 5090", ["NVIDIA GeForce RTX 5090 D", "NVIDIA GeForce RTX 4090", "cpu"]),
    ],
)
def test_a_near_name_is_another_device(named, own, others):
    assert runs_on(named, own)
    assert [each for each in others if runs_on(named, each)] == []


def test_a_price_of_ones_own_goes_first(tmp_path):
    found = judged(tmp_path, *WORTH, "costs.device=h100", "costs.gpu_hour=18")
    assert (found.money.gpu_hour, found.money.defaults) == (18, ())
    engine = served("newer", tariff="deepseek-v4-pro", price_in=1, price_out=2)
    chosen = build(tmp_path / "b", *engine).recipe.contenders["newer"].served
    assert (chosen.price_in, chosen.price_out, chosen.quote) == (1, 2, None)


def test_another_currency_needs_a_rate_that_somebody_names(tmp_path):
    build(tmp_path)
    with pytest.raises(BadInput, match=r"h100 is priced in USD \(2.69 .* costs.currency is CNY: give costs.exchange"):
        Recipe.read(tmp_path / "study.yaml", ("costs.device=h100",))
    found = judged(tmp_path / "b", *WORTH, "costs.device=h100", "costs.exchange={USD: 7}")
    assert found.money.gpu_hour == pytest.approx(7 * 2.69)
    assert "at 7 CNY for one USD" in render(found)
    dollars = build(tmp_path / "c", "costs.device=rtx4090", "costs.currency=USD").recipe.costs
    assert (dollars.gpu_hour, dollars.quote.date) == (0.29, "2026-09-20")
    yuan = build(tmp_path / "d", "costs.device=rtx4090").recipe.costs
    assert (yuan.gpu_hour, yuan.quote.currency) == (1.24, "CNY")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (("costs.device=h1000",), r"costs.device: no default price of h1000; there are rtx4090, .*h200.*or give"),
        (served("newer", tariff="gpt"), r"engine.tariff: gpt is unknown; there are deepseek-flash, .*give price_in"),
        (("costs.device=moon", "costs.gpu_hour=3"), "price of moon; .*or leave it out beside costs.gpu_hour"),
        (served("newer", tariff="gpt", price_in=1, price_out=2), "tariff: gpt is unknown; .*or leave it out beside"),
        (("costs.device=h100", "costs.exchange={USD: much}"), "give costs.exchange"),
        (("costs.quote={price: 1, currency: CNY, unit: device hour, date: 2026, source: us, name: a}",), "leave it"),
        (served("newer", price_cached=1), "price_cached: says what kept tokens cost"),
    ],
)  # fmt: skip
def test_what_has_no_default_is_refused_in_a_line(tmp_path, changes, says):
    build(tmp_path)
    with pytest.raises(BadInput, match=says):
        Recipe.read(tmp_path / "study.yaml", changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (("costs.gpu_hour=null", "costs.device=[h100]"), r"costs.device"),
        (("costs.device=4090",), r"costs.device"),
        (served("newer", **OURS, tariff=["a"]), r"tariff"),
        (
            (
                "rule.margin=from_costs",
                "costs={planned: {tuning: 1, timed: 3, timing: tm}, queries: 9, value_per_correct: 1}",
            ),
            r"costs.planned.timed",
        ),
    ],
)
def test_what_is_no_name_is_refused_by_its_key(tmp_path, changes, says):
    build(tmp_path)
    with pytest.raises(BadInput, match=says):
        Recipe.read(tmp_path / "study.yaml", changes)


def test_a_model_asked_at_its_maker_takes_the_makers_price(tmp_path):
    chosen = build(tmp_path, *served("newer", **OURS)).recipe.contenders["newer"].served
    assert (chosen.price_in, chosen.price_out, chosen.price_cached) == (2, 8, 0.04)
    assert chosen.query_price(1e6, 1e6) == chosen.price(1e6, 1e6) == 10
    half = build(tmp_path / "b", *served("newer", **OURS, cached_share=0.5)).recipe
    assert half.contenders["newer"].served.query_price(1e6, 1e6) == pytest.approx(8 + 1 + 0.02)
    off = build(tmp_path / "c", *served("newer", **OURS, tariff="deepseek-flash-off-peak")).recipe
    assert off.contenders["newer"].served.price_out == 4
    elsewhere = build(tmp_path / "d", *served("newer", model="deepseek-flash")).recipe
    assert not elsewhere.contenders["newer"].served.priced


def test_the_bill_of_a_served_rival_says_whose_default_it_is(tmp_path):
    facts = {"chat_digest": "", "engine": "openai chat, m", "dtype": "as served", "served": told()}
    engine = served("newer", tariff="deepseek-flash", cached_share=0.25)
    found = judged(tmp_path, *WORTH, *engine, sit={"newer": facts})
    (each,) = found.money.defaults
    assert (each.contender, each.quote.name, each.stale) == ("newer", "deepseek-flash", False)
    cost = {row.name: row.cost_per_query for row in found.contenders}
    assert cost["newer"] == pytest.approx((10 * (0.75 * 2 + 0.25 * 0.04) + 2 * 8) / 1e6)
    assert "Default price of newer: deepseek-flash, 2 / 8 CNY a million tokens read / written" in render(found)


def test_the_source_of_a_price_is_told_in_chinese_too(tmp_path):
    """A recipe that was kept before prices had it says it as it stands, and the plan's digest is the same."""
    recipe = build(tmp_path, "costs.device=h20").recipe
    (each,) = taken(recipe, None)
    assert "（gpu-price-index，仅一家卖家；2026" in said(each, "CNY")[1]
    assert "(gpu-price-index, one seller; 2026" in said(each, "CNY")[0]
    older = recipe.costs.quote.model_copy(update={"source_zh": ""})
    before = recipe.model_copy(update={"costs": recipe.costs.model_copy(update={"quote": older})})
    assert "（gpu-price-index, one seller；2026" in said(taken(before, None)[0], "CNY")[1]
    exam = Benchmark.read(recipe)
    assert pledge.digest(before, exam) == pledge.digest(recipe, exam)


def test_what_was_taken_is_frozen_in_the_plan(tmp_path):
    run = build(tmp_path, "costs.device=a800-80g")
    run.pledge()
    back = pledge.restored(run.run)
    assert back.costs == run.recipe.costs
    promise = json.loads(run.run.plan.read_text("utf-8"))["promise"]["costs"]
    assert promise["quote"]["source"] == "gpu-price-index"
    assert math.isclose(promise["gpu_hour"], 5.15)


def test_check_says_which_default_it_counts_with(tmp_path, monkeypatch):
    printed = []
    console = SimpleNamespace(print=lambda *parts, **_: printed.extend(map(str, parts)))
    monkeypatch.setattr("eval.check.example", lambda *_, **__: "")  # the exam's models are no checkpoints
    # The exam's golds are all alike, which no study may ask.
    show(build(tmp_path, "costs.device=a800-80g", "purpose=smoke").recipe, console)
    assert any(line.startswith("Default price: a800-80g, 5.15 CNY a device hour") for line in printed)
