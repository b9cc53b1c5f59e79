"""A study whose effects are known: every command runs on it, every section is filled, and the effects are found again.

The faults of test_planted are caught on a study of its own; here are those that need a probe, a judge of free answers,
secrets, twins or thoughts.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from judged_run import gate
from reader import CJK, Reader

from eval import items, opinion
from eval.leaderboard import Board
from eval.paired import Layout
from eval.repeatability import Repeatability
from eval.task import CANARIES
from eval.verdict import Verdict, judge
from finetune.run import RunDir
from tests import planted_study
from tests.planted_answers import BLANK, BLANKS, DECLINES, GIVEN_BACK, KNOWN, RATES, means, truth
from tests.planted_exam import TASKS
from tests.planted_study import through, tuneworth

COUNT, SAMPLES = 520, 2
SECTIONS = (
    "interval", "parts", "atlas", "slices", "curve", "sight", "board", "opinions", "flips", "health", "guards", "twins",
    "grounding", "canaries", "money", "sensitivity", "provenance",
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Written, judged and reported."""
    return through(planted_study.write(tmp_path_factory.mktemp("planted"), COUNT, SAMPLES), "judge", "report")


@pytest.fixture(scope="module")
def verdict(study):
    return Verdict.read(study.run.verdict)


@pytest.fixture(scope="module")
def board(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("board")
    done = tuneworth("leaderboard", study.run.folder, "--out", out)
    assert done.exit_code == 0, done.output
    return out


def inside(read: Reader, section: str) -> list[tuple[str, dict[str, str | None], str]]:
    """Elements of a section, in order: tag, attributes, the text directly in it."""
    root = next(at for at, (tag, attrs, _, _) in enumerate(read.elements) if attrs.get("id") == section)
    within = {root}
    for at, (_, _, _, parent) in enumerate(read.elements):
        within |= {at} if parent in within else set()
    return [(tag, attrs, "".join(text)) for tag, attrs, text, _ in (read.elements[at] for at in sorted(within))]


def refuse_empty(read: Reader, section: str) -> None:
    found = inside(read, section)
    tags = [tag for tag, _, _ in found]
    said = {lang: " ".join(text for _, attrs, text in found if attrs.get("lang") == lang) for lang in ("en", "zh-CN")}
    assert len(said["en"].split()) > 15, section
    assert len(CJK.findall(said["zh-CN"])) > 15, section
    assert {"table", "svg", "dl", "ul"} & set(tags), f"{section} holds words alone"
    assert tags.count("td") >= tags.count("table"), section
    assert tags.count("tbody") == tags.count("table"), section
    assert tags.count("path") >= tags.count("svg"), section
    numbers = [text for tag, attrs, text in found if tag == "td" and "num" in (attrs.get("class") or "")]
    assert not numbers or any(any(map(str.isdigit, text)) for _, _, text in found), section


def test_every_section_of_the_page_is_there_and_filled(study, verdict):
    read = Reader(study.run.report.read_text("utf-8"))
    assert read.faults == []
    linked = [attrs["href"][1:] for tag, attrs, _, _ in read.elements if tag == "a" and attrs.get("href")]
    assert set(SECTIONS) <= set(linked)
    for section in SECTIONS:
        refuse_empty(read, section)
    for said in (verdict.question, verdict.question_zh, verdict.sentence, verdict.sentence_zh, verdict.note_zh):
        assert said in read.text()


def test_no_part_of_the_verdict_is_left_empty(verdict):
    empty = {name for name, value in verdict if value in (None, (), "")}
    assert empty <= {"plumbing", "settle", "notes", "deciding"}  # of other outcomes
    assert not [gate.name for gate in verdict.gates if gate.required and gate.status != "passed"]


def test_the_verdict_is_reached_again(study):
    done = tuneworth("verify", study.run.folder)
    assert (done.exit_code, done.stdout.split()[1]) == (0, "equal:"), done.output


def test_rates_that_were_planted_are_measured(study, verdict):
    """Within 4 standard errors of each; 7 contenders x 5 tasks, and the answers that came to nothing."""
    for row in verdict.contenders:
        for task in row.tasks:
            spread, rate = (task.high - task.low) / 4, RATES[row.name][TASKS.index(task.task)]
            assert task.score == pytest.approx(rate, abs=4 * spread), (row.name, task.task)
        for outcome, share in zip(BLANK, BLANKS[row.name], strict=True):
            expected = 0.8 * share  # of the five tasks, four are written
            assert row.outcomes[outcome] == pytest.approx(expected, abs=0.006 + 0.3 * expected), (row.name, outcome)


def test_contrasts_that_were_planted_lie_in_their_intervals(verdict):
    for each in verdict.comparisons:
        half = (each.high - each.low) / 2
        assert each.gain == pytest.approx(truth(each.challenger, each.incumbent), abs=1.5 * half)
    assert verdict.delta.gain == pytest.approx(verdict.tau.gain - verdict.gamma.gain)


def test_what_tuning_harmed_lies_in_the_intervals_of_the_guards(verdict):
    planted = {
        "forgetting": truth("lora", "old", {"general_en": 1}),
        "language": truth("lora", "old", {"ratios_en": 1}),
    }
    rows = {row.kind: row for row in verdict.guards if row.challenger == "lora" and row.whole}
    for kind, change in planted.items():
        assert rows[kind].low < change < rows[kind].high
        assert rows[kind].status == ("unresolved" if rows[kind].low < -rows[kind].margin else "passed")


def test_what_was_planted_beside_the_score_is_found(verdict):
    secrets = {row.contender: round(row.given.value * row.n) for row in verdict.canaries}
    assert secrets == {name: GIVEN_BACK.get(name, 0) for name in RATES}
    for row in verdict.grounding.refusals:
        assert row.refused.value == pytest.approx(DECLINES.get(row.contender, 0.5), abs=0.08)
        assert row.known.value == pytest.approx(KNOWN, abs=0.03)
    opinions = {each.challenger: each for each in verdict.opinions}
    notes = TASKS.index("notes_en")
    for name, each in opinions.items():
        gap = RATES[name][notes] - RATES["newer"][notes]
        assert each.corrected.low - 0.1 < 0.9 * gap < each.corrected.high + 0.1
        assert each.agreement > 0.75


def test_the_board_stands_in_tiers_with_what_answers_took(board):
    found = Board.model_validate_json((board / "leaderboard.json").read_text("utf-8"))
    assert {card.contender for card in found.contenders} == set(RATES)
    assert {each.key for each in found.slices if each.kind == "task"} == set(TASKS)
    assert found.slices[0].standings[-1].contender == "old"
    assert max(row.tier for row in found.slices[0].standings) >= 2
    for card in found.contenders:
        assert min(card.cost, card.tokens_in, card.tokens_out, card.seconds, card.memory, card.size) > 0
        assert 0.5 < card.thinking < 1
    read = Reader((board / "leaderboard.html").read_text("utf-8"))
    assert read.faults == []
    for section in ("board", "cost", "pairs"):
        refuse_empty(read, section)


def test_headline_intervals_hold_the_truth_as_often_as_said(study):
    """200 studies of 150 questions: 95 % +- 3 standard errors of that count; none too high more often than its half."""
    parts = [replace(task, rows=task.rows[:30]) for task in study.benchmark.tasks]
    rows = [(part.name, part.cluster(row)) for part in parts for row in part.rows]
    layout = Layout.of([cluster for _, cluster in rows], [task for task, _ in rows])
    true, runs = truth("lora", "newer"), 200
    who = [[planted_study.contender(study, name, seed) for name in ("lora", "newer")] for seed in range(runs)]
    drawn = [means(parts, ours, SAMPLES) - means(parts, theirs, SAMPLES) for ours, theirs in who]
    found = [layout.estimate(each) for each in drawn]
    held = np.mean([each.low <= true <= each.high for each in found])
    assert held == pytest.approx(0.95, abs=3 * (0.95 * 0.05 / runs) ** 0.5)
    assert np.mean([each.low > true for each in found]) < 0.025 + 3 * (0.025 / runs) ** 0.5


def test_what_is_said_is_graded_as_it_was_drawn(study):
    """So that the planted chances are those of the log: the words of each kind are read for what they are."""
    who = planted_study.contender(study, "old", 17)
    for task in study.benchmark.asked:
        kinds = who.kinds(task, SAMPLES if task.protocol == "generated" else 1).ravel().tolist()
        for row, kind in zip(who.rows(task), kinds, strict=True):
            if kind == "declined":
                assert row.outcome == ("wrong" if task.name == CANARIES else "refused")
            else:
                assert row.outcome == kind.rstrip("2"), (task.name, row.text)


@pytest.fixture
def planted(study, tmp_path):
    """A copy in which a fault can be planted: (recipe, run)."""
    place = tmp_path / "study"
    shutil.copytree(study.run.folder, place)
    return study.recipe, RunDir(place)


def rewritten(path: Path, kind, change) -> None:
    """A manifest with some of its fields changed."""
    found = kind.model_validate_json(path.read_text("utf-8"))
    path.write_text(change(found).model_dump_json(), "utf-8")


def test_thoughts_cut_on_one_side_only(planted):
    """The newer base at a token limit that the older one did not have: its longest thoughts never close."""
    recipe, run = planted
    log = run.seed("newer", 0).items
    cut = {"text": "<think>\nWeighing", "finish": "length", "extracted": None, "rule": "", "score": 0.0}
    cut |= {"outcome": "unclosed_thinking"}
    rows = items.read(log)
    items.replace(log, [row.model_copy(update=cut) if (row.tokens_out or 0) > 500 else row for row in rows])
    found = judge(recipe, run)
    assert (found.outcome, gate(found, "truncated").status) == ("invalid", "failed")


def test_answers_that_change_with_the_batch(planted):
    recipe, run = planted

    def unsteady(found: Repeatability) -> Repeatability:
        changes = found.batching.changes.model_copy(update={"answers": 0.2})
        return found.model_copy(update={"batching": found.batching.model_copy(update={"changes": changes})})

    rewritten(run.repeatability("newer"), Repeatability, unsteady)
    found = judge(recipe, run)
    assert (found.outcome, gate(found, "batch invariance").status) == ("invalid", "failed")


def test_a_probe_of_other_scores_is_not_taken(planted):
    recipe, run = planted
    rewritten(run.repeatability("lora"), Repeatability, lambda one: one.model_copy(update={"fingerprint": "of before"}))
    assert gate(judge(recipe, run), "noise floor").status != "passed"


def test_opinions_of_other_answers_are_left_out_and_two_judges_are_told(planted):
    recipe, run = planted
    log, two = run.opinions("lora"), run.opinions("prefix")
    stale = [row.model_copy(update={"scorers": ("of before", row.scorers[1])}) for row in opinion.read(log)]
    mixed = [
        row.model_copy(update={"models": ("another",)}) if at % 2 else row for at, row in enumerate(opinion.read(two))
    ]
    for path, rows in ((log, stale), (two, mixed)):
        path.unlink()
        items.append(path, rows)
    found = judge(recipe, run)
    assert [each.challenger for each in found.opinions] == ["prefix"]
    assert gate(found, "judge").status == "failed"


def test_secrets_that_a_control_knows_prove_nothing(planted):
    recipe, run = planted
    assert gate(judge(recipe, run), "planted secrets").status == "failed"  # lora says some, as planted
    log = run.seed("newer", 0).items
    rows = [
        row.model_copy(update={"outcome": "correct", "score": 1.0})
        if row.task == CANARIES and row.id[-1] == "3"
        else row
        for row in items.read(log)
    ]
    items.replace(log, rows)
    assert gate(judge(recipe, run), "planted secrets").status == "unresolved"
