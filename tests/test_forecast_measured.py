"""What `tuneworth check` says of runs there were: a probed step, predictions beside what came, their error before."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from small_exam import write_exam
from small_lesson import facts, place, words, write_lesson
from small_study import tuneworth

from eval.forecast.measured import measured, probed
from finetune import plan
from finetune.plan import find
from finetune.recipe import Recipe
from finetune.run import Probed, RunDir
from finetune.train.__main__ import main
from finetune.train.loop import Loop
from finetune.world import World


@pytest.fixture
def lesson(tmp_path, tiny):
    return write_lesson(tmp_path, tiny("qwen2"), max_steps=2, prove="here")


@pytest.mark.parametrize("contender", ["lora", "prefix"])
def test_predicted_stands_beside_measured_in_the_manifest(lesson, contender):
    assert main(words(lesson, contender)) == 0
    found = facts(lesson, contender)
    assert 0.75 * found.peak_memory_bytes < found.predicted_peak_bytes < 1.5 * found.peak_memory_bytes


def test_a_probe_measures_a_step_and_trains_nothing(lesson, capfd):
    assert main(words(lesson, "lora", "--probe")) == 0
    found = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert found["seconds"] > 0
    assert 0 < found["tokens"] <= found["run_tokens"]
    assert 0.75 < found["predicted_peak_bytes"] / found["peak_memory_bytes"] < 1.5
    assert not place(lesson).folder.exists()
    run = RunDir(lesson.parent / "runs" / "lesson")
    assert json.loads(run.probe("lora").read_text("utf-8")) == found
    said = probed(Recipe.read(lesson), lesson.parent / "runs")
    assert "one step measured on 1 x cpu" in str(said.renderables[0])


def table(runs: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """(method, what is predicted) -> (runs, by how much it is off), as `check` shows them."""
    shown = measured(runs)
    return {cells[:2]: cells[2:] for cells in zip(*(column.cells for column in shown.columns), strict=True)}


def test_the_error_of_earlier_runs_is_shown_by_method_of_memory_and_time(lesson):
    """Of runs started without the front door, which keep no recipe; a probe of the same training foretells it too."""
    runs, longer = lesson.parent / "runs", ("--set", "train.max_steps=3", "--set", "train.packing=false")
    assert measured(runs) is None
    assert main(words(lesson, "lora", "--probe", *longer)) == 0
    for contender in ("lora", "prefix"):
        assert main(words(lesson, contender, *longer)) == 0
    assert not (runs / "lesson" / "recipe.json").exists()
    shown = table(runs)
    assert list(shown) == [
        ("lora on 1 x cpu", "peak memory"), ("lora on 1 x cpu", "seconds, by --probe"),
        ("lora on 1 x cpu", "seconds, by step 2"), ("ptuning_v2 on 1 x cpu", "peak memory"),
        ("ptuning_v2 on 1 x cpu", "seconds, by step 2"),
    ]  # fmt: skip
    found = facts(lesson)
    off = found.predicted_seconds["probe"] / found.step_seconds - 1
    probe = Probed.read(RunDir(runs / "lesson").probe("lora"))
    assert found.raw_tokens > found.useful_tokens  # padding takes time, in the probe and in the run
    assert found.predicted_seconds["probe"] == pytest.approx(found.raw_tokens * probe.seconds / probe.tokens)
    assert probe.run_tokens == found.raw_tokens
    assert shown["lora on 1 x cpu", "seconds, by --probe"] == ("1", f"{off:+.0%}".replace("-", "−"))
    assert found.step_seconds == pytest.approx(found.useful_tokens / found.useful_tokens_per_second)
    write_exam(lesson.parent / "exam")
    done = tuneworth("check", lesson, "--set", "exam.tasks=[./exam/own_gen]", "--out", runs, COLUMNS="220")
    assert done.returncode == 0, done.stderr
    assert "Predicted against measured" in done.stdout
    assert "seconds, by --probe" in done.stdout


def test_a_probe_of_another_training_foretells_nothing(lesson):
    assert main(words(lesson, "lora", "--probe")) == 0
    assert main(words(lesson, "lora", "--set", "contenders.lora.method.rank=2", "--set", "train.max_steps=3")) == 0
    assert list(facts(lesson).predicted_seconds) == ["second step"]


def test_two_steps_are_too_few_to_foretell_themselves(lesson):
    assert main(words(lesson)) == 0
    assert facts(lesson).step_seconds > 0
    assert facts(lesson).predicted_seconds == {}


def test_a_start_behind_the_first_step_has_no_second_one_to_tell_from(lesson, monkeypatch):
    longer = ("--set", "train.max_steps=5", "--set", "train.save_every=1")
    take = Loop._step

    def step(self):
        if self.progress.step == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return take(self)

    monkeypatch.setattr(Loop, "_step", step)
    assert main(words(lesson, "lora", *longer)) == 128 + signal.SIGTERM
    assert main(words(lesson, "lora", *longer)) == 0
    assert facts(lesson).predicted_seconds == {}


def test_a_device_of_the_shelf_is_known_by_its_drivers_name(lesson, monkeypatch):
    """Its seconds are the plan's for the tokens that went through, over its devices."""
    monkeypatch.setattr(World, "device_name", lambda self: "NVIDIA A100-SXM4-80GB")
    assert main(words(lesson, "lora", "--set", "contenders.lora.model.dtype=float32")) == 0
    found, recipe = facts(lesson), Recipe.read(lesson)
    shape = recipe.contenders["lora"].model.sizes()
    share = plan.share(shape, recipe.methods["lora"], mixed=False)
    work = plan.Tuning(found.useful_tokens, found.target_tokens, 0)
    told = plan.tuning_seconds(shape, share, "float32", work, find("a100-80g"), checkpointing=False)
    assert found.predicted_seconds == {"shelf": pytest.approx(told)}
    assert ("lora on 1 x NVIDIA A100-SXM4-80GB", "seconds, by the device's peaks") in table(lesson.parent / "runs")


def test_a_manifest_that_notes_no_method_is_read_by_the_recipe_beside_it(lesson):
    runs = lesson.parent / "runs"
    assert main(words(lesson)) == 0
    path = RunDir(runs / "lesson").seed("lora", 17).train_manifest
    older = json.loads(path.read_text("utf-8"))
    for key in ("method", "step_seconds", "predicted_seconds"):
        del older["training"][key]
    path.write_text(json.dumps(older), "utf-8")
    assert measured(runs) is None
    kept = {"recipe": Recipe.read(lesson).model_dump(mode="json")}
    (runs / "lesson" / "recipe.json").write_text(json.dumps(kept), "utf-8")
    assert list(table(runs)) == [("lora on 1 x cpu", "peak memory")]


def test_what_another_version_or_a_kill_left_stands_in_no_plans_way(lesson):
    run = RunDir(lesson.parent / "runs" / "lesson")
    for path in (run.probe("lora"), run.seed("lora", 17).train_manifest, run.folder / "recipe.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"stage": "train"', "utf-8")
    assert probed(Recipe.read(lesson), lesson.parent / "runs") is None
    assert measured(lesson.parent / "runs") is None
    run.seed("lora", 17).train_manifest.unlink()
    assert main(words(lesson)) == 0  # its train.json is whole, the recipe beside it is not
    assert list(table(lesson.parent / "runs")) == [("lora on 1 x cpu", "peak memory")]
