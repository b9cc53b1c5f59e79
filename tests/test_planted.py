"""Faults planted in a finished study whose verdict is worth it: each is caught, by its own gate or by a refusal.

| planted here                      | caught by                            | also covered in                    |
|-----------------------------------|--------------------------------------|------------------------------------|
| missing items                     | gate same questions                  | test_gates, test_invalid           |
| doubled items                     | refused: a sample stands twice       | test_compare                       |
| shuffled gold, in a log           | gate same questions (gold)           | test_gates                         |
| shuffled gold, in the exam        | refused: another state of the recipe | test_invalid                       |
| a re-split set, parts or clusters | gate same questions                  | test_gates                         |
| two engines, of two contenders    | gate engine parity, not checked      | test_gates_steady, test_repeatability |
| two engines, in one log           | gate engine parity                   |                                    |
| mixed protocols                   | gate same questions                  | test_gates, test_compare           |
| thoughts cut on one side only     | gate truncated                       | test_gates, test_invalid           |
| a broken extractor                | gates unparsed, below chance         | test_gates, test_invalid           |
| a plan younger than the scores    | gate plan, exploratory               | test_gates, test_verdict           |
| a challenger chosen on the exam   | gate plan, exploratory               | test_verdict (a rule changed)      |
| a stale cache of columns          | read anew: the verdict does not move | test_columns                       |
| stale rows of another scorer      | gate same questions                  | test_score (set aside)             |
| another tokenizer                 | refused: another state of the recipe | test_score (adapter with another)  |
| another template                  | gate prompt content                  | test_gates                         |
| adapter not loaded                | gate adapter applied                 | test_gates, test_invalid, test_score |
| training rows that hold exam items | gate clean subset                   | test_clean, test_audit             |

All through `tuneworth judge --gate`. Answers given elsewhere have faults of their own (test_logged).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest
from judged_run import finished
from test_clean import HALF, leaking
from typer.testing import CliRunner
from written_exam import Run, build, graded

from eval import columns, items
from eval.cli import app
from eval.report.view import GATE
from eval.verdict import Verdict

REFUSED = 2  # exit status


def judged(run: Run, *changes: str) -> Verdict:
    """What the front door leaves, its exit status that of the outcome."""
    words = [word for change in changes for word in ("--set", change)]
    place = ["--out", str(run.folder / "runs")]
    done = CliRunner().invoke(app, ["judge", str(run.folder / "study.yaml"), *place, "--gate", *words])
    assert run.run.verdict.is_file(), done.output
    found = Verdict.read(run.run.verdict)
    assert done.exit_code == GATE[found.outcome], done.output
    return found


def refusal(run: Run) -> str:
    """The line with which the front door refuses, however wide the terminal is."""
    done = CliRunner().invoke(app, ["judge", str(run.folder / "study.yaml"), "--out", str(run.folder / "runs")])
    assert done.exit_code == REFUSED, done.output
    assert not run.run.verdict.exists()
    return " ".join(done.output.split())


def rewritten(run: Run, name: str, change: Callable[[list[items.ItemScore]], list[items.ItemScore]]) -> None:
    """One contender's log, its rows changed, as whoever planted it would leave it."""
    for seed in run.recipe.seeds(name):
        log = run.run.seed(name, seed).items
        items.replace(log, change(items.read(log)))


def each(update: Callable[[items.ItemScore], dict]) -> Callable[[list], list]:
    return lambda rows: [row.model_copy(update=update(row)) for row in rows]


def only(condition: Callable[[items.ItemScore], bool], update: dict) -> Callable[[list], list]:
    return each(lambda row: update if condition(row) else {})


GATES = {  # who, what becomes of its log, the gate, its status, what is said
    "missing items": (
        "newer", lambda rows: rows[3:], "same questions", "failed", "newer lacks questions of the exam (3)",
    ),
    "shuffled gold": (
        "newer", only(lambda row: row.id.endswith("7"), {"gold": "B"}),
        "same questions", "failed", "newer was graded by another gold than the exam's",
    ),
    "re-split parts": (
        "lora", only(lambda row: row.id.endswith("5"), {"part": "dev"}), "same questions", "failed", "lora lacks",
    ),
    "re-split clusters": (
        "lora", each(lambda row: {"cluster": f"{row.task}/{row.id}"}),
        "same questions", "failed", "lora has questions under other documents than the exam",
    ),
    "mixed protocols": (
        "newer", only(lambda row: row.task == "letters", {"protocol": "likelihood"}),
        "same questions", "failed", "letters is scored by likelihood for one",
    ),
    "two engines in one log": (
        "newer", only(lambda row: row.id.endswith("5"), {"engine": "openai"}),
        "engine parity", "failed", "the log of newer mixes engines",
    ),
    "another template": (
        "newer", only(lambda row: row.id.endswith("5"), {"template": "of before"}),
        "prompt content", "failed", "newer was asked letters in another template than the one recorded",
    ),
    "thoughts cut on one side": (
        "newer", only(lambda row: not row.score, graded("unclosed_thinking")),
        "truncated", "failed", "could turn on them",
    ),
    "broken extractor, nothing read": (
        "newer", only(lambda row: not row.score, graded("unparsed")), "unparsed", "failed", "could turn on them",
    ),
    "broken extractor, misread": (
        "newer", only(lambda row: row.task == "letters", graded("wrong")), "below chance", "failed", "newer on letters",
    ),
    "stale rows": (
        "newer", only(lambda row: row.id.endswith("5"), {"scorer": "of before"}),
        "same questions", "failed", "newer lacks",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "change", "gate", "status", "says"), GATES.values(), ids=GATES)
def test_a_fault_in_a_log_is_caught_by_its_gate(tmp_path, name, change, gate, status, says):
    run = finished(tmp_path)
    rewritten(run, name, change)
    found = judged(run)
    caught = next(one for one in found.gates if one.name == gate)
    assert (caught.status, caught.required, found.outcome) == (status, True, "invalid")
    assert says in caught.reason
    assert gate in found.sentence


def test_items_that_stand_twice_are_refused(tmp_path):
    run = finished(tmp_path)
    rewritten(run, "newer", lambda rows: [*rows, rows[4]])
    said = refusal(run)
    assert "newer: letters/letters-4 has sample 0 twice" in said
    assert "move its item log away" in said


def test_an_exam_whose_gold_was_shuffled_after_the_scores_is_another_exam(tmp_path):
    run = finished(tmp_path)
    card = tmp_path / "letters" / "letters.jsonl"
    rows = [json.loads(line) for line in card.read_text().splitlines()]
    golds = [row["answer"] for row in rows]
    assert len(set(golds)) == 1  # so that it must be changed, not only turned round
    card.write_text("".join(json.dumps(row | {"answer": "BACD"[at % 4]}) + "\n" for at, row in enumerate(rows)))
    assert "was scored for another state of the recipe" in refusal(run)


def test_another_tokenizer_under_the_same_name_is_another_model(tmp_path):
    run = finished(tmp_path)
    (tmp_path / "newer" / "tokenizer.json").write_text('{"another": 1}')
    assert "newer seed 0 was scored for another state of the recipe" in refusal(run)


@pytest.mark.parametrize(
    ("sit", "gate", "status", "outcome"),
    [
        ({"lora": {"adapter_digest": None, "adapter_probe": None}}, "adapter applied", "failed", "invalid"),
        ({"newer": {"engine": "openai chat, m at localhost"}}, "engine parity", "not_checked", "inconclusive"),
        ({"newer": {"first_score_at": 1.0}}, "plan", "failed", "exploratory"),
    ],
)
def test_a_fault_in_a_manifest_is_caught_by_its_gate(tmp_path, sit, gate, status, outcome):
    run = finished(tmp_path, sit=sit)
    found = judged(run)
    assert (found.outcome, next(one for one in found.gates if one.name == gate).status) == (outcome, status)


def test_a_challenger_chosen_on_the_exam_is_exploratory(tmp_path):
    """Prefix is not what was planned; naming it once the scores are known is another plan, and a later one."""
    finished(tmp_path)
    build(tmp_path, "rule.challengers=[prefix]").pledge()
    found = judged(build(tmp_path), "rule.challengers=[prefix]")
    assert (found.outcome, found.challenger) == ("exploratory", "prefix")
    assert "was scored under another plan" in next(one for one in found.gates if one.name == "plan").reason


def test_columns_of_another_log_are_not_read(tmp_path):
    run = finished(tmp_path)
    planned = judged(run)
    ours, theirs = (columns.place_of(run.run.seed(*who).items) for who in (("lora", 17), ("newer", 0)))
    assert ours.is_file()
    shutil.copy(theirs, ours)
    again = judged(run)
    assert planned.outcome == "worth_it"
    assert (again.outcome, again.delta) == (planned.outcome, planned.delta)


def test_training_rows_that_hold_exam_items_are_left_out_and_the_word_does_not_hold_without_them(tmp_path):
    """Half of the questions learned by heart, and nothing else learned."""
    found = judged(leaking(tmp_path, HALF, lora=0.45))
    caught = next(one for one in found.gates if one.name == "clean subset")
    assert (found.outcome, caught.status, caught.required) == ("invalid", "failed", True)
    assert found.contamination.all.call == "worth_it"
