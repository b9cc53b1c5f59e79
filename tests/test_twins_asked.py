"""Twins asked by the engine: beside the exam and in no score; in the verdict, on the page, in plan and regrade."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from conftest import build_checkpoint
from small_exam import OPTIONS, TASK_GEN, model, teach, write_adapter
from typer.testing import CliRunner

from eval import items
from eval.benchmark import Benchmark, read_task
from eval.cli import app
from eval.score import __main__ as score
from finetune.card import DataCard, ask
from finetune.mistakes import BadInput
from finetune.recipe import Recipe

SUMS = TASK_GEN.replace("own", "sums").replace("answer: letter", "answer: number")


def write_exam(folder: Path) -> Path:
    """Letters asked of clients, and sums with their programs."""
    folder.mkdir()
    letters, sums = [], []
    for n in range(8):
        client = f"投资者{'张先生' if n % 2 else '李女士'}，净利润大增 {n}，标签?"
        shared = {"id": f"q{n}", "cluster": f"c{n // 2}"}
        letters.append(shared | {"question": client, "options": OPTIONS, "answer": "ABC"[n % 3]})
        text = f"sales {200 + n} and then {310 + 2 * n}"
        program = f"subtract({310 + 2 * n}, {200 + n})" if n else "table_max(sales, none)"
        sums.append(shared | {"question": "rise?", "text": text, "answer": str(110 + n), "program": program})
    columns = {"id": "id", "question": "question", "answer": "answer", "cluster": "cluster"}
    _card(folder, "own", letters, "choice", columns | {"options": "options"}, TASK_GEN.replace("own_gen", "own"))
    _card(folder, "sums", sums, "numeric", columns | {"context": "text", "program": "program"}, SUMS)
    return folder


def _card(folder: Path, name: str, rows: list[dict], shape: str, columns: dict, task: str) -> None:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / f"{name}.jsonl").write_text(lines, "utf-8")
    front = {
        "name": name, "title": name, "licence": {"name": "proprietary", "commercial": True}, "columns": columns,
        "languages": ["zh", "en"], "published": False, "shape": shape, "format": "jsonl",
        "splits": {"test": [f"{name}.jsonl"]},
    }  # fmt: skip
    (folder / f"{name}.md").write_text(f"---\n{yaml.safe_dump(front)}---\n", "utf-8")
    (folder / f"{name}.yaml").write_text(task.replace("sums_gen", "sums"), "utf-8")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The whole of it once: three contenders scored with twins, judged, and drawn; read only."""
    folder = tmp_path_factory.mktemp("twins")
    exam = write_exam(folder / "exam")
    old = teach_letters(build_checkpoint(folder / "old", "qwen2"), exam)
    older = model(old, "r1_distill_qwen")
    newer = model(build_checkpoint(folder / "newer", "qwen3"), "qwen3")
    brought = {"model": older, "adapter": str(write_adapter(folder / "adapter", old)), "adapter_cost": 1}
    recipe = {
        "question": "Is it worth it?",
        "contenders": {"old": {"model": older}, "newer": {"model": newer}, "lora": brought},
        "exam": {"tasks": ["./exam/own", "./exam/sums"], "twins": ["options", "numbers", "groups"]},
        "rule": {"challengers": ["lora"], "incumbent": "newer", "base": "old"},
    }  # fmt: skip
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(recipe), "utf-8")
    for name in recipe["contenders"]:
        assert score.main([str(path), "--contender", name, "--out", str(folder / "runs")]) == 0
    done = CliRunner().invoke(app, ["judge", str(path), "--out", str(folder / "runs")])
    assert done.exit_code == 0, done.output
    assert CliRunner().invoke(app, ["report", str(path), "--out", str(folder / "runs")]).exit_code == 0
    return folder


def teach_letters(folder: Path, exam: Path) -> Path:
    """It answers with a letter, and stops."""
    return teach(folder, exam, "r1_distill_qwen", steps=25)


@pytest.fixture
def logged(study):
    found: dict[str, list[items.ItemScore]] = {}
    for row in items.read(study / "runs" / "study" / "old" / "seed-0" / "items.jsonl"):
        found.setdefault(row.task, []).append(row)
    return found


def test_twins_are_asked_beside_the_items_and_in_no_score(study, logged):
    assert {name: len(rows) for name, rows in logged.items()} == {
        "own": 8, "sums": 8, "own~options": 8, "sums~numbers": 7, "own~sex": 8,
    }  # fmt: skip
    verdict = json.loads((study / "runs" / "study" / "verdict.json").read_text("utf-8"))
    assert [task["name"] for task in verdict["tasks"]] == ["own", "sums"]
    assert verdict["delta"]["n"] == 16
    own = next(each for each in verdict["contenders"] if each["name"] == "old")
    right = {name: sum(row.score for row in rows) / len(rows) for name, rows in logged.items()}
    assert own["score"] == pytest.approx((right["own"] + right["sums"]) / 2)


def test_the_verdict_tells_what_was_logged(study, logged):
    verdict = json.loads((study / "runs" / "study" / "verdict.json").read_text("utf-8"))["twins"]
    counts = {(each["task"], each["kind"]): (each["made"], each["items"]) for each in verdict["counts"]}
    assert counts[("sums", "numbers")] == (7, 8)
    assert counts[("sums", "options")] == counts[("own", "age")] == (0, 8)
    found = {row["kind"]: row for row in verdict["rows"] if row["contender"] == "old"}
    assert list(found) == ["options", "numbers", "sex"]
    items_said, twins_said = ({row.id: row for row in logged[name]} for name in ("own", "own~sex"))
    unlike = [
        (a.extracted or a.outcome) != (twins_said[name].extracted or twins_said[name].outcome)
        for name, a in items_said.items()
    ]
    assert found["sex"]["changed"]["value"] == pytest.approx(sum(unlike) / 8)
    assert (found["sex"]["n"], found["sex"]["clusters"]) == (8, 4)
    asked = {row.id: row.question for row in logged["own~sex"]}
    assert all(("张女士" in asked[f"q{n}"]) if n % 2 else ("李先生" in asked[f"q{n}"]) for n in range(8))
    scores = [sum(row.score for row in logged[name]) / 8 for name in ("own", "own~options")]
    assert found["options"]["gain"]["value"] == pytest.approx(scores[1] - scores[0])
    assert found["numbers"]["repeated"] is not None


def test_what_the_model_saw_is_the_twin(logged, study):
    """The prompt is another, under the same id; the gold is the twin's."""
    twins = read_task(study / "exam", "sums").twins("numbers")
    gold = {row.id: row.answer for row in twins.rows}
    assert {row.id: row.gold for row in logged["sums~numbers"]} == gold
    before = {row.id: row for row in logged["sums"]}
    assert all(row.prompt != before[row.id].prompt for row in logged["sums~numbers"])
    assert all(row.cluster == before[row.id].cluster for row in logged["sums~numbers"])


def test_the_gate_and_the_page_say_so_in_both_languages(study):
    verdict = json.loads((study / "runs" / "study" / "verdict.json").read_text("utf-8"))
    gate = next(each for each in verdict["gates"] if each["name"] == "items known by heart")
    assert gate["status"] in ("passed", "failed", "unresolved")
    assert set(gate["figures"]) >= {"lora, options", "newer, numbers"}
    page = (study / "runs" / "study" / "report.html").read_text("utf-8")
    for said in ('data-twin="sex"', 'data-made="sums~numbers"', "other figures", "换数字", "客户换性别"):
        assert said in page


def test_twins_are_part_of_plan_and_fingerprint_and_only_where_asked_for(study):
    path = study / "study.yaml"
    asked, without = Recipe.read(path), Recipe.read(path, ("exam.twins=[]",))
    benchmarks = Benchmark.read(asked), Benchmark.read(without)
    assert benchmarks[1].twins == ()
    assert set(benchmarks[0].digests) - set(benchmarks[1].digests) == {"own~options", "sums~numbers", "own~sex"}
    with pytest.raises(BadInput, match=r"exam\.twins.*'groups' or 'evidence'"):
        Recipe.read(path, ("exam.twins=[paraphrase]",))


def test_check_says_how_many_twins_there_are(study):
    done = CliRunner().invoke(app, ["check", str(study / "study.yaml"), "--out", str(study / "runs")])
    assert done.exit_code == 0, done.output
    lines = {line.split()[0]: line for line in done.output.replace("│", " ").splitlines() if "~" in line}
    assert " 7 " in lines["sums~numbers"]
    assert "own~age" not in lines  # none could be made


def test_regrading_knows_the_twins(study):
    done = CliRunner().invoke(app, ["regrade", str(study / "study.yaml"), "--out", str(study / "runs")])
    assert done.exit_code == 0, done.output


def test_a_task_that_shows_examples_has_no_twins(study, tmp_path):
    exam = write_exam(tmp_path / "exam")
    text = (exam / "own.yaml").read_text("utf-8") + "num_fewshot: 2\n"
    (exam / "own.yaml").write_text(text, "utf-8")
    with pytest.raises(BadInput, match="examples could give twins away"):
        read_task(exam, "own").twins("options")


def test_a_card_with_a_program_keeps_its_digest(study):
    path = study / "exam" / "sums.md"
    before = DataCard.read(path)
    other = path.with_name("other.md")
    other.write_text(path.read_text("utf-8").replace("  program: program\n", ""), "utf-8")
    try:
        assert DataCard.read(other).digest(None) == before.digest(None)
        assert ask(before.rows(None, "test")[1]) == ask(DataCard.read(other).rows(None, "test")[1])
    finally:
        other.unlink()
