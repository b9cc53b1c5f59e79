"""A verdict over answers given elsewhere: what a log cannot tell is not checked, a declared cost counted."""

from __future__ import annotations

import re

import pytest
import yaml
from small_logs import THEIRS, UNKNOWN, log_samples, theirs
from small_study import tuneworth, verdict, write_study
from test_regrade import study
from written_exam import build

from eval import items
from eval.extract import EXTRACTOR
from eval.report import render
from eval.verdict import judge
from finetune.mistakes import BadInput


def gates_of(found) -> dict[str, str]:
    return {gate.name: gate.status for gate in found.gates}


def test_imported_answers_are_read_anew_like_any_other(tmp_path, monkeypatch):
    """Of their right answers nine in ten were not read before; what a log cannot tell stays so."""
    (tmp_path / "samples_letters.jsonl").write_text("{}\n", "utf-8")
    change = f"contenders.newer.items={tmp_path}/samples_letters.jsonl"
    run = study(tmp_path, monkeypatch, change, unread={"newer": 900})
    log = run.run.seed("newer", 0).items
    items.replace(log, [row.model_copy(update=UNKNOWN | {"engine": "lm_eval"}) for row in items.read(log)])
    done = tuneworth("regrade", tmp_path / "study.yaml", "--out", tmp_path / "runs", "--set", change)
    assert done.returncode == 0, done.stderr
    (turned,) = re.findall(r"regrade newer seed 0, letters: (\d+) of 240 outcomes changed", done.stdout)
    assert int(turned) > 50
    assert "the verdict moved from invalid to inconclusive" in done.stdout
    rows = items.read(log)
    assert {row.outcome for row in rows} == {"correct", "wrong"}
    assert {(row.extractor, row.finish, row.seconds, row.tokens_out) for row in rows} == {(EXTRACTOR, None, None, None)}


def test_what_a_log_cannot_tell_is_not_checked(tmp_path):
    run = theirs(tmp_path)
    found = judge(run.recipe, run.run)
    told = gates_of(found)
    assert (found.outcome, told["truncated"], told["engine parity"]) == ("inconclusive", "not_checked", "not_checked")
    assert (told["same questions"], told["prompt content"], told["plan"]) == ("passed", "passed", "passed")
    assert "serving cost" not in told  # nobody asked for a net benefit
    row = next(row for row in found.contenders if row.name == "newer")
    measured = (row.seconds_per_query, row.tokens_in, row.tokens_out, row.cost_per_query, row.scoring_seconds)
    assert measured == (None,) * 5
    bill = next(bill for bill in found.money.bills if bill.rival == "newer")
    assert (bill.extra_per_query, bill.breakeven, bill.net) == (None, None, None)
    page = render(found)
    assert page.count("未知") >= 6
    assert "Imported from samples, sha256" in page


PRICES = ("costs.gpu_hour=1", "costs.value_per_correct=1", "costs.queries=1000000")


def test_a_serving_cost_that_nobody_declared_leaves_the_money_open(tmp_path):
    run = theirs(tmp_path, *PRICES, engine="transformers")
    found = judge(run.recipe, run.run)
    assert gates_of(found)["serving cost"] == "not_checked"
    assert "serving cost" in found.sentence
    assert "服务成本" in found.sentence_zh


def test_a_declared_serving_cost_is_counted(tmp_path):
    run = theirs(tmp_path, *PRICES, "contenders.newer.query_cost=0.25")
    found = judge(run.recipe, run.run)
    assert "serving cost" not in gates_of(found)
    ours = next(row for row in found.contenders if row.name == "lora").cost_per_query
    bill = next(bill for bill in found.money.bills if bill.rival == "newer")
    assert bill.extra_per_query == pytest.approx(ours - 0.25)
    assert bill.net is not None


@pytest.mark.parametrize(
    ("facts", "status", "outcome"),
    [({"first_score_at": None}, "not_checked", "inconclusive"), ({"first_score_at": 1.0}, "failed", "exploratory")],
)
def test_a_log_older_than_the_plan_or_of_unknown_date_is_no_proof_of_the_plan(tmp_path, facts, status, outcome):
    run = theirs(tmp_path, **facts)
    found = judge(run.recipe, run.run)
    assert (gates_of(found)["plan"], found.outcome) == (status, outcome)


def test_engines_that_no_log_names_are_not_taken_for_one(tmp_path):
    run = theirs(tmp_path, engine="unknown", dtype="unknown")
    gate = next(gate for gate in judge(run.recipe, run.run).gates if gate.name == "engine parity")
    assert (gate.status, gate.reason) == ("not_checked", "nothing says what newer ran on")


def test_a_challenger_tuned_elsewhere_has_a_declared_cost_and_no_proof_of_its_adapter(tmp_path):
    bought = f"contenders.bought={{model: {{id: {tmp_path}/old, family: served, think: keep}}, items: "
    bought += f"{tmp_path}/samples_letters.jsonl, adapter_cost: 500, query_cost: 0.1}}"
    with pytest.raises(BadInput, match="bought has no method and no adapter"):
        build(tmp_path, bought.replace("adapter_cost: 500, ", ""), "rule.challengers=[bought]")
    run = theirs(tmp_path, bought, "rule.challengers=[bought]", *PRICES, name="bought")
    found = judge(run.recipe, run.run)
    assert (gates_of(found)["adapter applied"], found.outcome) == ("not_checked", "inconclusive")
    bill = next(bill for bill in found.money.bills if bill.challenger == "bought")
    assert (bill.parts["declared"], bill.net is None) == (500, False)
    assert "unknown" in render(found)


@pytest.mark.slow
def test_a_rival_that_others_ran_after_the_plan_is_judged_end_to_end(tmp_path):
    """The plan is kept by the first scoring, before their log is there; then they run lm-eval, and all is judged."""
    recipe = write_study(tmp_path, questions=36)
    known = yaml.safe_load(recipe.read_text("utf-8"))
    known["contenders"]["newer"] = {"model": THEIRS, "items": "./log", "query_cost": 0.01}
    del known["contenders"]["framed"], known["rule"]["alternatives"]
    recipe.write_text(yaml.safe_dump(known, allow_unicode=True), "utf-8")
    out = ["--out", tmp_path / "runs"]
    assert tuneworth("score", recipe, "--contender", "old", *out).returncode == 0
    early = tuneworth("score", recipe, "--contender", "newer", *out)
    assert (early.returncode, "log: no such file or folder" in early.stderr) == (2, True)
    log_samples(tmp_path / "newer", tmp_path / "exam", tmp_path / "log")
    done = tuneworth("run", recipe, *out)
    assert done.returncode == 0, done.stderr
    found = verdict(tmp_path / "runs")
    told = {gate["name"]: gate["status"] for gate in found["gates"]}
    assert (told["plan"], told["same questions"], told["prompt content"]) == ("passed", "passed", "passed")
    assert (told["truncated"], told["engine parity"]) == ("not_checked", "not_checked")
    assert found["outcome"] in ("inconclusive", "invalid")  # a toy may fall below chance
    row = next(row for row in found["contenders"] if row["name"] == "newer")
    assert (row["seconds_per_query"], row["cost_per_query"], row["tokens_out"]) == (None, 0.01, None)
    assert "未知" in (tmp_path / "runs/study/report.html").read_text("utf-8")
