"""The gain against training rows: families found in the recipe, planted effects, gates, a study end to end."""

from __future__ import annotations

import json
import re

import pytest
from small_study import tuneworth, verdict, write_study
from typer.testing import CliRunner
from written_exam import Run, build, graded

from eval.cli import app
from eval.paired import estimate
from eval.verdict import Verdict, judge
from eval.verdict.curve import trend
from eval.verdict.evidence import Evidence
from finetune.mistakes import BadInput
from finetune.recipe.shares import families

SHARES = "contenders.lora.data_share=[0.1, 0.3, 1]"
RATES = {"old": 0.4, "newer": 0.55, "prompted": 0.6, "prefix": 0.42, "lora_0.1": 0.45, "lora_0.3": 0.5, "lora": 0.75}


def finished(folder, *changes: str, rates=None, sit=None, tune=None) -> Run:
    """A run with three shares of lora, every stage done; `sit` and `tune` hold keyword arguments by contender."""
    run = build(folder, SHARES, *changes)
    run.pledge()
    for name, rate in (RATES | (rates or {})).items():
        if name not in run.recipe.contenders:
            continue
        share = run.recipe.contenders[name].data_share
        for seed in run.recipe.seeds(name) if run.recipe.contenders[name].method else ():
            run.tune(name, seed, **({"rows": round(1000 * share), "steps": 10} | (tune or {}).get(name, {})))
        run.sit(name, rate, **(sit or {}).get(name, {}))
    return run


def judged(*args, **terms) -> Verdict:
    run = finished(*args, **terms)
    return judge(run.recipe, run.run)


def the_curve(*args, **terms):
    (found,) = judged(*args, **terms).curves
    return found


def test_families_are_found_in_the_recipe_and_not_in_names(tmp_path):
    like_lora = "model: {id: ./old, family: r1_distill_qwen, think: empty}, method: {kind: lora, rank: 4}"
    hand = ("contenders.lora.data_share=0.5", f"contenders.small={{{like_lora}, data_share: 0.2}}")
    more = (f"contenders.twin={{{like_lora}, data_share: 0.2}}", f"contenders.lora_8={{{like_lora[:-2]}8}}}}")
    assert families(build(tmp_path, *hand, *more).recipe.contenders) == [("small", "lora")]
    assert families(build(tmp_path, SHARES).recipe.contenders) == [("lora_0.1", "lora_0.3", "lora")]
    assert families(build(tmp_path).recipe.contenders) == []
    two = build(tmp_path, SHARES, "contenders.prefix.data_share=[0.5, 1]").recipe.contenders
    assert families(two) == [("lora_0.1", "lora_0.3", "lora"), ("prefix_0.5", "prefix")]


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.001, 0.2, "rising"), (0.0, 0.2, "no_rise_seen"), (-0.1, 0.0, "no_rise_seen"), (-0.2, -0.001, "falling")],
)
def test_a_trend_is_called_by_its_interval_alone(low, high, word):
    assert trend(low, high) == word


@pytest.mark.parametrize(
    ("fewer", "word", "says", "says_zh"),
    [
        (0.5, "rising", "Perhaps: lora is still rising", "或许是：lora 仍在上升"),
        (0.75, "no_rise_seen", "Not shown: no rise seen at the last step of lora; one of up to", "未能说明：lora"),
        (0.9, "falling", "It does not look so: lora is falling", "看来不是：lora 在下降"),
    ],
)
def test_planted_effects_are_called(tmp_path, fewer, word, says, says_zh):
    found = the_curve(tmp_path, rates={"lora_0.3": fewer})
    assert found.step.trend == word
    assert found.sentence.startswith(says)
    assert found.sentence_zh.startswith(says_zh)
    assert "One training seed: the step also holds the luck of the seed" in found.sentence
    assert "只有一个训练种子" in found.sentence_zh
    assert found.sentence.endswith("Exploratory: it does not enter the verdict's word.")


def test_the_figures_are_those_of_paired_clustered_statistics(tmp_path):
    """Against differences made by hand from the item logs: every point, and the step on the same items."""
    run = finished(tmp_path)
    made = judge(run.recipe, run.run)
    found, evidence = made.curves[0], Evidence.read(run.recipe, run.run)
    sheets = evidence.sheets

    def by_hand(one, other):
        rows = sheets[one].questions.values()
        apart = sheets[one].scores[0] - sheets[other].scores[0]
        return estimate(apart, [row.cluster for row in rows], [row.task for row in rows], evidence.weights)

    pairs = [(p.contender, "newer", p.gain) for p in found.points]
    for one, other, gain in [*pairs, (found.step.more, found.step.fewer, found.step.gain)]:
        wanted = by_hand(one, other)
        assert (gain.gain, gain.low, gain.high) == pytest.approx((wanted.gain, wanted.low, wanted.high))
        assert (gain.n, gain.clusters, gain.seeds) == (400, 160, 1)
    assert [(p.contender, p.share, p.rows) for p in found.points] == [
        ("lora_0.1", 0.1, 100), ("lora_0.3", 0.3, 300), ("lora", 1, 1000),
    ]  # fmt: skip
    assert (found.step.fewer, found.step.more) == ("lora_0.3", "lora")
    assert found.points[-1].gain.gain == made.delta.gain
    assert found.step.gain.gain == pytest.approx(found.points[-1].gain.gain - found.points[-2].gain.gain)


def test_a_curve_changes_nothing_of_the_verdict(tmp_path):
    with_curve, without = judged(tmp_path / "a"), build(tmp_path / "b")
    without.pledge()
    for name in ("lora", "prefix"):
        without.tune(name)
    for name in ("old", "lora", "prefix", "newer", "prompted"):
        without.sit(name, RATES[name])
    plain = judge(without.recipe, without.run)
    assert (plain.curves, len(with_curve.curves)) == ((), 1)
    for said in ("outcome", "sentence", "delta", "tau", "rulings", "comparisons"):
        assert getattr(plain, said) == getattr(with_curve, said)
    assert Verdict.model_validate_json(with_curve.model_dump_json()) == with_curve


def test_several_seeds_bring_their_luck_into_the_step(tmp_path):
    found = the_curve(tmp_path, "train.seeds=[17, 18, 19]")
    assert {p.gain.seeds for p in found.points} == {found.step.gain.seeds} == {3}
    assert "The interval holds the luck of 3 training seeds." in found.sentence
    assert "One training seed" not in found.sentence
    assert [p.training_seconds for p in found.points] == [3 * 3600] * 3


def test_cost_steps_and_an_early_end_are_told(tmp_path):
    tune = {"lora_0.3": {"steps": 30, "seconds": 600}, "lora": {"steps": 90, "stopped": "max_steps"}}
    found = the_curve(tmp_path, "costs.gpu_hour=18", tune=tune)
    fewer, more = found.points[-2:]
    assert (fewer.training_seconds, fewer.training_cost) == (600, pytest.approx(3))
    assert (more.training_cost, more.cut_short, fewer.cut_short) == (pytest.approx(18), True, False)
    assert "More rows were also more steps (30 to 90)." in found.sentence
    assert "train.max_steps ended lora, so not every row need have been seen." in found.sentence
    assert "lora 因 train.max_steps 提前结束" in found.sentence_zh
    assert "more steps" not in the_curve(tmp_path / "alike").sentence


FAULTS = {
    "same questions": {"change": lambda r: r.model_copy(update={"hash": "edited"})},
    "prompt content": {"change": lambda r: r.model_copy(update={"content": "else"})},
    "adapter applied": {"adapter_digest": "another"},
    "below chance": {"change": lambda r: r.model_copy(update=graded("wrong")) if r.task == "letters" else r},
    "unparsed": {"change": lambda r: r.model_copy(update=graded("unparsed")) if r.score == 0 else r},
    "engine parity": {"dtype": "bfloat16"},
}


@pytest.mark.parametrize("gate", FAULTS)
def test_scores_that_do_not_stand_make_no_point_and_no_trend(tmp_path, gate):
    """The verdict stands: the broken one is no challenger. The curve says what is wrong and leaves a hole."""
    made = judged(tmp_path, sit={"lora_0.3": FAULTS[gate]})
    (found,) = made.curves
    assert made.outcome == "worth_it"
    assert [p.gain is None for p in found.points] == [False, True, False]
    assert found.points[1].fault.startswith(gate)
    assert (found.step.gain, found.step.trend) == (None, None)
    assert found.step.fault.startswith(gate)
    assert found.sentence.startswith("Not told for lora, since the scores of its last step do not stand: " + gate)
    assert found.sentence_zh.startswith("lora 最后一步的分数不成立，无法回答：")


def test_an_adapter_without_its_proof_makes_no_point(tmp_path):
    found = the_curve(tmp_path, sit={"lora_0.1": {"adapter_probe": None}})
    assert [p.gain is None for p in found.points] == [True, False, False]
    assert found.points[0].fault.startswith("adapter applied: lora_0.1 seed 17: no probe")
    assert found.step.trend == "rising", "the last step does not rest on it"


def test_a_share_that_was_not_scored_stops_the_judge(tmp_path):
    run = finished(tmp_path)
    (run.run.seed("lora_0.1", 17).folder / "score.json").unlink()
    with pytest.raises(BadInput, match="lora_0.1 seed 17 is not scored; run: tuneworth score"):
        judge(run.recipe, run.run)


def test_every_share_is_tuned_and_scored_though_it_is_no_challenger(tmp_path):
    run = build(tmp_path, SHARES)
    assert run.recipe.rule.challengers == ("lora",)
    lines = CliRunner().invoke(app, ["run", str(tmp_path / "study.yaml"), "--set", SHARES, "--dry-run"]).stdout
    for stage in ("finetune.train", "eval.score"):
        asked = re.findall(rf"-m {stage} .* --contender (\S+)", lines)
        assert {"lora_0.1", "lora_0.3", "lora"} <= set(asked), lines


def test_a_smoke_run_has_no_curve(tmp_path):
    assert judged(tmp_path, "purpose=smoke").curves == ()


@pytest.mark.slow
def test_a_recipe_with_shares_runs_end_to_end(tmp_path):
    """Both shares are tuned and scored, the smaller though it is no challenger, and the page tells verdict.json's."""
    recipe = write_study(tmp_path, questions=24)
    shares = ("--set", "contenders.tuned.data_share=[0.4, 1]", "--set", "train.max_steps=20")
    done = tuneworth("run", recipe, "--out", tmp_path / "runs", *shares)
    assert done.returncode == 0, done.stderr
    (found,) = verdict(tmp_path / "runs")["curves"]
    rows = [p["rows"] for p in found["points"]]
    assert [p["contender"] for p in found["points"]] == ["tuned_0.4", "tuned"]
    assert (rows[1], 0 < rows[0] < 60) == (60, True)
    trained = [json.loads((tmp_path / f"runs/study/{p['contender']}/seed-17/train.json").read_text("utf-8"))
               for p in found["points"]]  # fmt: skip
    assert [each["training"]["rows"] for each in trained] == rows
    assert "more data? 加数据？ tuned, " in done.stdout
    page = (tmp_path / "runs/study/report.html").read_text("utf-8")
    gains = re.findall(r'<tr data-point="([\w.]+)" data-rows="(\d+)" data-gain="([^"]+)"', page)
    assert [(who, int(n), float(g)) for who, n, g in gains] == [
        (p["contender"], p["rows"], p["gain"]["gain"]) for p in found["points"]
    ]
