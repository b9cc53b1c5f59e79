"""The search of a method's knobs: equal budgets, resumable trials, a winner taken over bit for bit, and warnings."""

from __future__ import annotations

import json
import shutil
import signal

import pytest
import torch
import yaml
from small_lesson import LAUNCH, METHODS, facts, finish, manifest, place, start, words, write_lesson
from small_search import GRID, SHORT, TWICE, lesson, refused, searched, trial  # noqa: F401 (a fixture)

from finetune.export.__main__ import main as export
from finetune.recipe import Recipe
from finetune.run import RunDir
from finetune.train.__main__ import main

torch.set_num_threads(1)


def record(recipe, contender="lora"):
    return json.loads((place(recipe, contender).folder.parent / "search" / "search.json").read_text("utf-8"))


def timeless(found):
    """A search's record without what two runs of it differ in."""
    return {**found, "trials": [{**each, "device_seconds": 0} for each in found["trials"]]}


def held(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "logs"}


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """A search over GRID and two seeds, undisturbed."""
    path = write_lesson(tmp_path_factory.mktemp("calm"), tiny("qwen2"), **SHORT)
    raw = yaml.safe_load(path.read_text())
    raw["contenders"]["lora"] |= searched(**GRID)
    path.write_text(yaml.safe_dump(raw, allow_unicode=True))
    assert main(words(path)) == 0
    return path


def test_the_lowest_dev_loss_wins_and_its_knobs_train_every_seed(run):
    found, done = record(run), [trial(run, number).trained() for number in range(4)]
    lowest = [min(loss for _, loss in each.training.dev_losses) for each in done]
    assert [each["dev_loss"] for each in found["trials"]] == lowest
    assert found["winner"] == lowest.index(min(lowest))
    assert [each["knobs"] for each in found["trials"]] == [
        {"learning_rate": rate, "rank": rank} for rate in GRID["learning_rate"] for rank in GRID["rank"]
    ]
    won = found["trials"][found["winner"]]["knobs"]
    spent = [each.device_seconds for each in done]
    for seed in (17, 18):
        config = json.loads((place(run, seed=seed).adapter / "adapter_config.json").read_text())
        assert config["r"] == won["rank"]
        told = facts(run, seed=seed).search
        assert (told.trials, told.knobs) == (4, won)
        assert told.device_seconds == pytest.approx(sum(spent) - spent[found["winner"]])  # the winner is seed 17's own
        assert manifest(run, seed=seed).fingerprint == Recipe.read(run).train_fingerprint("lora", seed)
    assert manifest(run).device_seconds == spent[found["winner"]]
    assert {number for number in range(4) if trial(run, number).adapter.exists()} == {found["winner"]}


def test_what_is_taken_over_is_what_training_anew_gives(run, lesson):
    won = record(run)["trials"][record(run)["winner"]]["knobs"]
    plain = lesson({"lora": {"method": {"kind": "lora", **won}}})
    assert main(words(plain)) == 0
    for seed in (17, 18):
        assert held(place(plain, seed=seed).adapter) == held(place(run, seed=seed).adapter)
        assert facts(plain, seed=seed).losses == facts(run, seed=seed).losses
        assert facts(plain, seed=seed).dev_losses == facts(run, seed=seed).dev_losses


def test_what_is_done_is_not_run_again(run, capsys):
    assert main(words(run)) == 0
    assert capsys.readouterr().out.splitlines() == [f"train lora seed {seed}: done, unchanged" for seed in (17, 18)]
    shutil.move(place(run, seed=18).folder, place(run, seed=18).folder.with_name("away"))
    assert main(words(run, "lora", "--seed", "18")) == 0
    out = capsys.readouterr().out
    assert "trial" not in out
    assert held(place(run, seed=18).adapter) == held(place(run, seed=18).folder.with_name("away") / "adapter")


def test_trials_are_run_by_one_line_and_seeds_by_several(run, lesson, capsys):
    recipe = lesson(folder="other")
    with held_by_us(recipe, 17, search=True):
        assert main(words(recipe, "lora", "--seed", "18")) == 2
    assert "lora/search: another run is at work here" in refused(capsys)
    shutil.rmtree(place(run, seed=18).folder)
    with held_by_us(run, 17):  # the search is done
        assert main(words(run, "lora", "--seed", "18")) == 0


def held_by_us(recipe, seed, *, search=False):
    return RunDir(place(recipe).folder.parent.parent).hold("lora", [seed], search=search)


def test_the_model_card_says_how_the_knobs_were_chosen(run, tmp_path):
    asked = words(run, "lora", "--seed", "17", "--to", str(tmp_path / "given"))
    assert export(asked) == 0
    card = (tmp_path / "given" / "README.md").read_text("utf-8")
    won = record(run)["trials"][record(run)["winner"]]["knobs"]
    assert f"| method.rank | {won['rank']} |" in card
    assert f"| method.learning_rate | {won['learning_rate']} |" in card
    assert "| method.search | 4 trials (learning_rate: 0.001, 0.02; rank: 2, 4), chosen by the dev loss: " in card


KILL = (
    "import os; replace = os.replace\n"
    "def torn(a, b):\n"
    "    os.kill(os.getpid(), 9) if str(b).endswith('{}') else replace(a, b)\n"
    "os.replace = torn"
)
MOMENTS = ("search/02/checkpoints/step-000004", "search/03/train.json", "search/search.json", "seed-17/train.json")


@pytest.mark.parametrize("moments", [MOMENTS[::3], pytest.param(MOMENTS, marks=pytest.mark.slow)], ids=["two", "four"])
def test_killed_in_and_between_trials_the_search_is_the_undisturbed_one(run, lesson, moments):
    recipe, seen = lesson(), []
    for moment in moments:
        status, out, err = finish(start(words(recipe), code=KILL.format(moment)))
        assert status == -signal.SIGKILL, err
        seen.append(out)
    assert main(words(recipe)) == 0
    assert ["trial 00" in out for out in seen] == [True, *[False] * (len(seen) - 1)]  # done, and never begun again
    assert "trial 02: goes on after step 2" in seen[1]
    assert all("trial 02" not in out for out in seen[2:])
    assert timeless(record(recipe)) == timeless(record(run))
    for seed in (17, 18):
        assert held(place(recipe, seed=seed).adapter) == held(place(run, seed=seed).adapter)
        assert facts(recipe, seed=seed).losses == facts(run, seed=seed).losses


def test_two_processes_find_the_same_winner(run, lesson):
    recipe = lesson(launch=str(LAUNCH / "cpu2.torchrun.yaml"))
    status, _, err = finish(start(words(recipe, "lora", "--seed", "17"), processes=2))
    assert status == 0, err
    one, two = record(run), record(recipe)
    assert two["winner"] == one["winner"]
    apart = [abs(a["dev_loss"] - b["dev_loss"]) for a, b in zip(one["trials"], two["trials"], strict=True)]
    assert max(apart) < 1e-3
    assert manifest(recipe).hardware.processes == 2
    assert facts(recipe).search.knobs == facts(run).search.knobs


def test_a_rate_that_diverges_is_an_answer(lesson, capsys):
    recipe = lesson({"lora": searched(learning_rate=[1e30, 0.02], knobs={"rank": 2})})
    assert main(words(recipe, "lora", "--seed", "17")) == 0
    lost, won = record(recipe)["trials"]
    assert lost["dev_loss"] is None
    assert "not finite" in lost["diverged"]
    assert lost["device_seconds"] > 0
    assert facts(recipe).search.knobs == won["knobs"] == {"learning_rate": 0.02}
    assert not trial(recipe, 0).checkpoints.exists()
    capsys.readouterr()
    changed = words(recipe, "lora", "--set", "contenders.lora.method.search.learning_rate=[1e30, 1e31]")
    assert main(changed) == 2
    assert "contenders.lora.method.search: every trial diverged (the first: step" in refused(capsys)
    assert list((trial(recipe, 0).folder.parent).glob(".old-*/search.json"))  # what was found before is kept


def test_a_torn_note_is_made_again_and_a_folder_in_the_way_is_named(lesson, capsys):
    recipe = lesson({"lora": searched(learning_rate=[1e30, 0.02], knobs={"rank": 2})}, seeds=[17])
    (trial(recipe, 0).folder).mkdir(parents=True)
    note = trial(recipe, 0).folder / "diverged.json"
    note.write_text("{")
    found = note.parent.parent / "search.json"
    found.mkdir()
    assert main(words(recipe)) == 2
    assert f"{found}: Is a directory; name another place with --out, or open this one" in refused(capsys)
    found.rmdir()
    assert main(words(recipe)) == 0
    assert "not finite" in json.loads(note.read_text())["reason"]


def test_both_ends_of_a_start_may_search_their_rates(lesson):
    same = {"knobs": {"rank": 2}, **TWICE}
    recipe = lesson({"lora": searched(**same), "next": searched(start="lora", **same)}, seeds=[17])
    assert main(words(recipe, "lora")) == 0
    assert main(words(recipe, "next")) == 0
    assert facts(recipe, "next").losses[0][1] < facts(recipe, "lora").losses[0][1]
    assert {len(record(recipe, name)["trials"]) for name in ("lora", "next")} == {2}


def test_a_challenger_that_is_not_searched_beside_one_that_is_warns(lesson, capsys):
    recipe = lesson({"lora": searched(**GRID), "tiny": {"method": METHODS["prefix"]}}, seeds=[17])
    beside = ("rule.challengers=[lora, tiny]",)
    (line,) = Recipe.read(recipe, beside).unsearched()
    assert line.startswith("lora is searched with 4 trials, tiny is not: what is measured may be the search")
    assert Recipe.read(recipe).unsearched() == []
    assert main(words(recipe, "tiny", "--set", beside[0])) == 0
    assert f"train tiny: {line}" in capsys.readouterr().out
