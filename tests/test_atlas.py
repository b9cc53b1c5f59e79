"""The verdict map: gains of parts against statsmodels, planted exceptions found, none claimed where there is none."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from judged_run import finished, judged
from verdict_samples import sample

from eval.paired import Layout
from eval.pairing import Pair
from eval.report import render
from eval.verdict.atlas import compared
from finetune.mistakes import BadInput
from finetune.recipe import Recipe

TASKS = {"a": (60, 3), "b": (50, 4), "c": (80, 2)}  # documents, questions of each
GROUPS = [(("x",), ("x", "甲"), ("a",)), (("y",), ("y", "乙"), ("b",)), (("z",), ("z", "丙"), ("b", "c"))]


def places(rng, gains: dict[str, float], margin: float, shared: bool = False):
    """Parts of an exam of three tasks with these true gains; documents pull their questions together."""
    tasks = [task for task, (count, size) in TASKS.items() for _ in range(count * size)]
    owner = np.concatenate([np.repeat(np.arange(count), size) for count, size in TASKS.values()])
    clusters = [f"{'' if shared else task}{c}" for task, c in zip(tasks, owner.tolist(), strict=True)]
    ids = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
    pull = rng.normal(0, 0.25, len(ids))[[ids[name] for name in clusters]]
    d = np.array([gains[task] for task in tasks]) + pull + rng.normal(0, 0.5, len(tasks))
    asked = [SimpleNamespace(task=task, cluster=name) for task, name in zip(tasks, clusters, strict=True)]
    side = SimpleNamespace(questions=dict(enumerate(asked)))
    weights = dict.fromkeys(TASKS, 1.0)
    pair = Pair(side, side, Layout.of(clusters, tasks, weights), d[None], np.full(len(d), 1 / len(d)), 0 * d[None])
    return compared(GROUPS, [pair], weights, margin, 0.05), d, np.array(tasks), clusters


def test_a_part_minus_the_rest_is_a_clustered_regression_on_being_in_the_part():
    """Documents in both: the regression's clustered error knows that they go together. Weights as the map's."""
    import statsmodels.api as sm

    for shared in (False, True):
        (part, *_), d, tasks, clusters = places(np.random.default_rng(3), {"a": 0.2, "b": 0.0, "c": 0.1}, 0.0, shared)
        sizes = {task: (tasks == task).sum() for task in TASKS}
        weight = np.array([1 / sizes[task] for task in tasks])
        design = np.stack([(tasks == task).astype(float) for task in TASKS], axis=1)
        groups = np.unique(clusters, return_inverse=True)[1]
        fit = sm.WLS(d, design, weights=weight).fit(
            cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False, "df_correction": False}
        )
        contrast = np.array([1.0, -0.5, -0.5])
        known = fit.t_test(contrast)
        assert part.rest.gain == pytest.approx(float(known.effect[0]))
        half = (part.rest.high - part.rest.low) / 2
        assert half / 1.97 == pytest.approx(float(known.sd[0, 0]), rel=0.03)  # C / (C - 1), and t of few more than 1.97
        assert part.gain == pytest.approx(d[tasks == "a"].mean())


def test_no_part_is_an_exception_more_often_than_said():
    """Every part truly at the margin, which none clears: in at most 2.5 of 100 exams is any said to clear it; and they
    gain alike: in at most 5 of 100 is any said to differ from the rest."""
    rng, runs, cleared, fell, differ = np.random.default_rng(19), 700, 0, 0, 0
    for _ in range(runs):
        found = places(rng, dict.fromkeys(TASKS, 0.02), 0.02)[0]
        cleared += any(place.clears for place in found)
        fell += any(place.falls_short for place in found)
        differ += any(place.rest.holm_p <= 0.05 for place in found)
    band = 3.3 * math.sqrt(0.025 * 0.975 / runs)
    assert cleared / runs <= 0.025 + band
    assert fell / runs <= 0.025 + band
    assert 0.01 <= differ / runs <= 0.05 + 3.3 * math.sqrt(0.05 * 0.95 / runs)


def test_a_planted_gain_of_one_part_is_found():
    rng, hits = np.random.default_rng(23), 0
    for _ in range(60):
        found = places(rng, {"a": 0.3, "b": 0.0, "c": 0.0}, 0.02)[0]
        hits += found[0].clears and found[0].rest.holm_p <= 0.05
        assert not found[1].clears or not found[1].rest.gain > 0.1
    assert hits >= 55


def tagged(folder, *changes: str, **tags: str):
    """The written study, its tasks tagged."""
    finished(folder, *changes)
    for task, tag in tags.items():
        path = folder / task / f"{task}.yaml"
        path.write_text(path.read_text().replace("headline: exact", f"headline: exact, {tag}"))


def test_not_worth_it_except_for_what_is_shown(tmp_path):
    tagged(tmp_path, letters="scenario: knowledge", numbers="scenario: extraction, traits: [precise]")
    rates = {"lora": {"letters": 0.3, "numbers": 0.9}}
    found = again(tmp_path, rates)
    assert found.outcome == "not_worth_it"
    assert found.atlas.exceptions == ("extraction · precise tasks",)
    part = next(place for place in found.atlas.places if place.keys == ("extraction", "precise"))
    assert "Except for extraction · precise tasks (at least" in found.sentence
    assert "例外：信息抽取 · 精确任务（比每个对手至少高" in found.sentence_zh
    assert (part.tasks, part.n, part.clears, part.weight) == (("numbers",), 160, True, 0.25)
    task = next(row for row in found.comparisons[0].tasks if row.task == "numbers")
    assert (part.gain, part.low, part.high) == pytest.approx((task.gain, task.low, task.high))
    assert part.bound < part.low
    page = render(found)
    assert f'data-place="{part.name}" data-gain="{part.gain}"' in page
    assert 'data-exceptions="1"' in page


def again(folder, rates, *changes):
    """The study of a folder judged anew, with other answers."""
    from judged_run import CLEAR
    from written_exam import Run

    from eval.verdict import judge

    run = Run(folder, Recipe.read(folder / "study.yaml", changes))
    for name, rate in (CLEAR | rates).items():
        for seed in run.recipe.seeds(name):
            run.run.seed(name, seed).items.unlink()
        run.sit(name, rate)
    return judge(run.recipe, run.run)


def test_an_exception_must_beat_every_rival_and_differ_from_the_rest(tmp_path):
    tagged(tmp_path, letters="scenario: knowledge", numbers="scenario: extraction")
    alike = again(tmp_path, {"lora": {"letters": 0.5, "numbers": 0.5}})
    assert (alike.atlas.exceptions, alike.atlas.text) == ((), "")
    assert "Except" not in alike.sentence
    assert "No part of the exam is shown to be an exception." in render(alike)


def test_an_exception_must_pay_as_the_whole_must(tmp_path):
    """Too dear on the whole exam: a part that gains more is an exception only where that pays for it."""
    rates = {"lora": {"letters": 0.65, "numbers": 0.95}}
    for people, exceptions in (("3400", ("extraction",)), ("9000", ())):
        terms = "costs.gpu_hour=18", "costs.value_per_correct=0.01", "costs.queries=1000000", f"costs.people={people}"
        tagged(tmp_path / people, *terms, letters="scenario: knowledge", numbers="scenario: extraction")
        found = again(tmp_path / people, rates, *terms)
        assert (found.outcome, found.rulings[0].reasons[0].code) == ("not_worth_it", "too_dear")
        part = next(place for place in found.atlas.places if place.keys == ("extraction",))
        assert part.bound > found.margin
        assert part.rest.holm_p <= 0.05
        assert (part.clears, found.atlas.exceptions) == (bool(exceptions), exceptions)
        assert ("Except for" in found.sentence, "例外" in found.sentence_zh) == (bool(exceptions),) * 2


def test_worth_it_says_where_it_is_not():
    found = sample("worth_it")
    assert found.atlas.exceptions == ("knowledge lookup · professional tasks",)
    assert "But not for knowledge lookup · professional tasks (at most" in found.sentence
    assert "但不包括：知识查询 · 专业任务" in found.sentence_zh


def test_an_exam_that_says_nothing_of_its_tasks_has_no_map(tmp_path):
    found = judged(tmp_path)
    assert found.atlas is None
    assert 'id="atlas"' not in render(found)


def test_a_trait_that_nobody_knows_is_refused(tmp_path):
    tagged(tmp_path, letters="traits: [shiny]")
    with pytest.raises(BadInput, match=r"metadata.traits \['shiny'\]; a list is needed, of professional, precise"):
        again(tmp_path, {})
