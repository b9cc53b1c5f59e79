"""Where a contender thinks (`model.think: keep`), a choice by likelihood is no headline: refused before any score."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
import yaml
from conftest import build_checkpoint
from rich.console import Console
from small_exam import model, write_adapter, write_exam, write_recipe
from typer.testing import CliRunner

from eval import check
from eval.answerable import refuse_unthought, unthought
from eval.benchmark import Benchmark, find, read_task
from eval.cli import app
from eval.score import __main__ as score
from finetune.mistakes import BadInput
from finetune.recipe import Recipe

DEMO = Path(__file__).parent.parent / "recipes" / "demo.yaml"
THINKS = "contenders.newer.model=models/qwen3_8b.yaml"


def tasks(*names: str) -> tuple:
    return tuple(read_task(*find(name)) for name in names)


def test_a_study_names_the_written_form_where_somebody_thinks():
    thinks = Recipe.read(DEMO, (THINKS,))
    chosen = tasks("demo_label", "demo_knowledge", "demo_extraction")
    with pytest.raises(BadInput) as fault:
        refuse_unthought(thinks, Benchmark(chosen))
    assert str(fault.value) == (
        "exam.tasks: demo_label, demo_knowledge: options are chosen behind an empty thought, and newer would think "
        "(model.think: keep), so it is no headline of this study; name demo_label_gen, demo_knowledge_gen (of a suite: "
        "suite:NAME_gen), where the answer is written"
    )
    refuse_unthought(Recipe.read(DEMO), Benchmark(chosen))
    refuse_unthought(thinks, Benchmark(tasks("demo_label_gen", "demo_knowledge_gen", "demo_extraction")))


def test_a_choice_may_stand_beside_the_headline_as_a_guard_and_in_a_smoke_run():
    thinks, chosen, written = Recipe.read(DEMO, (THINKS,)), tasks("demo_label"), tasks("demo_knowledge_gen")
    beside = Benchmark(written, guards=chosen)
    refuse_unthought(thinks, beside)
    (line,) = unthought(thinks, beside)
    assert line.startswith("rule.guards: demo_label: options are chosen behind an empty thought, and newer would think")
    assert line.endswith("in demo_label_gen the answer is written")
    smoke = Recipe.read(DEMO, (THINKS, "purpose=smoke"))
    refuse_unthought(smoke, Benchmark(chosen))
    (line,) = unthought(smoke, Benchmark(chosen))
    assert line.startswith("exam.tasks: demo_label: ")
    assert unthought(Recipe.read(DEMO), beside) == []


@pytest.mark.parametrize(
    "change",
    [
        "contenders.newer={model: models/qwen3_8b.yaml, items: /nowhere}",  # what stands in a log is not asked here
        "contenders.newer={model: models/qwen3_8b.yaml, engine: {kind: openai, url: 'http://127.0.0.1:9', model: m}}",
        "contenders.lora={model: models/r1_distill_qwen_7b.yaml, method: {kind: lora}, head: sequence}",  # no words
    ],
)
def test_who_writes_no_thought_here_forbids_no_choice(change):
    raw = yaml.safe_load(DEMO.read_text("utf-8"))
    recipe = Recipe.read(DEMO, (change, *_based(change, raw)))
    refuse_unthought(recipe, Benchmark(tasks("demo_label")))


def _based(change: str, raw: dict) -> list[str]:
    """A challenger's base is of its own checkpoint."""
    if "contenders.lora" not in change:
        return []
    assert raw["rule"]["base"] == "old"
    plain = "{id: deepseek-ai/DeepSeek-R1-Distill-Qwen-7B, family: r1_distill_qwen, think: empty}"
    return ["rule.challengers=[lora]", f"contenders.old.model={plain}"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A study in which newer thinks, with an exam of its own in both forms."""
    folder = tmp_path_factory.mktemp("unthought")
    exam = write_exam(folder / "exam", count=12)
    old, newer = build_checkpoint(folder / "old", "qwen2"), build_checkpoint(folder / "newer", "qwen3")
    adapter = write_adapter(folder / "adapter", old)
    write_recipe(folder / "r.yaml", exam, model(old, "r1_distill_qwen"), model(newer, "qwen3", think="keep"), adapter)
    return folder


LINE = "own: options are chosen behind an empty thought, and framed, newer would think"


@pytest.mark.parametrize("who", ["old", "newer"])
@pytest.mark.parametrize("more", [(), ("--probe",)])
def test_no_contender_of_such_a_study_is_scored(place, tmp_path, capsys, who, more):
    out = tmp_path / "runs"
    assert score.main([str(place / "r.yaml"), "--contender", who, "--out", str(out), *more]) == 2
    said = capsys.readouterr().err
    assert LINE in said
    assert "name own_gen (of a suite" in said
    assert len(said.splitlines()) == 1
    assert not list(out.rglob("items*"))


@pytest.mark.parametrize("command", ["check", "run"])
def test_check_and_run_refuse_it_before_anything_is_tuned(place, tmp_path, command):
    done = CliRunner().invoke(app, [command, str(place / "r.yaml"), "--out", str(tmp_path / "runs")])
    assert done.exit_code == 2
    assert LINE in " ".join(done.output.split())
    assert not list((tmp_path / "runs").rglob("*.safetensors"))


def test_the_written_form_alone_goes_through(place, tmp_path):
    recipe = Recipe.read(place / "r.yaml", (f"exam.tasks=[{place}/exam/own_gen]",))
    told = Console(width=600, record=True, file=StringIO())
    check.show(recipe, told, None, tmp_path)
    assert "empty thought" not in told.export_text()


def test_an_own_choice_without_a_written_form_is_told_to_write_one(place, tmp_path):
    exam = write_exam(tmp_path / "exam", count=12)
    (exam / "own_gen.yaml").unlink()
    recipe = Recipe.read(place / "r.yaml", (f"exam.tasks=[{exam}/own]",))
    with pytest.raises(BadInput, match=r"; write own_gen\.yaml beside it \(`tuneworth data new` drafts both\), where"):
        refuse_unthought(recipe, Benchmark.read(recipe))
    beside = Benchmark(tasks("demo_knowledge_gen"), guards=Benchmark.read(recipe).tasks)
    (line,) = unthought(recipe, beside)
    assert line.startswith("rule.guards: own: options are chosen behind an empty thought, and framed, newer would")
    assert line.endswith("; for written answers write own_gen.yaml beside it (`tuneworth data new` drafts both)")


@pytest.mark.parametrize("path", sorted(DEMO.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_name_written_forms_where_somebody_thinks(path):
    recipe = Recipe.read(path)
    forms = {name: find(name)[0] / f"{name}.yaml" for name in recipe.exam.tasks}
    chosen = [name for name, form in forms.items() if "output_type: multiple_choice" in form.read_text("utf-8")]
    if recipe.purpose == "study" and any(each.model.think == "keep" for each in recipe.contenders.values()):
        assert chosen == []
    else:
        assert path.stem in ("demo", "smoke", "fineval_smoke")


def test_check_says_where_answers_may_be_of_unlike_length(place, tmp_path):
    """Counted over who writes; nothing is said where all may write alike, or nothing is written."""
    written, thinks = Benchmark(tasks("demo_label_gen")), Recipe.read(DEMO, (THINKS,))
    (line,) = check.budgets(thinks, written)
    assert (
        "(model.decoding.max_new_tokens, thinking_tokens): 16 of old, lora, prefix, prompted; 32,768 of newer. " in line
    )
    assert check.budgets(thinks, Benchmark(tasks("demo_label"))) == []
    assert check.budgets(Recipe.read(DEMO), written) == []
    for changes, said in (((), False), (("contenders.old.model.decoding.max_new_tokens=9",), True)):
        recipe = Recipe.read(place / "r.yaml", (f"exam.tasks=[{place}/exam/own_gen]", *changes))
        told = Console(width=600, record=True, file=StringIO())
        check.show(recipe, told, None, tmp_path)
        assert ("Tokens for thought and answer differ" in told.export_text()) is said
