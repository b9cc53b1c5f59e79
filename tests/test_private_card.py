"""A private card: ids and places are told, texts only on request and never in CI; item files are the owner's."""

from __future__ import annotations

import json
import os
import re
import stat

import pytest
import yaml
from small_exam import model, write_exam, write_recipe
from small_lesson import rows, write_card, write_lesson
from test_intake import card_with
from test_items import row
from typer.testing import CliRunner

from eval import items
from eval.answerable import refuse_tasks, refuse_unanswerable
from eval.benchmark import Benchmark, find, read_task
from eval.cli import app
from eval.intake.draft import CHOSEN
from eval.score.parts import Parts
from eval.score.questions import questions
from finetune.card import BadCard, DataCard
from finetune.chat import Chat
from finetune.data import rendered
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import SeedDir

SECRET = "丁公司内部代号青鸟"


@pytest.fixture(autouse=True)
def outside_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


def told(*words: object, **env: str) -> str:
    done = CliRunner().invoke(app, list(map(str, words)), env=env)
    return done.stdout + done.stderr


def test_a_fault_names_its_place_and_not_what_stands_there(tmp_path, monkeypatch):
    path = card_with(tmp_path, f"问？,{SECRET},2,3,{SECRET}\n", private=True)
    with pytest.raises(BadCard, match=r"own: exam\.csv:2: cannot be used; the card is private") as fault:
        DataCard.read(path).rows(None, "test")
    assert SECRET not in str(fault.value)
    assert SECRET not in told("data", "check", path)
    assert "exam.csv:2: cannot be used" in told("data", "check", path)
    assert SECRET in told("data", "check", path, "--with-text")
    assert SECRET not in told("data", "check", path, "--with-text", CI="true")
    assert SECRET in told("data", "check", card_with(tmp_path, f"问？,{SECRET},2,3,{SECRET}\n"))


@pytest.mark.parametrize("private", [True, False])
def test_a_gold_that_cannot_be_read_names_its_place_and_not_what_stands_there(tmp_path, private):
    exam = write_exam(tmp_path / "exam", count=4)
    card = exam / "own.md"
    _, front, body = card.read_text("utf-8").split("---\n", 2)
    facts = yaml.safe_load(front) | {"shape": "qa", "private": private, "published": False}
    card.write_text(f"---\n{yaml.safe_dump(facts)}---\n{body}", "utf-8")
    task = exam / "own_gen.yaml"
    task.write_text(task.read_text("utf-8").replace("answer: letter", "answer: keypoints"), "utf-8")
    (data,) = (exam / name for name in facts["splits"]["test"])
    lines = [json.loads(line) for line in data.read_text("utf-8").splitlines()]
    lines[1]["answer"] = json.dumps({"say": [], "secret": SECRET}, ensure_ascii=False)
    lines = [line | {"answer": json.dumps({"say": ["x"]})} if n != 1 else line for n, line in enumerate(lines)]
    data.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    with pytest.raises(BadInput, match=rf"own_gen\.yaml: {lines[1]['id']}: ") as fault:
        read_task(*find(str(exam / "own_gen")))
    assert (SECRET in str(fault.value)) is not private


def test_labels_of_a_private_card_are_not_told(tmp_path):
    told_rows = [{"prompt": f"第{n}问", "completion": SECRET} for n in range(6)]
    path = write_card(tmp_path / "own.md", told_rows, private=True)
    found = tmp_path / "found.json"
    assert SECRET not in told("data", "check", path, "--json", found) + found.read_text("utf-8")
    assert SECRET in told("data", "check", path, "--with-text")


def test_check_shows_no_row_of_a_private_card_unless_asked(tmp_path, tiny, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    recipe = write_lesson(tmp_path, tiny("qwen2"), [{"prompt": SECRET, "completion": "是"}, *rows(11)], dev=0)
    assert SECRET in told("check", recipe)
    text = (tmp_path / "rows.md").read_text("utf-8").replace("published: false", "published: false\nprivate: true")
    (tmp_path / "rows.md").write_text(text, "utf-8")
    assert "lora: rows of rows, which is private, are not shown" in told("check", recipe)
    assert SECRET not in told("check", recipe)
    assert SECRET in told("check", recipe, "--with-text")
    assert SECRET not in told("check", recipe, "--with-text", CI="1")


def test_private_changes_no_row_and_is_not_published(tmp_path):
    text = "问？,1,2,3,A\n"
    digests = {DataCard.read(card_with(tmp_path, text, private=one)).digest(None) for one in (True, False)}
    assert len(digests) == 1
    with pytest.raises(BadCard, match="private: true, but published too"):
        DataCard.read(card_with(tmp_path, text, private=True, published=True))


def test_a_head_that_cannot_answer_does_not_tell_the_answers(tmp_path):
    folder = tmp_path / "exam"
    folder.mkdir()
    lines = "".join(f"第{n}问？,{SECRET},b,c,A\n" for n in range(3))
    card_with(folder, lines, private=True)
    kwargs = "task: own\ncustom_dataset: !function eval.benchmark.load\ndataset_kwargs: {card: own, split: test}\n"
    (folder / "own.yaml").write_text(kwargs + CHOSEN, "utf-8")
    with pytest.raises(BadInput, match="of a private card") as fault:
        refuse_tasks("tuned", "sequence", ["利好"], [read_task(*find(str(folder / "own")))])
    assert SECRET not in str(fault.value)


LEAKS = {  # what a task's YAML makes of a question of a private card, and what lm-eval then quotes
    "target": (
        "own.yaml",
        "doc_to_target: gold",
        'doc_to_target: "{{question}}"',
        r"q0 has no single right option \(of 3",
    ),
    "template": ("own_gen.yaml", '"{{ask}}"', '"{{options[question]}}"', "UndefinedError: its words may be the card's"),
    "gold": (
        "own_gen.yaml",
        "answer: letter",
        "answer: number",
        "q0: the answer is not of the form that answer: number",
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_task_that_does_not_fit_does_not_tell_its_questions(tmp_path, name):
    """The same of a card that is not private quotes them."""
    exam = write_exam(tmp_path / "exam", count=12)
    file, before, after, said = LEAKS[name]
    (exam / file).write_text((exam / file).read_text("utf-8").replace(before, after), "utf-8")
    card = (exam / "own.md").read_text("utf-8")
    task = file.removesuffix(".yaml")
    for private in (False, True):
        (exam / "own.md").write_text(card.replace("published: false", f"published: false\nprivate: {private}"), "utf-8")
        with pytest.raises(BadInput) as fault:
            questions(read_task(*find(str(exam / task))))
        assert ("鼎泰" in str(fault.value) or "'A'" in str(fault.value)) is not private
        assert not private or re.search(said, str(fault.value))


def test_a_head_does_not_quote_the_rows_of_a_private_card(tmp_path, tiny):
    """Labels that a task does not ask for, rows that are no labels, and passages that do not stand in their text."""
    exam = write_exam(tmp_path / "exam", count=12)
    taught = [{"prompt": f"{n}?", "completion": f"{SECRET}{n % 2}"} for n in range(8)]
    said = []
    for head, change in (("sequence", lambda n, row: row), ("sequence", _each), ("token", lambda n, row: row)):
        write_card(tmp_path / "rows.md", [change(n, row) for n, row in enumerate(taught)], private=True)
        recipe = write_recipe(
            tmp_path / "r.yaml", exam, model(tiny("qwen2"), "r1_distill_qwen"), model(tiny("qwen3"), "qwen3")
        )
        written = yaml.safe_load(recipe.read_text("utf-8"))
        written["data"] = [str(tmp_path / "rows.md")]
        written["contenders"]["tuned"]["head"] = head
        recipe.write_text(yaml.safe_dump(written), "utf-8")
        read = Recipe.read(recipe)
        with pytest.raises(BadInput) as fault:
            _met(read, head, tiny("qwen2"))
        said.append(str(fault.value))
    assert not [text for text in said if SECRET in text]
    assert "are not among its labels, not shown" in said[0]
    assert "8 rows have 8 different answers" in said[1]
    assert "the card is private" in said[2]


def _met(recipe: Recipe, head: str, checkpoint) -> None:
    if head == "token":
        rendered(recipe, "tuned", Chat.open(checkpoint, "r1_distill_qwen", "empty"))
    refuse_unanswerable(recipe, Benchmark.read(recipe))


def _each(number: int, row: dict) -> dict:
    return row | {"completion": f"{row['completion']}{number}"}


def mode(path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_item_files_of_a_private_exam_are_the_owners(tmp_path):
    old = os.umask(0o022)
    try:
        parts = Parts(SeedDir(tmp_path), row(0).scorer, private=True)
        items.append(parts.of(0), [row(0)], private=True)
        assert mode(parts.of(0)) == 0o600
        assert parts.merge([row(0).key], lambda answer: answer) == [row(0)]
        assert mode(tmp_path / "items.jsonl") == 0o600
        items.append(tmp_path / "open.jsonl", [row(0)])
        assert mode(tmp_path / "open.jsonl") == 0o644
        items.append(tmp_path / "open.jsonl", [row(0)], private=True)
        assert mode(tmp_path / "open.jsonl") == 0o600
        assert json.loads((tmp_path / "open.jsonl").read_text("utf-8").splitlines()[1])
    finally:
        os.umask(old)


def test_a_private_exam_goes_to_no_server_that_its_card_does_not_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEWORTH_CARDS", "")
    exam, local = (
        write_exam(tmp_path / "exam", count=12),
        {"id": "x/y", "revision": "1", "family": "plain", "think": "drop"},
    )
    served = {"id": "some/served", "family": "served", "think": "drop"}

    def read(url: str, **front) -> Benchmark:
        engine = {"kind": "openai", "url": url, "model": "m", "allow_remote": True}
        recipe = {
            "question": "?", "data": [f"{exam}/own.md#test"], "exam": {"tasks": [f"{exam}/own_gen"]},
            "contenders": {
                "old": {"model": local}, "tuned": {"model": local, "method": {"kind": "lora"}},
                "api": {"model": served, "engine": engine},
            },
            "rule": {"challengers": ["tuned"], "incumbent": "api", "base": "old"},
        }  # fmt: skip
        (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
        _, head, body = original.split("---\n", 2)
        (exam / "own.md").write_text(f"---\n{yaml.safe_dump({**yaml.safe_load(head), **front})}---\n{body}", "utf-8")
        return Benchmark.read(Recipe.read(tmp_path / "r.yaml"))

    original = (exam / "own.md").read_text("utf-8")
    assert not read("https://api.example.cn/v1").private
    with pytest.raises(BadInput, match=r"contenders\.api\.engine: api\.example\.cn is not this machine"):
        read("https://api.example.cn/v1", private=True)
    with pytest.raises(BadInput, match="name it in `hosts` of card own"):
        read("https://api.example.cn/v1", private=True, hosts=["other.example.cn"])
    assert read("https://api.example.cn/v1", private=True, hosts=["api.example.cn"]).private
    assert read("http://127.0.0.1:8000/v1", private=True).private
