"""Everything on a shelf loads, found by a recursive walk, and is counted: a check that counts nothing is decoration."""

import re
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from eval.benchmark import SHELF, find, find_card
from eval.launch import Job, line
from finetune.card import DataCard
from finetune.checkpoint import ModelSpec
from finetune.frame import PromptFrame
from finetune.recipe import Exam, Recipe, read_yaml
from finetune.recipe.guards import KINDS

ROOT = Path(__file__).parent.parent
SHELVES = {"recipes": 7, "models": 18, "prompts": 3, "launch": 8, "cards": 31, "tasks": 57, "suites": 9}


def on(folder: str, pattern: str) -> list[Path]:
    return sorted(p for p in (ROOT / folder).rglob(pattern) if p.name != "README.md")


RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
ASKED = [path for path in RECIPES if path.stem not in ("demo", "smoke")]  # these have an exam of their own, embedded
OPEN = ["suite:open_en", "suite:open_zh_gen"]
MODELS, PROMPTS, LAUNCH = (
    on("recipes/models", "*.yaml"),
    on("recipes/prompts", "*.yaml"),
    on("recipes/launch", "*.yaml"),
)
SUITES = on("recipes/suites", "*.yaml")
CARDS, TASKS = on("data_cards", "*.md"), sorted(SHELF.rglob("*.yaml"))


def test_the_walk_saw_everything():
    found = {"recipes": RECIPES, "models": MODELS, "prompts": PROMPTS, "launch": LAUNCH, "cards": CARDS, "tasks": TASKS}
    found["suites"] = SUITES
    assert {name: len(files) for name, files in found.items()} == SHELVES
    every = set((ROOT / "recipes").rglob("*.yaml"))
    assert every == {*RECIPES, *MODELS, *PROMPTS, *LAUNCH, *SUITES}


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_recipe(path):
    recipe = Recipe.read(path)
    assert recipe.name == path.stem
    for task in recipe.exam.tasks:
        find(task)


def opening(path: Path) -> str:
    """The comment that a recipe opens with."""
    lines = path.read_text("utf-8").splitlines()
    return "\n".join(takewhile(lambda line: line.startswith("#"), lines))


@pytest.mark.parametrize("path", ASKED, ids=lambda p: p.stem)
def test_recipes_for_use_ask_the_open_suites_or_say_why_not(path):
    asked, raw = Recipe.read(path).exam.tasks, read_yaml(path)
    if any("finqa" in named for named in raw["data"]):  # shows every page that ConvFinQA asks over
        assert asked == tuple(task for task in Exam(tasks=OPEN).tasks if task != "convfinqa")
        assert "ConvFinQA" in opening(path)
    elif raw["exam"]["tasks"] != OPEN:
        assert path.stem in {"finre_head", "fineval_smoke"}
        assert "exam is no suite" in opening(path) or "plumbing" in opening(path)


@pytest.mark.parametrize("path", ASKED, ids=lambda p: p.stem)
def test_sets_that_forbid_commercial_use_are_named_as_such_where_a_recipe_opens(path):
    recipe = Recipe.read(path)
    guarded = [task for kind in KINDS for task in recipe.rule.guards.of(kind)] if recipe.rule.guards else []
    tasks = [read_yaml_of(*find(name)) for name in (*recipe.exam.tasks, *guarded)]
    cards = [find_card(raw["dataset_kwargs"]["card"]) for raw in tasks] + [use.card for use in recipe.data_used]
    closed = {card.title.partition(" ")[0] for card in cards if not card.licence.commercial}
    assert len(cards) > len(recipe.exam.tasks), "exam and data were both looked at"
    assert all(name in opening(path) for name in closed)
    assert ("non-commercial" in opening(path)) == bool(closed)
    assert not closed or recipe.purpose == "smoke", "what is for use names none"


def read_yaml_of(folder: Path, name: str) -> dict:
    return yaml.safe_load((folder / f"{name}.yaml").read_text("utf-8").replace("!function ", ""))


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_model(path):
    spec = ModelSpec.model_validate(read_yaml(path))
    assert spec.licence
    assert spec.released
    assert spec.decoding.temperature > 0 or spec.embedded, "a reasoning model is sampled as its card says"


@pytest.mark.parametrize("path", PROMPTS, ids=lambda p: p.stem)
def test_prompt(path):
    wrapped = PromptFrame.model_validate(read_yaml(path)).wrap("WHAT?")
    assert wrapped.endswith("WHAT?")
    assert len(wrapped.splitlines()) >= 6


@pytest.mark.parametrize("path", LAUNCH, ids=lambda p: p.stem)
def test_launch(path):
    words = line(Job("train", Path("r.yaml"), "lora", 17, Path("runs")), str(path))
    assert words[words.index("-m") + 1] in ("accelerate.commands.launch", "torch.distributed.run")
    if "launcher" in yaml.safe_load(path.read_text()):
        return
    from accelerate.commands.config.config_args import load_config_from_file

    load_config_from_file(str(path))  # accelerate refuses keys that it does not know


@pytest.mark.parametrize("path", CARDS, ids=lambda p: p.stem)
def test_card(path):
    card = DataCard.read(path)
    assert card.name == path.stem
    assert card.licence.name


def origin(card: DataCard) -> str:
    """The line of a task's README on where its questions are from and who may use them."""
    source, licence = card.source, card.licence
    where = f"<{source.repository}> at `{source.commit[0][:12]}`" if source else "made by this project"
    forbids = "" if licence.commercial else ", no commercial use"
    return f"Source: {where}. Licence: [{licence.name}]({licence.url}){forbids}."


@pytest.mark.parametrize("path", TASKS, ids=lambda p: p.stem)
def test_task(path):
    text = path.read_text("utf-8").replace("!function ", "")
    raw = yaml.safe_load(text)
    assert raw["task"] == path.stem
    card, facts = find_card(raw["dataset_kwargs"]["card"]), raw["metadata"]
    told = (path.parent / "README.md").read_text("utf-8")
    assert f"data_cards/{card.name}.md" in told, "where columns and defects are"
    assert origin(card) in told.splitlines(), "source and licence, as the card has them"
    log = told.partition("## What a score means")[2]
    assert re.search(rf"^- {facts['version']} \(\d{{4}}-\d\d\):", log, re.M), "what its version changed"
    assert facts["headline"] in {each["metric"] for each in raw["metric_list"]}
