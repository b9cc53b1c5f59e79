"""Suites: what stands in them, by the rules they are made by; how a recipe takes them in; the shelf's table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from eval import blind
from eval.benchmark import SHELF, Scenario, Task, find, find_card, read_task
from finetune.card.likeness import normalise
from finetune.mistakes import BadInput
from finetune.recipe import Exam, Recipe
from finetune.recipe.suites import SHELF as SUITES
from finetune.recipe.suites import Suite

ROOT = Path(__file__).parent.parent
NAMES = sorted(path.stem for path in SUITES.glob("*.yaml"))
TABLE = SHELF / "README.md"


def suite(name: str) -> Suite:
    return Suite.read(SUITES / f"{name}.yaml")


def facts(task: str) -> dict:
    folder, name = find(task)
    return yaml.safe_load((folder / f"{name}.yaml").read_text("utf-8").replace("!function ", ""))


def test_the_suites_are_there():
    assert NAMES == [
        "compliance", "finance_en", "finance_labels", "finance_numbers", "finance_zh", "guard_en", "guard_zh",
        "open_en", "open_zh",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_task_of_a_suite_is_on_the_shelf_in_its_protocols(name):
    found = suite(name)
    for task in found.choices:
        assert facts(task)["output_type"] == "multiple_choice"
        assert facts(f"{task}_gen")["output_type"] == "generate_until"
    for task in found.written:
        assert facts(task)["output_type"] == "generate_until"
    chosen = found.tasks(gen=False)
    assert len(set(chosen)) == len(chosen) > 0
    assert not {"logiqa_zh", "logiqa_en"} <= {*chosen}, "one set in two languages"


@pytest.mark.parametrize("name", ["open_zh", "open_en"])
def test_open_suites_hold_sets_that_allow_commercial_use_alone(name):
    for task in suite(name).tasks(gen=False):
        card = find_card(facts(task)["dataset_kwargs"]["card"])
        assert card.licence.commercial, f"{task}: {card.licence.name}"


@pytest.mark.parametrize("name", NAMES)
def test_the_language_in_a_suites_name_is_that_of_its_sets(name):
    lang = name.rpartition("_")[2]
    if lang in ("zh", "en"):
        cards = [find_card(facts(task)["dataset_kwargs"]["card"]) for task in suite(name).tasks(gen=False)]
        assert {card.languages for card in cards} == {(lang,)}


@pytest.mark.parametrize("name", NAMES)
def test_guards_hold_no_finance_and_the_others_nothing_else(name):
    scenarios = {facts(task)["metadata"]["scenario"] for task in suite(name).tasks(gen=False)}
    assert (scenarios == {"general"}) if name.startswith("guard") else ("general" not in scenarios)


def test_fin_eva_beside_fineval_is_its_ant_part():
    assert {"fineval", "fin_eva"} <= {*suite("finance_zh").choices}
    files = [pattern for split in find_card("fin_eva").splits.values() for pattern in split.files]
    assert files
    assert all(pattern.startswith("Ant/") for pattern in files)


def test_a_suites_tasks_stand_in_the_exam_for_its_name():
    exam = Exam(tasks=["suite:guard_zh", "finqa"], weights={"cmrc2018": 2})
    assert exam.tasks == ("cmmlu", "agieval_zh", "cmrc2018", "finqa")
    assert Exam(tasks=["suite:guard_zh_gen"]).tasks == ("cmmlu_gen", "agieval_zh_gen", "cmrc2018")


def test_a_recipe_cannot_tell_a_suite_from_its_tasks_written_out():
    path = ROOT / "recipes" / "deepseek_api.yaml"
    named = Recipe.read(path, ("exam.tasks=[suite:open_en]",))
    written = Recipe.read(path, ("exam.tasks=[finqa, convfinqa, financemath]",))
    assert named == written
    assert named.exam.tasks == ("finqa", "convfinqa", "financemath")


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ("[suite:open_cn]", r"exam\.tasks: .*no suite open_cn.*open_zh"),
        ("[suite:open_en, finqa]", "finqa stands twice"),
        ("['suite:']", "no suite"),
        ("['suite:nosuch']", r"no suite nosuch; there are (?!.*there are)"),
    ],
)
def test_a_suite_that_does_not_fit_is_refused(tasks, words):
    with pytest.raises(BadInput, match=words):
        Recipe.read(ROOT / "recipes" / "deepseek_api.yaml", (f"exam.tasks={tasks}",))


def test_an_unknown_scenario_is_refused(tmp_path):
    raw = facts("demo_label")
    raw["metadata"]["scenario"] = "gossip"
    (tmp_path / f"{tmp_path.name}.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(BadInput, match=r"metadata\.scenario 'gossip'; known are compliance, guidance"):
        read_task(*find(str(tmp_path)))


def test_every_task_of_the_shelf_says_its_scenario_and_both_protocols_the_same():
    for path in SHELF.glob("*/*.yaml"):
        told = facts(path.stem)["metadata"]["scenario"]
        assert told in Scenario.__args__
        assert told == facts(path.stem.removesuffix("_gen"))["metadata"]["scenario"]


def test_the_scenarios_of_the_readme_are_those_of_the_tasks():
    part = TABLE.read_text("utf-8").partition("## Scenarios")[2].partition("## Suites")[0]
    lines = dict(re.findall(r"^\| `(\w+)` [^|]*\|(.*)\|$", part, re.M))
    assert {*lines} == {*Scenario.__args__}
    shelf = {path.parent.name for path in SHELF.glob("*/*.yaml")}
    for scenario, cells in lines.items():
        mine = {name for name in shelf if facts(name)["metadata"]["scenario"] == scenario}
        named = {*re.findall(r"`(\w+)`", cells.partition("no public set")[0])}
        assert named == mine, scenario
        assert ("no public set" in cells) is (not mine)


def test_every_choice_of_the_shelf_has_its_written_form():
    for path in SHELF.glob("*/*.yaml"):
        if facts(path.stem)["output_type"] == "multiple_choice":
            assert path.with_name(f"{path.stem}_gen.yaml").is_file()


# ---- with the real files


def rows_of_table() -> dict[str, list[str]]:
    lines = re.findall(r"^\| `(\w+)` \|(.*)\|$", TABLE.read_text("utf-8"), re.M)
    found = {name: [cell.strip() for cell in cells.split("|")] for name, cells in lines}
    return {name: cells for name, cells in found.items() if len(cells) > 1}  # the other tables have two columns


def line_of(task: Task) -> list[str]:
    """A task's line in the table of the shelf."""
    best = blind.best(task)
    return [
        find_card(task.card.name).title.partition(",")[0], task.card.licence.name, f"{len(task.rows):,}",
        f"{len({row.cluster for row in task.rows}):,}", task.scenario or "", task.metric, f"{task.guess_rate:.1%}",
        f"{best.score:.1%} ({best.way})",
    ]  # fmt: skip


def test_the_table_has_every_task():
    assert {*rows_of_table()} == {path.parent.name for path in SHELF.glob("*/*.yaml")}


def at_hand(name: str) -> bool:
    """Whether an edition of a task's files is known to us; where not, its counts are the publisher's."""
    return bool(find_card(facts(name)["dataset_kwargs"]["card"]).editions)


def test_sets_that_are_not_at_hand_stand_apart_and_in_no_suite():
    unheld = {name for name in rows_of_table() if not at_hand(name)}
    assert unheld == {"financeiq", "tatqa"}
    for name in unheld:
        told, card = facts(name)["metadata"], find_card(facts(name)["dataset_kwargs"]["card"])
        head, licence, count, *rest = rows_of_table()[name]
        assert [head, licence, *rest] == [
            card.title.partition(",")[0], card.licence.name, told["scenario"], told["headline"]
        ]  # fmt: skip
        assert count.removesuffix(" in all") in card.body, "the publisher's count stands in the card"
        assert "Files not at hand" in card.body
        assert "not verified" in card.body
        assert not any(name in {*suite(each).choices, *suite(each).written} for each in NAMES)


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(path.parent.name for path in SHELF.glob("*/*.yaml") if "_gen" not in path.stem))
def test_the_table_says_what_the_files_say(shared_data, monkeypatch, name):
    if not at_hand(name):
        pytest.skip("its files are not at hand")
    monkeypatch.setenv("TUNEWORTH_DATA", str(shared_data))
    task = read_task(*find(name))
    assert task.edition in ("subset", "official")
    assert rows_of_table()[name] == line_of(task)


@pytest.mark.data
@pytest.mark.parametrize("name", NAMES)
def test_no_task_of_a_suite_is_passed_blind_or_asks_what_another_asks(shared_data, monkeypatch, name):
    monkeypatch.setenv("TUNEWORTH_DATA", str(shared_data))
    tasks = [read_task(*find(task)) for task in suite(name).tasks(gen=False)]
    assert {task.name: blind.best(task).score for task in tasks if blind.best(task).score > blind.CEILING} == {}
    asked = [{normalise(row.context + row.question) for row in task.rows} for task in tasks]
    for place, one in enumerate(asked):
        for other in asked[:place]:
            assert len(one & other) < 0.05 * min(len(one), len(other)), "CMMLU and the gaokao share 3 %"


def test_plain_lm_eval_lists_the_shelf():
    from lm_eval.tasks import TaskManager

    listed = TaskManager(include_path=str(SHELF), include_defaults=False).all_tasks
    assert {path.stem for path in SHELF.glob("*/*.yaml")} <= {*listed}
