"""Slices by subject: exploratory, adjusted by Benjamini & Hochberg; through the judge, and on the page."""

from __future__ import annotations

import json

import numpy as np
import pytest
from judged_run import CLEAR, finished
from reader import Reader, refuse_lone_words
from written_exam import Run, build, graded

from eval.paired import estimate
from eval.report import render
from eval.significance import benjamini_hochberg
from eval.verdict import judge
from eval.verdict.evidence import Evidence
from eval.verify import verify
from finetune.recipe import Recipe

SUBJECTS = ("rates", "bonds", "funds", "tax")
COUNT = 3  # questions of a document


def subject(number: int) -> str:
    return SUBJECTS[number // COUNT % len(SUBJECTS)]


@pytest.fixture
def taught(tmp_path) -> Run:
    """Letters have four subjects, of which lora knows one by heart; the numbers have none."""
    build(tmp_path)
    card, rows = tmp_path / "letters/letters.md", tmp_path / "letters/letters.jsonl"
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    rows.write_text("".join(json.dumps(r | {"of": subject(int(r["id"].split("-")[1]))}) + "\n" for r in lines))
    card.write_text(card.read_text().replace("columns:\n", "columns:\n  subject: of\n", 1))
    run = Run(tmp_path, Recipe.read(tmp_path / "study.yaml"))
    run.pledge()
    for name in ("lora", "prefix"):
        run.tune(name)

    def change(answer):
        known = answer.task == "letters" and subject(int(answer.id.split("-")[1])) == "tax"
        return answer.model_copy(update=graded("correct")) if known else answer

    for name, rate in (CLEAR | {"lora": CLEAR["newer"]}).items():
        run.sit(name, rate, change=change if name == "lora" else None)
    return run


def test_a_subject_that_stands_out_is_told_and_decides_nothing(taught):
    found, evidence = judge(taught.recipe, taught.run), Evidence.read(taught.recipe, taught.run)
    assert [(row.card, row.subject) for row in found.slices if row.stands_out] == [("letters", "tax")]
    assert {row.subject for row in found.slices} == set(SUBJECTS)
    lora, newer = evidence.sheets["lora"], evidence.sheets["newer"]
    rows, d = list(lora.questions.values()), (lora.scores - newer.scores)[0]
    p = []
    for row in found.slices:
        mine = [q.task == "letters" and subject(int(q.id.split("-")[1])) == row.subject for q in rows]
        known = estimate(d[np.array(mine)], [q.cluster for q, own in zip(rows, mine, strict=True) if own])
        assert (row.n, row.clusters, row.gain) == (60, 20, pytest.approx(known.gain))
        assert (row.low, row.high) == pytest.approx((known.low, known.high), abs=0.02)  # another number of draws
        p.append(2 * min(known.p, 1 - known.p))
    assert [row.bh_p for row in found.slices] == pytest.approx(benjamini_hochberg(p), abs=0.05)
    page = render(found)
    assert 'data-slice="tax"' in page
    assert "exploratory" in page
    assert "探索性" in page
    refuse_lone_words(page)
    assert Reader(page).faults == []
    taught.run.verdict.write_text(found.model_dump_json(), "utf-8")
    assert verify(taught.run).differs == ()


def test_where_no_card_names_subjects_there_are_none(tmp_path):
    run = finished(tmp_path)
    found = judge(run.recipe, run.run)
    assert found.slices == ()
    assert 'id="slices"' not in render(found)


def test_subjects_of_a_private_card_are_numbered_wherever_a_verdict_goes(taught):
    card = taught.folder / "letters/letters.md"
    card.write_text(card.read_text("utf-8").replace("---\n", "---\nprivate: true\n", 1), "utf-8")
    recipe = Recipe.read(taught.folder / "study.yaml")
    found = judge(recipe, taught.run)
    assert {row.subject for row in found.slices} == {"#1", "#2", "#3", "#4"}
    assert [row.subject for row in found.slices if row.stands_out] == ["#4"]  # tax, the fourth that rows name
    page = render(found)
    assert 'data-slice="#4"' in page
    for name in SUBJECTS:
        assert f'"{name}"' not in found.model_dump_json()
        assert f'data-slice="{name}"' not in page
