"""Contenders that go on from one another, on data of their own, or on a share of the rows; and who pays for it."""

from __future__ import annotations

import itertools
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file
from small_lesson import METHODS, facts, manifest, place, rows, words, write_card, write_lesson
from small_study import tuneworth, verdict, write_study
from test_recipe import mistake

from finetune.chat import Chat
from finetune.data import prepare
from finetune.methods import adapter_digest
from finetune.recipe import Recipe
from finetune.recipe.shares import within
from finetune.run import RunDir
from finetune.train.__main__ import main

torch.set_num_threads(1)


@pytest.fixture
def lesson(tmp_path, tiny):
    """lesson(changes of contenders, **train) -> a recipe whose contenders have been changed."""

    def make(changes, **train):
        path = write_lesson(tmp_path, tiny("qwen2"), **train)
        raw = yaml.safe_load(path.read_text())
        model = raw["contenders"]["old"]["model"]
        for name, change in changes.items():
            raw["contenders"][name] = raw["contenders"].get(name, {"model": model}) | change
        path.write_text(yaml.safe_dump(raw, allow_unicode=True))
        return path

    return make


def on(name, **more):
    """A contender that goes on from another of METHODS."""
    return {"method": METHODS[name], "start": name} | more


@pytest.mark.parametrize("name", list(METHODS))
def test_a_contender_goes_on_from_where_the_other_ended(lesson, name):
    """On the same rows in the same order: its first loss is near where the other ended, not where the base stands."""
    slower = METHODS[name] | {"learning_rate": METHODS[name]["learning_rate"] / 4}  # which alone may differ
    recipe = lesson({"next": on(name, method=slower)}, epochs=6, dev=0)
    assert main(words(recipe, name)) == 0
    assert main(words(recipe, "next")) == 0
    first, second = facts(recipe, name), facts(recipe, "next")
    begun, ended = first.losses[0][1], first.loss_last
    assert second.losses[0][1] < ended + 0.2 * (begun - ended)
    assert second.loss_last < first.loss_last
    assert second.trainable_parameters > 0
    assert "Goes on from contender" in (place(recipe, "next").adapter / "README.md").read_text()
    assert manifest(recipe, "next").fingerprint == Recipe.read(recipe).train_fingerprint("next", 17)


def test_last_layers_alone_go_on_when_they_alone_were_tuned(lesson, tiny):
    knobs = {"method": METHODS["full"] | {"last_layers": 1}}
    recipe = lesson({"full": knobs, "next": knobs | {"start": "full"}}, dev=0)
    assert main(words(recipe, "full")) == 0
    assert main(words(recipe, "next")) == 0
    assert facts(recipe, "next").trainable_parameters == facts(recipe, "full").trainable_parameters
    base, one, two = (
        load_file(folder / "model.safetensors")
        for folder in (tiny("qwen2"), place(recipe, "full").adapter, place(recipe, "next").adapter)
    )
    last = "model.layers.1.mlp.up_proj.weight"
    assert not torch.equal(two[last], one[last])
    assert torch.equal(two["model.embed_tokens.weight"], base["model.embed_tokens.weight"])


def test_a_start_that_is_not_there_is_said(lesson, capsys):
    recipe = lesson({"next": on("lora")}, dev=0)
    assert main(words(recipe, "next")) == 2
    said = capsys.readouterr().err
    assert "contenders.next.start: lora, seed 17, is not trained; run `python -m finetune.train` with --co" in said
    assert main(words(recipe, "lora")) == 0
    assert main(words(recipe, "next", "--set", "contenders.lora.method.learning_rate=0.03")) == 2
    assert "lora, seed 17, was trained under another recipe" in capsys.readouterr().err
    weights = place(recipe, "lora").adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    assert main(words(recipe, "next")) == 2
    assert "not the one that train.json speaks of" in capsys.readouterr().err


def test_data_of_its_own_is_what_it_learns_from(lesson, tmp_path):
    write_card(tmp_path / "more.md", rows(9))
    recipe = lesson({"next": on("lora", data=["more.md"])}, dev=0)
    assert main(words(recipe, "lora")) == 0
    assert main(words(recipe, "next")) == 0
    assert (facts(recipe, "lora").rows, facts(recipe, "next").rows) == (48, 9)
    assert facts(recipe, "next").data == {"more": "unpinned"}
    assert "- Data: more (train)" in (place(recipe, "next").adapter / "README.md").read_text()


def test_fingerprints_follow_the_start_and_the_data_and_nothing_else_changes_them(lesson, tmp_path):
    write_card(tmp_path / "more.md", rows(9))
    plain = Recipe.read(lesson({}))
    same = Recipe.read(lesson({"prefix": {"data": ["rows.md"], "data_share": 1}, "next": on("lora")}))
    for name, seed in itertools.product(METHODS, (1, 2)):
        assert same.train_fingerprint(name, seed) == plain.train_fingerprint(name, seed)
    seen = {same.train_fingerprint("next", 17), same.train_fingerprint("lora", 17)}
    for change in ("lora.method.rank=5", "next.start=null", "lora.data=[more.md]", "next.data=[more.md]"):
        changes = (f"contenders.{change}", "contenders.next.method.rank=5") if "rank" in change else (
            f"contenders.{change}",
        )  # fmt: skip
        seen.add(Recipe.read(lesson({"next": on("lora")}), changes).train_fingerprint("next", 17))
    for share in (0.3, 0.5):
        seen.add(
            Recipe.read(lesson({"next": {"method": METHODS["lora"], "data_share": share}})).train_fingerprint(
                "next", 17
            )
        )
    assert len(seen) == 7  # without its start, next is lora
    assert same.score_fingerprint("next", 17, {}) != same.score_fingerprint("lora", 17, {})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"next": on("lora", start="old")}, "next.start: old is not tuned here, so there is nothing to go on from"),
        ({"next": on("lora", start="nobody")}, "next.start: nobody is not tuned here"),
        ({"next": on("prefix", start="lora")}, "next.start: lora has method.kind lora, here it is ptuning_v2"),
        ({"next": on("lora", method={"kind": "lora", "rank": 8})}, "lora has method.rank 4, here it is 8; make them"),
        ({"next": on("lora"), "lora": {"start": "next"}}, "start: lora from next from lora goes in a circle"),
        ({"lora": {"start": "lora"}}, "contenders.lora.start: lora from lora goes in a circle"),
        ({"old": {"start": "lora"}}, "contenders.old: data, data_share, head and start are of a contender"),
        ({"old": {"data_share": 0.5}}, "contenders.old: data, data_share, head and start are of a contender"),
        ({"lora": {"data_share": [0.1, 0.3]}}, "lora.data_share: [0.1, 0.3]; a list holds numbers, each once"),
        ({"lora": {"data_share": [1, "a"]}}, "a list holds numbers"),
        ({"lora": {"data_share": [0.3, 1]}, "lora_0.3": on("lora")}, "contenders.lora_0.3: a data_share of another"),
        ({"lora": {"data_share": 0}}, "contenders.lora.data_share: must be over 0, found 0"),
    ],
)  # fmt: skip
def test_misfits_are_refused_in_one_line(lesson, changes, said):
    path = lesson(changes)
    message = mistake(path, yaml.safe_load(path.read_text()))
    assert said in message
    assert len(message.splitlines()) == 1


def test_another_model_is_no_start(lesson, tiny):
    other = {"id": str(tiny("qwen2", seed=1)), "family": "r1_distill_qwen", "think": "drop"}
    path = lesson({"next": on("lora", model=other)})
    assert "next.start: lora tunes another model" in mistake(path, yaml.safe_load(path.read_text()))


def test_what_only_shapes_a_beginning_may_differ(lesson):
    knobs = {"kind": "ptuning_v2", "virtual_tokens": 4, "init": "random", "learning_rate": 0.01}
    assert Recipe.read(lesson({"next": {"method": knobs, "start": "prefix"}})).lineage("next") == ("prefix", "next")


def test_shares_are_nested_contenders_and_dev_rows_stay(lesson, tiny):
    recipe = Recipe.read(lesson({"lora": {"data_share": [0.3, 1, 0.1]}}, dev=0.2))
    assert list(recipe.contenders)[1:4] == ["lora_0.1", "lora_0.3", "lora"]
    chat = Chat.open(tiny("qwen2"), "r1_distill_qwen", "drop")
    few, some, every = (prepare(recipe, name, chat) for name in ("lora_0.1", "lora_0.3", "lora"))
    assert {e.name for e in few.train} < {e.name for e in some.train} < {e.name for e in every.train}
    assert {e.name for e in few.dev} == {e.name for e in every.dev} != set()
    assert len(every.train) + len(every.dev) == 48
    found = sum(within(f"question{n}", 0.3) for n in range(2000))
    assert abs(found - 600) < 130  # six standard deviations


def test_a_share_without_a_row_is_refused(lesson, capsys):
    recipe = lesson({"lora": {"data_share": 1e-6}}, dev=0.2)
    assert main(words(recipe, "lora")) == 2
    assert "none in data_share 1e-06); add rows, or raise data_share" in capsys.readouterr().err


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A study whose challenger goes on from a full contender over two cards, which stands after it."""
    train = {"epochs": 1, "max_steps": 4, "tokens_per_step": 512, "max_length": 256, "dev": 0}
    path = write_study(tmp_path_factory.mktemp("course"), train=train, costs={"gpu_hour": 3600})
    raw = yaml.safe_load(path.read_text())
    old, newer = (raw["contenders"][name] for name in ("old", "newer"))
    whole = old | {"method": {"kind": "full", "learning_rate": 1e-3}}
    wide = whole | {"data": ["exam/own.md#train", "exam/own.md#train"]}
    raw["contenders"] = {"old": old, "tuned": whole | {"start": "wide"}, "wide": wide, "newer": newer}
    raw["rule"]["alternatives"] = []
    path.write_text(yaml.safe_dump(raw, allow_unicode=True, sort_keys=False))
    return path


def test_a_course_trains_the_start_first_and_check_says_so(course):
    for asked in ((), ("--contender", "tuned")):
        shown = tuneworth("train", course, "--dry-run", *asked).stdout
        assert shown.index("--contender wide") < shown.index("--contender tuned")
        assert shown.count("finetune.train") == 2
    checked = " ".join(tuneworth("check", course, COLUMNS="200").stdout.split())
    assert "full, rate 0.001, from wide" in checked
    assert "full, rate 0.001, on own#train, own#train" in checked


@pytest.mark.slow
def test_the_challenger_pays_for_its_start(course, tmp_path):
    done = tuneworth("run", course, "--out", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert said.index("train wide seed 17: max_steps after") < said.index("train tuned seed 17: step 1/")
    run = RunDir(tmp_path / "runs" / "study")
    spent = [run.seed(name, 17).trained().device_seconds for name in ("wide", "tuned")]
    found = verdict(tmp_path / "runs")
    (bill,) = [each for each in found["money"]["bills"] if each["rival"] == "newer"]
    assert bill["parts"]["training"] == pytest.approx(sum(spent))
    row = next(each for each in found["contenders"] if each["name"] == "tuned")
    assert row["training_seconds"] == pytest.approx(sum(spent))
    gate = next(each for each in found["gates"] if each["name"] == "adapter applied")
    assert gate["status"] == "passed", gate
    scored = run.seed("tuned", 17).scored().scoring
    assert scored.adapter_digest == adapter_digest(run.seed("tuned", 17).adapter)
    shutil.rmtree(run.seed("wide", 17).folder)
    again = tuneworth("judge", course, "--out", tmp_path / "runs")
    assert again.returncode == 2
    assert "wide seed 17 is not" in again.stderr
