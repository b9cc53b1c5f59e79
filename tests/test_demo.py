"""The demo as `make demo` runs it: five contenders, a decomposed gain, and a tuned gain that hangs on the adapter."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
import torch
import yaml
from small_exam import ROOT, run_line, score_line
from small_study import lines_started, tuneworth, verdict

from eval import items
from finetune.run import RunDir

pytestmark = pytest.mark.slow
RECIPE = ROOT / "recipes" / "demo.yaml"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Folder of the runs; the embedded checkpoints are built in the user's cache if they are not there."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("demo")
    done = tuneworth("run", RECIPE, "--out", folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stdout.rstrip().endswith(f"report: {folder}/demo/report.html")
    return folder


def test_the_demo_ends_with_a_verdict_of_five_contenders(demo):
    found = verdict(demo, "demo")
    assert [each["name"] for each in found["contenders"]] == ["old", "lora", "prefix", "newer", "prompted"]
    assert found["outcome"] in ("worth_it", "not_worth_it", "inconclusive")
    assert {gate["status"] for gate in found["gates"] if gate["required"]} == {"passed"}
    for name in ("delta", "tau", "gamma"):
        contrast = found[name]
        assert contrast["low"] < contrast["gain"] < contrast["high"]
        assert contrast["n"] >= 900
        assert contrast["clusters"] >= 40
    assert found["delta"]["gain"] == pytest.approx(found["tau"]["gain"] - found["gamma"]["gain"], abs=1e-9)
    assert all(task["n"] >= 400 and task["lang"] == "en+zh" for task in found["tasks"])


def test_the_page_says_that_these_are_toys_in_both_languages(demo):
    page = (demo / "demo" / "report.html").read_text("utf-8")
    found = verdict(demo, "demo")
    for text in (found["question"], found["sentence"], found["sentence_zh"], "These are toys", "玩具"):
        assert text in page
    assert "http://" not in page.replace("http://www.w3.org/", ""), "the page must not fetch anything"


def test_tuning_raises_the_labels_and_the_newer_base_knows_more(demo):
    """What the exam is made for, by intervals: tau on labels, gamma on knowledge."""
    contrasts = {(each["role"], each["challenger"]): each for each in verdict(demo, "demo")["comparisons"]}
    tau, gamma = contrasts["tau", "lora"], contrasts["gamma", "newer"]
    assert {task["task"]: task["low"] > 0 for task in tau["tasks"]}["demo_label"]
    assert {task["task"]: task["low"] > 0 for task in gamma["tasks"]}["demo_knowledge"]


def faded(adapter: Path, folder: Path, factor: float) -> Path:
    """A copy of a LoRA with its second matrices multiplied: at 0 it is detached."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(adapter, folder)
    path = folder / "adapter_model.safetensors"
    tensors = {name: value * factor if "lora_B" in name else value for name, value in load_file(path).items()}
    save_file(tensors, path)
    return folder


@pytest.fixture(scope="module")
def without(demo, tmp_path_factory):
    """A recipe that brings the demo's LoRA, faded all but wholly and wholly, as adapters made elsewhere."""
    folder = tmp_path_factory.mktemp("without")
    lora = RunDir(demo / "demo").seed("lora", 17).adapter
    older, newer = (str(ROOT / f"recipes/models/embedded_{name}.yaml") for name in ("older", "newer"))
    brought = {
        name: {"model": older, "adapter": str(faded(lora, folder / name, factor)), "adapter_cost": 0}
        for name, factor in (("faint", 1e-4), ("gone", 0.0))
    }
    recipe = {
        "question": "Does the gain hang on the adapter?",
        "contenders": {"old": {"model": older}, "newer": {"model": newer}} | brought,
        "exam": {"tasks": ["demo_label", "demo_knowledge", "demo_extraction"], "samples": 1, "seed": 17},
        "rule": {"challengers": list(brought), "incumbent": "newer", "base": "old"},
    }
    (folder / "without.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "without.yaml"


def test_with_the_adapter_all_but_detached_the_gain_is_gone(demo, without):
    done = run_line(score_line(without, without.parent / "runs", "faint"))
    assert done.returncode == 0, done.stderr
    faint = {row.key[1:]: row for row in items.read(without.parent / "runs/without/faint/seed-0/items.jsonl")}
    run = RunDir(demo / "demo")
    old = {row.key[1:]: row for row in items.read(run.seed("old", 0).items)}
    lora = {row.key[1:]: row for row in items.read(run.seed("lora", 17).items)}
    assert faint.keys() == old.keys() == lora.keys()
    assert [key for key in old if (faint[key].text, faint[key].score) != (old[key].text, old[key].score)] == []
    assert sum(lora[key].score - old[key].score for key in old) > 100


def test_a_detached_adapter_is_refused_rather_than_scored(without):
    done = run_line(score_line(without, without.parent / "runs", "gone"))
    assert done.returncode == 2
    assert "changes nothing" in done.stderr
    assert not (without.parent / "runs/without/gone").exists()


def test_a_second_run_of_the_demo_starts_nothing(demo):
    before = (demo / "demo/verdict.json").read_bytes()
    began = time.monotonic()
    done = tuneworth("run", RECIPE, "--out", demo)
    print(f"the demo again, nothing changed: {time.monotonic() - began:.1f} s")
    assert done.returncode == 0, done.stderr
    assert lines_started(done.stdout) == []
    assert done.stdout.count(": done, unchanged") == 7
    assert (demo / "demo/verdict.json").read_bytes() == before
    assert [json.loads(line)["event"] for line in (demo / "demo/attempts.jsonl").read_text().splitlines()] == [
        "plan", *["score"] * 5,
    ]  # fmt: skip
