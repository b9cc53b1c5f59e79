"""What a search costs: in the plan, on the command line, in the bill and on the page."""

from __future__ import annotations

import json

import pytest
import torch
import yaml
from small_study import tuneworth, verdict, write_study

from eval.benchmark import Benchmark
from eval.foretold.hours import seconds
from eval.foretold.load import read_load
from eval.money import Effort, tuning_parts
from finetune.plan import find
from finetune.recipe import Costs, Recipe
from finetune.run import RunDir
from finetune.train.probe import _heaviest

torch.set_num_threads(1)


def test_trials_are_a_part_of_the_bill_of_their_own():
    costs = Costs(gpu_hour=18)
    parts = tuning_parts(Effort(training=7200, evaluation=1800, search=3600), costs)
    assert parts == {"training": 36, "search": 18, "evaluation": 9, "data": 0, "people": 0}
    assert "search" not in tuning_parts(Effort(7200, 1800), costs)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A study whose challenger's knobs are searched."""
    folder = tmp_path_factory.mktemp("course")
    path = write_study(folder)
    raw = yaml.safe_load(path.read_text())
    raw["contenders"]["tuned"]["method"] = {"kind": "lora", "search": {"learning_rate": [0.003, 0.01], "rank": [4, 16]}}
    raw["train"] |= {"dev": 0.2, "max_steps": 20, "epochs": 4}
    raw["costs"] = {"gpu_hour": 36}
    path.write_text(yaml.safe_dump(raw, allow_unicode=True, sort_keys=False))
    return path


def test_the_plan_counts_every_trial_and_holds_the_largest(course, tmp_path):
    plain = ("contenders.tuned.method.search=null", "contenders.tuned.method.rank={}")
    read = {None: Recipe.read(course)}
    for rank in (4, 16):
        read[rank] = Recipe.read(course, (plain[0], plain[1].format(rank)))
    device = find("h100")
    loads = {rank: read_load(each, Benchmark.read(each), "tuned", tmp_path) for rank, each in read.items()}
    hours = {rank: seconds(read[rank], load, device)[0] for rank, load in loads.items()}
    assert hours[None] == pytest.approx(2 * hours[4] + 2 * hours[16])  # two rates of each rank; the seed takes one over
    assert loads[None].contender.method.rank == 16
    assert _heaviest(read[None], "tuned").contenders["tuned"].method.rank == 16


def test_the_front_door_knows_of_the_search(course):
    checked = tuneworth("check", course, "--device", "h100", COLUMNS="220").stdout
    assert "lora, 4 trials of learning_rate x rank" in checked
    dry = tuneworth("train", course, "--dry-run").stdout
    assert dry.splitlines()[0].startswith("# tuned: its first line runs 4 trials (method.search); the best is ")
    script = tuneworth("train", course, "--dry-run", "--launcher", "slurm").stdout
    assert "# tuned: its first line runs 4 trials" in script
    schema = json.loads(tuneworth("check", "--schema").stdout)["$defs"]
    assert list(schema["LoRASearch"]["properties"]) == ["learning_rate", "rank", "alpha", "dropout"]
    assert list(schema["PromptSearch"]["properties"]) == ["learning_rate", "virtual_tokens"]


@pytest.mark.slow
def test_the_bill_and_the_page_hold_the_search(course, tmp_path):
    done = tuneworth("run", course, "--out", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    run, found = RunDir(tmp_path / "runs" / "study"), verdict(tmp_path / "runs")
    told = json.loads((run.search("tuned") / "search.json").read_text("utf-8"))
    spent = [each["device_seconds"] for each in told["trials"]]
    (bill,) = [each for each in found["money"]["bills"] if each["rival"] == "newer"]
    assert bill["parts"]["search"] + bill["parts"]["training"] == pytest.approx(sum(spent) / 100)
    assert bill["parts"]["training"] == pytest.approx(spent[told["winner"]] / 100)
    row = next(each for each in found["contenders"] if each["name"] == "tuned")
    won = told["trials"][told["winner"]]["knobs"]
    assert (row["trials"], row["knobs"]["rank"]) == (4, won["rank"])
    assert row["training_cost"] == pytest.approx(sum(spent) / 100)
    (note,) = [each for each in found["notes"] if each["code"] == "search"]
    assert note["text"].startswith("Knobs were searched on training rows held out: tuned 4 trials.")
    assert note["text"].endswith("Prompts of newer, framed: as declared, no trial.")
    page = run.report.read_text("utf-8")
    for said in (note["text"], note["text_zh"], "4 trials", "4 次试验", "超参数搜索"):
        assert said in page
    assert tuneworth("run", course, "--out", tmp_path / "runs").stdout.count("done, unchanged") >= 5
