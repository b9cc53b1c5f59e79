"""Guards before the run: in the plan, what each needs to tell a harm, what `check` says; how often its rule errs."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats
from small_guards import shelved
from written_exam import _task, build

from eval import pledge
from eval.benchmark import Benchmark
from eval.foresight import guarded
from eval.guards import guards, reach, unguarded
from eval.paired import Layout
from eval.verdict.guards import verdict_of
from eval.verdict.outlook import surely
from finetune.mistakes import BadInput
from finetune.recipe import Recipe


def test_a_plan_without_guards_is_the_plan_of_before(tmp_path):
    plain = build(tmp_path / "plain")
    assert "guards" not in pledge.promise(plain.recipe, plain.benchmark)["rule"]
    paths = shelved(tmp_path / "guarded", "general")
    run = build(tmp_path / "guarded", f"rule.guards={{tasks: {json.dumps(paths)}}}")
    promise = pledge.promise(run.recipe, run.benchmark)
    assert promise["rule"]["guards"]["margin"] == 0.02
    assert [*promise["tasks"], *promise["beside"]] == ["letters", "numbers", "general"]


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ("{margin: 0.01}", "rule.guards: no task is named"),
        ("{tasks: [mmlu], safety: [mmlu]}", "rule.guards: mmlu stands twice"),
        ("{tasks: [no_such]}", "rule.guards: no no_such.yaml"),
        ("{tasks: [mmlu], margin: 0}", "rule.guards.margin: "),
    ],
)
def test_bad_guards_are_refused(tmp_path, terms, says):
    with pytest.raises(BadInput, match=re.escape(says)):
        build(tmp_path, f"rule.guards={terms}")


def test_about_2950_items_tell_two_points(tmp_path):
    """decision.md 5.6: 80 of 100, one-sided .025, discordance .15, each question its own document."""
    _task(tmp_path / "large", "large", "zh", 2950, 1)
    run = build(tmp_path, f"rule.guards={{tasks: [{tmp_path / 'large'}]}}")
    seen = reach(guards(run.recipe, run.benchmark)[0], 0.95)
    assert seen.items == 2950
    assert seen.needed == pytest.approx(2950, abs=10)
    assert seen.mde == pytest.approx(0.02, abs=1e-4)
    loose = reach(replace(guards(run.recipe, run.benchmark)[0], margin=0.04), 0.95)
    assert loose.needed == pytest.approx(seen.needed / 4, abs=1)


def test_several_challengers_need_what_holm_asks_of_each(tmp_path):
    """By hand: quantiles of 1 - .025 / 2 and of .8, as the normal has them with 2,950 documents."""
    _task(tmp_path / "large", "large", "zh", 2950, 1)
    both, terms = "rule.challengers=[lora, prefix]", f"rule.guards={{tasks: [{tmp_path / 'large'}]}}"
    run = build(tmp_path, both, terms)
    strict, said = surely(run.recipe, run.benchmark)
    assert (strict, said) == (pytest.approx(0.975), ", 2 challengers held to Holm")
    seen = reach(guards(run.recipe, run.benchmark)[0], strict)
    quantiles = stats.norm.isf(0.0125) + stats.norm.isf(0.2)
    assert seen.needed == pytest.approx(0.15 * (quantiles / 0.02) ** 2, rel=0.003)
    text = " ".join(str(part) for part in guarded(run.recipe, run.benchmark))
    assert text.count("2 challengers held to Holm") == 1
    assert f"forgetting zh (large) 2950 of {seen.needed}" in text
    chosen = build(tmp_path, both, terms, "exam.dev=0.3")
    assert surely(chosen.recipe, chosen.benchmark) == (0.95, ""), "one is confirmed alone"


def test_check_names_what_each_guard_needs_and_which_is_too_small(tmp_path):
    paths = shelved(tmp_path, "general", "reading")
    run = build(tmp_path, f"rule.guards={{tasks: {json.dumps(paths)}}}")
    console = Console(width=300, record=True, file=io.StringIO())
    for part in guarded(run.recipe, run.benchmark):
        console.print(part)
    said = console.export_text()
    rows = [
        re.findall(r"\d+(?:\.\d%)?", line) for line in said.splitlines() if "general, reading" in line and "%" in line
    ]
    assert rows[0][:3] == ["1300", "1300", "2.0%"]
    assert "Too small to resolve, expect `inconclusive`: forgetting zh (general, reading) 1300 of" in said
    assert "Tuned in one language alone, and no guard of finance in zh: name its tasks in rule.guards.language" in said


def test_check_says_where_nothing_is_guarded(tmp_path):
    run = build(tmp_path)
    lines = list(unguarded(run.recipe, guards(run.recipe, run.benchmark)))
    assert [line[:24] for line in lines] == ["No guard is declared: wh"]


def test_the_suites_of_the_shelf_are_guards_by_language():
    recipe = Recipe.read(Path("recipes/demo.yaml"), ("rule.guards={tasks: [suite:guard_zh, suite:guard_en]}",))
    assert recipe.rule.guards.tasks[:3] == ("cmmlu", "agieval_zh", "cmrc2018")


def test_the_rule_errs_as_often_as_it_says_at_the_margin():
    """At a true change of minus the margin, 2.5 of 100 guards pass, and 2.5 fail: nominal, within Monte-Carlo error."""
    rng, draws, documents, size = np.random.default_rng(11), 4000, 150, 4
    layout = Layout.of(np.repeat(np.arange(documents), size).tolist())
    told = []
    for _ in range(draws):
        p = np.clip(rng.normal(0.5, 0.15, documents), 0.1, 0.9).repeat(size)  # alike within a document
        base, tuned = rng.random(len(p)) < p, rng.random(len(p)) < p - 0.02
        told.append(verdict_of(layout.estimate(tuned.astype(float) - base, margin=-0.02), 0.02))
    for wrong in ("passed", "failed"):
        assert told.count(wrong) / draws == pytest.approx(0.025, abs=3 * np.sqrt(0.025 * 0.975 / draws))


def test_guards_are_asked_beside_the_exam(tmp_path):
    paths = shelved(tmp_path, "general")
    found = Benchmark.read(build(tmp_path, f"rule.guards={{tasks: {json.dumps(paths)}}}").recipe)
    assert [task.name for task in found.tasks] == ["letters", "numbers"]
    assert [task.name for task in found.asked] == ["letters", "numbers", "general"]
