"""Questions whose wording changes between two starts: one log holds the answers to one wording, and a plan names it."""

from __future__ import annotations

import shutil

import pytest
from small_score import Study, parts  # noqa: F401 (a fixture)

from eval import items, pledge
from eval.benchmark import Benchmark
from finetune.recipe import Recipe

QUESTION, OTHER = 'doc_to_text: "{{question}}"', 'doc_to_text: "Think well. {{question}}"'


@pytest.fixture
def own(tmp_path, parts):  # noqa: F811
    """A study whose exam may be edited, scored once."""
    exam = shutil.copytree(parts["exam"], tmp_path / "exam")
    study = Study(tmp_path, **(parts | {"exam": exam}))
    assert study.score("old") == 0
    return study


def edit(study, name, before, after):
    path = study.exam / name
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")


def asked(study):
    return [row.content for row in study.rows("old")]


def unfinish(study, keep):
    """As a kill leaves it: some rows and no manifest."""
    place = study.place("old")
    items.replace(place / "items.jsonl", study.rows("old")[:keep])
    (place / "score.json").unlink()


@pytest.mark.parametrize("keep", [72, 10])
def test_a_changed_template_is_another_exam_whatever_its_version(own, keep, capsys):
    """Finished or killed half way: nothing of the old wording stays among the answers to the new one."""
    before = asked(own)
    if keep < len(before):
        unfinish(own, keep)
    edit(own, "own.yaml", QUESTION, OTHER)
    assert own.score("old") == 0
    said = capsys.readouterr().out
    assert "72 of 72 answers to go" in said
    assert "done, unchanged" not in said
    after = asked(own)
    choices = [at for at, row in enumerate(own.rows("old")) if row.task == "own"]
    assert all(before[at] != after[at] for at in choices)
    shutil.rmtree(own.out)
    assert own.score("old") == 0
    assert asked(own) == after


CHANGES = {
    "template": ("own.yaml", QUESTION, OTHER),
    "examples": ("own.yaml", "metric_list:", "num_fewshot: 2\nmetric_list:"),
    "options": ("own.yaml", '"{{options}}"', "\"{{options | map('upper') | list}}\""),
    "delimiter": ("own.yaml", "doc_to_target: gold", 'doc_to_target: gold\ntarget_delimiter: ""'),
    "end of an answer": ("own_gen.yaml", '["\\n\\n"]', '["\\n"]'),
    "language of the question's frame": ("exam.jsonl", '"lang": "en"', '"lang": "zh"'),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_plan_names_the_wording(own, name):
    def promised():
        recipe = Recipe.read(own.recipe)
        return pledge.digest(recipe, Benchmark.read(recipe))

    before = promised()
    edit(own, "own.yaml", "metadata: {version: 1,", "metadata: {scenario: risk, version: 1,")
    edit(own, "own_gen.yaml", "max_gen_toks: 8", "max_gen_toks: 16")
    assert promised() == before, "neither is shown to anybody"
    edit(own, *CHANGES[name])
    assert promised() != before


def test_code_and_files_that_a_task_takes_in_are_a_part_of_it(own):
    def digests():
        return Benchmark.read(Recipe.read(own.recipe)).digests

    edit(own, "own.yaml", QUESTION, "doc_to_text: !function said.text\ninclude: shared.yaml")
    seen = []
    for name, text in (("said.py", "x = 1"), ("said.py", "x = 2"), ("shared.yaml", "a: 1"), ("shared.yaml", "a: 2")):
        (own.exam / name).write_text(text, "utf-8")
        seen.append(digests()["own"])
    assert len(set(seen)) == 4


def test_rows_that_answered_another_prompt_are_not_gone_on_with(own, capsys):
    """What no fingerprint knows: here as if another lm-eval had put a question in other words."""
    rows, place = own.rows("old"), own.place("old")
    unfinish(own, 10)
    other = rows[3].model_copy(update={"prompt": "0" * 64})
    items.replace(place / "items.jsonl", [*rows[:3], other, *rows[4:10]])
    assert own.score("old") == 2
    said = capsys.readouterr().err
    assert f"own/{rows[3].id} was asked in other words when this scoring was begun" in said
    assert "metadata.version" in said
    assert len(own.rows("old")) == 10, "what was scored is kept"
