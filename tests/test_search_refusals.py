"""Searches as their recipes have them: refused where unfair, senseless or too large; budgets and fingerprints."""

from __future__ import annotations

import pytest
import torch
import yaml
from small_lesson import METHODS, words
from small_search import GRID, TWICE, lesson, refused, searched, trial  # noqa: F401 (a fixture)
from test_recipe import mistake

from finetune.methods import LoRA, PTuningV2, declared, settled, trials
from finetune.recipe import Recipe
from finetune.train.__main__ import main

torch.set_num_threads(1)


def test_a_dev_share_that_holds_no_row_cannot_judge(lesson, capsys):
    recipe = lesson(dev=1e-9)
    assert main(words(recipe)) == 2
    assert "train.dev: 1e-09 holds out none of 48 rows, so nothing judges a trial" in refused(capsys)


def test_a_combination_that_does_not_fit_is_said_before_the_first_trial(lesson, capsys):
    recipe = lesson({"full": searched("full", last_layers=[1, 7])})
    assert main(words(recipe, "full")) == 2
    assert "last_layers: 7, but qwen2 here has 2 layers" in refused(capsys)
    assert not trial(recipe, 0, "full").folder.exists()


@pytest.mark.parametrize(
    ("changes", "train", "said"),
    [
        ({"lora": searched(rnak=[1, 2])}, {}, "lora.method.search.rnak: unknown; did you mean rank?"),
        ({"prefix": searched("ptuning_v2", rank=[1, 2])}, {}, "search.rank: unknown; known are learning_rate, virtual"),
        ({"lora": searched(rank=[1, 0])}, {}, "contenders.lora.method.search.rank.1: must be 1 or more, found 0"),
        ({"lora": searched(rank=4)}, {}, "search.rank: a list, such as [a, b], is needed, found 4"),
        ({"lora": searched(rank=[])}, {}, "search.rank: must hold 1 or more, holds 0"),
        ({"lora": searched(rank=[4], alpha=[8])}, {}, "contenders.lora.method.search: one trial only, so nothing to"),
        ({"lora": searched()}, {}, "contenders.lora.method.search: one trial only"),
        ({"lora": searched(learning_rate=["1e-4", 0.0001])}, {}, "search.learning_rate: 0.0001 stands twice"),
        ({"lora": searched(**GRID)}, {"dev": 0}, "lora.method.search: train.dev 0 holds out no row"),
        ({"lora": searched(**GRID)}, {"evaluations": 0}, "lora.method.search: train.evaluations 0 takes no dev loss"),
        (
            {"lora": searched(knobs={"rank": 4}, **GRID)}, {},
            "contenders.lora.method: rank is given and searched too; leave one of the two out",
        ),
        (
            {"lora": searched(**GRID), "prefix": searched("ptuning_v2", **TWICE)}, {},
            "contenders.lora.method.search: 4 trials, but prefix has 2; a search is fair at an equal budget",
        ),
        (
            {"lora": searched(**GRID), "next": {"method": METHODS["lora"], "start": "lora"}}, {},
            "next.start: lora: lora searches method.rank, which both must share",
        ),
        (
            {"lora": {"method": METHODS["lora"]}, "next": searched(start="lora", rank=[4, 8])}, {},
            "next.start: lora: next searches method.rank, which both must share",
        ),
    ],
)  # fmt: skip
def test_what_is_unfair_or_senseless_is_refused_in_one_line(lesson, changes, train, said):
    path = lesson(changes, **train)
    told = mistake(path, yaml.safe_load(path.read_text()))
    assert said in told
    assert len(told.splitlines()) == 1


def test_shares_of_the_rows_have_equal_budgets_anyway(lesson):
    recipe = Recipe.read(lesson({"lora": searched(**GRID) | {"data_share": [0.5, 1]}}))
    assert {len(recipe.trials(name)) for name in ("lora", "lora_0.5")} == {4}


def test_fingerprints_follow_the_search_and_nothing_else_is_moved(lesson):
    bare = Recipe.read(lesson({"lora": {"method": METHODS["lora"]}}))
    none = {"method": METHODS["lora"] | {"search": None}}
    null = Recipe.read(lesson({"lora": none, "full": searched("full", **TWICE)}))
    assert null.train_fingerprint("lora", 17) == bare.train_fingerprint("lora", 17)
    grid, seen = searched(**GRID), {bare.train_fingerprint("lora", 18)}
    for changes in ((), ("train.seeds=[18, 17]",), ("contenders.lora.method.search.rank=[2, 4, 8]",)):
        seen.add(Recipe.read(lesson({"lora": grid}), changes).train_fingerprint("lora", 18))
    assert len(seen) == 4
    more = Recipe.read(lesson({"lora": grid}), ("train.seeds=[17, 18, 19]",))
    assert more.train_fingerprint("lora", 18) in seen  # one more seed is no other search


def test_defaults_that_hang_on_a_knob_follow_it():
    method = PTuningV2(search={"virtual_tokens": [4, 8]})
    assert [each["virtual_tokens"] for each in trials(method)] == [4, 8]
    assert settled(method, {"virtual_tokens": 4}) == PTuningV2(virtual_tokens=4)
    assert declared(LoRA()) == {}
    assert trials(LoRA()) == ()
