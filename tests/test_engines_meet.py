"""Rivals behind servers, and what probes found: what stays open, what counts, what stands on the page."""

from __future__ import annotations

import json

import pytest
from judged_run import PRICES, finished, gate, judged, served, told
from written_exam import Run

from eval.repeatability import Repeatability
from eval.report import render
from eval.verdict import judge


def test_a_served_rival_leaves_open_what_nobody_can_know_of_it(tmp_path):
    facts = {"chat_digest": "", "engine": "openai chat, m", "dtype": "as served", "served": told()}
    found = judged(tmp_path, *served(), sit={"newer": facts})
    assert found.outcome == "inconclusive"
    open_gates = {gate.name: gate.reason for gate in found.gates if gate.required and gate.status == "not_checked"}
    assert open_gates.keys() == {"prompt content", "engine parity"}
    assert "the template of newer is its server's own" in open_gates["prompt content"]
    assert render(found)


def test_our_rendering_served_is_a_known_template(tmp_path):
    facts = {"engine": "openai completions, m", "served": told("ids", api="completions")}
    found = judged(tmp_path, *served(api="completions"), sit={"newer": facts})
    assert gate(found, "prompt content").status == "passed"
    assert gate(found, "engine parity").status == "not_checked"


def repeated(run: Run, name: str, gain=0.0, low=-0.02, high=0.02, stale=False, **facts) -> None:
    """What a probe would have found of a contender that was scored."""
    changes = {"answers": 0.1, "rankings": None, "texts": 0.1, "largest": None}
    same = {"gain": gain, "low": low, "high": high, "n": 128, "clusters": 100}
    scored = next(iter(run.run.folder.glob(f"{name}/seed-*/score.json")))
    mark = "other" if stale else json.loads(scored.read_text())["fingerprint"]
    Repeatability.model_validate({
        "contender": name, "seed": 0, "fingerprint": mark, "at": 1, "kind": ("transformers", "float32"),
        "questions": 128, "answers": 128, "batch_tokens": 64,
        "floor": {"apart": same, "changes": changes},
        "batching": {"together": 100, "changes": changes | {"answers": 0.0}}, "parity": None, **facts,
    }).write(run.run.repeatability(name))  # fmt: skip


def test_what_probes_found_counts_and_stands_on_the_page(tmp_path):
    run = finished(tmp_path)
    repeated(run, "lora")
    repeated(run, "newer", stale=True)
    found = judge(run.recipe, run.run)
    assert (found.outcome, gate(found, "noise floor").status) == ("worth_it", "not_checked")  # newer's is of another
    repeated(run, "newer")
    found = judge(run.recipe, run.run)
    assert found.outcome == "worth_it"
    assert [gate(found, name).status for name in ("noise floor", "batch invariance")] == ["passed", "passed"]
    assert f"beside lora − newer {100 * found.delta.gain:+.1f}" in gate(found, "noise floor").reason
    repeated(run, "newer", low=-0.3, high=0.3)
    found = judge(run.recipe, run.run)
    assert (found.outcome, gate(found, "noise floor").status) == ("worth_it", "unresolved")
    made = render(found)
    assert 'data-gate="noise floor" data-status="unresolved"' in made
    assert "未能判定" in made
    repeated(run, "newer", gain=0.06, low=0.02, high=0.1)
    found = judge(run.recipe, run.run)
    assert (found.outcome, gate(found, "noise floor").status) == ("invalid", "failed")
    assert "noise floor: against themselves" in found.sentence


@pytest.mark.parametrize(
    ("gap", "outcome", "status"),
    [((0, -0.02, 0.02), "worth_it", "passed"), ((0, -0.3, 0.3), "inconclusive", "unresolved"),
     ((0.1, 0.05, 0.15), "invalid", "failed")],
)  # fmt: skip
def test_two_engines_may_meet_where_a_probe_links_them(tmp_path, gap, outcome, status):
    facts = {"engine": "openai completions, m", "dtype": "as served", "served": told("ids", api="completions")}
    run = finished(tmp_path, *served(api="completions"), sit={"newer": facts})
    apart = dict(zip(("gain", "low", "high"), gap, strict=True)) | {"n": 128, "clusters": 128}
    changes = {"answers": 0.2, "rankings": None, "texts": 0.3, "largest": None}
    linked = {"apart": apart, "changes": changes, "prefix": 0.8, "prefix_tokens": 20, "same_prompts": 1}
    kinds = {"here": ("transformers", "float32"), "there": ("openai completions, m", "as served")}
    repeated(run, "newer", parity=linked | kinds)
    found = judge(run.recipe, run.run)
    assert (found.outcome, gate(found, "engine parity").status) == (outcome, status)
    if status == "unresolved":
        assert "engine parity is unresolved: one checkpoint on both" in found.sentence
        assert "引擎一致未能判定" in found.sentence_zh


def test_where_tokens_are_paid_for_no_device_is(tmp_path):
    """10 tokens read at 2 a million and 2 written at 8: 36 millionths a query; 4,000 and 800 for the whole scoring."""
    facts = {"chat_digest": "", "served": told(), "generated_tokens": 800}
    prices = (*PRICES, *served(price_in=2, price_out=8))
    found = judged(tmp_path, *prices, sit={"newer": facts})
    rows = {row.name: row for row in found.contenders}
    assert rows["newer"].cost_per_query == pytest.approx(36e-6)
    assert rows["lora"].cost_per_query == pytest.approx(0.1 / 3600 * 18 / 0.5)
    (due,) = [bill for bill in found.money.bills if bill.rival == "newer"]
    assert due.extra_per_query == pytest.approx(rows["lora"].cost_per_query - 36e-6)
    devices = sum(rows[name].scoring_seconds for name in ("lora", "newer", "old")) / 3600 * 18
    assert due.parts["evaluation"] == pytest.approx(devices + (2 * 4000 + 8 * 800) / 1e6)
