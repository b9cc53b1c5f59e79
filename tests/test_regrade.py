"""Regrading: logged answers read by today's extractor, no model; what turned is told, the log before is kept."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys

import pytest
from conftest import FAMILY_OF, MARKERS, train_tokenizer
from small_exam import write_exam
from small_study import tuneworth
from written_exam import Run, build, row

from eval import items, pledge, regrade
from eval.benchmark import read_task
from eval.extract import EXTRACTOR
from eval.grading import anew, spoken
from eval.report import render
from eval.report.view import reread
from eval.score import __main__ as scoring
from eval.score.parts import Parts
from eval.score.questions import questions
from eval.verdict import judge
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import SeedDir

OLD = "2026.1.0"  # an extractor of before
RATES = {"old": 0.3, "lora": 0.9, "prefix": 0.5, "newer": 0.4, "prompted": 0.5}


def told(answer, *, unread: int = 0):
    """What stands in the text is what was graded; of the right answers so many thousandths were not read before."""
    if answer.outcome == "wrong":
        return answer.model_copy(update={"text": "B", "extracted": "B"})
    lost = random.Random(answer.id).random() * 1000 < unread
    said = {"outcome": "unparsed", "score": 0.0, "extracted": None, "rule": "none"} if lost else {"text": "答案是A"}
    return answer.model_copy(update=said | {"text": "答案是A" if answer.task == "letters" else "A"})


def study(folder, monkeypatch, *changes: str, unread: dict[str, int] | None = None, golds: str = "A") -> Run:
    """Four contenders tuned and scored under a plan with the extractor of before; `golds` take turns."""
    build(folder, *changes)
    for path in (folder / task / f"{task}.jsonl" for task in ("letters", "numbers")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        told_apart = [row | {"answer": golds[place % len(golds)]} for place, row in enumerate(rows)]
        path.write_text("".join(json.dumps(row) + "\n" for row in told_apart))
    card = folder / "letters" / "letters.md"
    card.write_text(card.read_text().replace("published: false", "published: false\nprivate: true"))
    for name, arch in (("old", "qwen2"), ("newer", "qwen3")):
        train_tokenizer(MARKERS[FAMILY_OF[arch]]).save(str(folder / name / "tokenizer.json"))
    run = Run(folder, Recipe.read(folder / "study.yaml", changes))
    with monkeypatch.context() as before:
        before.setattr(pledge, "EXTRACTOR", OLD)
        run.pledge()
    for name, rate in RATES.items():
        lost = (unread or {}).get(name, 0)
        if run.recipe.contenders[name].method:
            run.tune(name)
        run.sit(name, rate, extractor=OLD, change=lambda answer, lost=lost: told(answer, unread=lost))
    return run


def log(run: Run, name: str):
    return items.read(run.run.seed(name, run.recipe.seeds(name)[0]).items)


def unparsed(run: Run, *names: str):
    """Answers that were not read before: of the LoRA, or of these."""
    return [row for name in names or ("lora",) for row in log(run, name) if row.outcome == "unparsed"]


def test_a_newer_extractor_leaves_a_finished_study_alone_until_it_is_regraded(tmp_path, monkeypatch):
    run = study(tmp_path, monkeypatch, golds="ABCD")  # none is passed blind, which scoring refuses
    found = judge(run.recipe, run.run)
    assert (found.outcome, found.provenance.extractor) == ("worth_it", OLD)
    assert pledge.keep(run.recipe, run.run).extractor == OLD  # a second start does not promise anew
    assert scoring.score(run.recipe, "newer", None, tmp_path / "runs") == 0


def test_regrading_says_what_turned_and_keeps_the_log_before(tmp_path, monkeypatch):
    run = study(tmp_path, monkeypatch, unread={"lora": 30})
    place = run.run.seed("lora", 17)
    bytes_before, unread = place.items.read_bytes(), unparsed(run)
    done = tuneworth("regrade", tmp_path / "study.yaml", "--out", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    turned = [row.id for row in unread if row.task == "letters"]
    assert f"regrade lora seed 17, letters: {len(turned)} of 240 outcomes changed" in done.stdout
    assert "regrade newer seed 0, letters: 0 of 240 outcomes changed" in done.stdout
    assert "the verdict stands: worth_it" in done.stdout
    assert f"\n  {turned[0]}\n" in done.stdout  # the card is private: the id alone
    (number, *_) = [row.id for row in unread if row.task == "numbers"]
    assert f"\n  {number}: unparsed -> correct ('A'), gold 'A'\n" in done.stdout
    after = log(run, "lora")
    assert {row.outcome for row in after} == {"correct", "wrong"}
    assert {row.extractor for row in after} == {EXTRACTOR}
    assert place.items.stat().st_mode & 0o777 == 0o600
    (kept,) = place.folder.glob(".old-*")
    assert (kept / "items.jsonl").read_bytes() == bytes_before
    assert place.scored().scoring.extractor == EXTRACTOR


def test_verdict_and_page_tell_that_answers_were_regraded(tmp_path, monkeypatch):
    run = study(tmp_path, monkeypatch, unread={"lora": 30})
    turned = len(unparsed(run))
    regrade.regrade(run.recipe, run.run)
    found = judge(run.recipe, run.run)
    assert (found.outcome, found.provenance.extractor) == ("worth_it", EXTRACTOR)
    (gate,) = [gate for gate in found.gates if gate.name == "plan"]
    assert f"where the plan promised {OLD}; the outcome is the same" in gate.reason
    events = [line["event"] for line in run.run.attempted()]
    assert [event for event in events if event != "reread"] == ["plan", "regrade", "regraded"]
    assert found.provenance.attempts == {"plan": 1, "regraded": 1}
    (once,) = found.provenance.rereadings
    assert (once.extractor, once.outcomes, once.before, once.after) == (EXTRACTOR, turned, "worth_it", "worth_it")
    page = render(found)
    for words in (
        "regradings",
        f"regrading with {EXTRACTOR} changed {turned} outcomes of answers; the verdict is the same: Worth it",
        f"用 {EXTRACTOR} 重新读取，{turned} 个答案的结果有变；结论不变：值得",
    ):
        assert words in page
    again = regrade.regrade(run.recipe, run.run)
    assert (sum(each.outcomes for each in again.moved), again.said) == (0, "the verdict stands: worth_it")
    assert len(list(run.run.seed("lora", 17).folder.glob(".old-*"))) == 1


def test_a_verdict_that_moves_is_said_and_is_exploratory(tmp_path, monkeypatch):
    run = study(tmp_path, monkeypatch, unread={"newer": 900})
    promised = judge(run.recipe, run.run).outcome
    found = regrade.regrade(run.recipe, run.run)
    assert found.before == promised != found.after == "worth_it"
    assert found.said == f"the verdict moved from {promised} to worth_it"
    moved = judge(run.recipe, run.run)
    assert moved.outcome == "exploratory"
    assert "the verdict turned from" in render(moved)
    assert f"extractor {EXTRACTOR}, planned was {OLD}" in moved.provenance.deviations[-1].text


def test_contenders_read_by_unlike_extractors_are_not_compared(tmp_path, monkeypatch):
    run = study(tmp_path, monkeypatch)
    part = regrade.regrade(run.recipe, run.run, "lora")
    assert part.after.startswith("no verdict (answers were read by different extractors")
    with pytest.raises(BadInput, match="run: tuneworth regrade RECIPE"):
        judge(run.recipe, run.run)
    rest = regrade.regrade(run.recipe, run.run)  # goes on from the outcome before the first
    assert (rest.before, rest.after) == ("worth_it", "worth_it")
    found = judge(run.recipe, run.run)
    assert found.outcome == "worth_it"
    assert "the verdict turned from Worth it to no verdict</span>" in render(found)
    assert "结论由“值得”变为“无结论”</span>" in render(found)


def test_no_path_of_this_machine_is_kept_where_there_was_no_verdict(tmp_path, monkeypatch):
    """Also of a line that an earlier version wrote."""
    run = study(tmp_path, monkeypatch)
    why = f"{regrade.NONE} ({tmp_path}/gone: no such file)"
    with monkeypatch.context() as failing:
        failing.setattr(regrade, "outcome", lambda *_: why)
        assert regrade.regrade(run.recipe, run.run).said == f"the verdict stands: {why}"
    assert str(tmp_path) not in run.run.attempts.read_text("utf-8").split('"event": "regrade"')[1]
    run.run.attempt("regraded", extractor=EXTRACTOR, outcomes=0, before=why, after=why)
    found = judge(run.recipe, run.run)
    assert {(each.before, each.after) for each in found.provenance.rereadings} == {("no verdict", "no verdict")}
    assert str(tmp_path) not in found.model_dump_json()
    told = found.provenance.rereadings[0].model_copy(update={"after": why})  # of a verdict.json of before
    assert reread(told).zh.endswith("结论不变：无结论")


def test_a_thought_a_cut_and_a_head_are_graded_as_when_scored(tmp_path, monkeypatch):
    run = study(tmp_path, monkeypatch)
    rows = log(run, "newer")
    said = {
        "text": "<think>\nB?\n</think>\n\n答案是A\n\n答案是B", "outcome": "wrong", "score": 0.0, "extracted": "B",
    }  # fmt: skip
    odd = [
        rows[0].model_copy(update=said),
        rows[1].model_copy(update=said | {"text": "<think>\n答案是A"}),
        rows[2].model_copy(update=said | {"text": "答案是A", "finish": "length"}),
        rows[3].model_copy(update=said | {"text": "A", "rule": "head"}),
        rows[4].model_copy(update=said | {"protocol": "likelihood", "text": "w", "rule": "acc"}),
    ]
    items.replace(run.run.seed("newer", 0).items, [*odd, *rows[5:]])
    regrade.regrade(run.recipe, run.run)
    found = log(run, "newer")[:5]
    assert [row.outcome for row in found] == ["correct", "unclosed_thinking", "truncated", "correct", "wrong"]
    assert [found[0].extracted, found[3].rule] == ["A", "head"]
    assert found[4] == odd[4]


def test_what_a_kill_left_half_done_is_done_by_a_second_start(tmp_path, monkeypatch):
    """And counted: what the first start turned, and what was noted but not yet written, once."""
    run = study(tmp_path, monkeypatch, unread={"lora": 30, "newer": 50})
    lost = len(unparsed(run, "lora", "newer"))
    real = items.replace

    def dies(path, rows, **how):
        if "newer" in str(path):
            raise KeyboardInterrupt
        real(path, rows, **how)

    with monkeypatch.context() as killing:
        killing.setattr(items, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            regrade.regrade(run.recipe, run.run)
    found = regrade.regrade(run.recipe, run.run)
    assert (found.before, found.after) == ("worth_it", "worth_it")
    (told,) = judge(run.recipe, run.run).provenance.rereadings
    assert told.outcomes == lost > sum(each.outcomes for each in found.moved) > 0
    assert {row.extractor for name in RATES for row in log(run, name)} == {EXTRACTOR}


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda run: shutil.rmtree(run.run.seed("newer", 0).folder), "newer seed 0 is not scored"),
        (lambda run: run.run.seed("newer", 0).items.write_text("oops\n"), "not an item score"),
        (lambda run: run.run.seed("newer", 0).score_manifest.write_text("oops\n"), "no manifest that this version"),
    ],
)
def test_what_cannot_be_regraded_is_refused_in_one_line(tmp_path, monkeypatch, harm, words):
    run = study(tmp_path, monkeypatch)
    harm(run)
    with pytest.raises(BadInput, match=words) as said:
        regrade.regrade(run.recipe, run.run)
    assert "\n" not in str(said.value)


def test_no_engine_is_loaded(tmp_path, monkeypatch):
    run = study(tmp_path, monkeypatch)
    code = (
        "import sys\nfrom pathlib import Path\nfrom eval.regrade import regrade\nfrom finetune.recipe import Recipe\n"
        "from finetune.run import RunDir\n"
        f"recipe = Recipe.read(Path({str(tmp_path / 'study.yaml')!r}))\n"
        f"print(regrade(recipe, RunDir(Path({str(run.run.folder)!r}))).said)\n"
        "assert not {'torch', 'transformers', 'lm_eval'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "the verdict stands: worth_it\n"), done.stderr


@pytest.mark.parametrize(
    ("line", "until"),
    [
        ("generation_kwargs: {until: ['。', \"\\n\"]}", ("。", "\n")), ("generation_kwargs: {until: '。'}", ("。",)),
        ("fewshot_delimiter: '##'", ("##",)), ("", ("\n\n",)),
    ],
)  # fmt: skip
def test_answers_end_where_lm_eval_ends_them(tmp_path, monkeypatch, line, until):
    exam = write_exam(tmp_path / "exam", count=6)
    path = exam / "own_gen.yaml"
    path.write_text(re.sub("generation_kwargs: .*", lambda _: line, path.read_text("utf-8")), "utf-8")
    monkeypatch.setenv("TUNEWORTH_CARDS", str(exam))
    task = read_task(exam, "own_gen")
    assert task.until == until
    assert {question.until for question in questions(task)} == {until}


def written(text: str, **changes):
    """A row of the small exam's written task, as an extractor of before left it."""
    facts = {"text": text, "outcome": "unparsed", "score": 0.0, "extracted": None, "rule": "none", "extractor": OLD}
    return row("own_gen", 0, id="q0", gold="A", **(facts | changes))


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A written task and its first question, whose answer is A."""
    monkeypatch.setenv("TUNEWORTH_CARDS", str(write_exam(tmp_path / "exam", count=6)))
    task = read_task(tmp_path / "exam", "own_gen")
    return task, task.rows[0]


def test_what_a_server_wrote_is_taken_apart_without_a_tokenizer(asked):
    apart = spoken(None)
    said = {"答案是A": "correct", "B?\n</think>\n\n答案是A": "correct", "<think>\n答案是A": "unclosed_thinking"}
    assert [anew(written(text), *asked, apart).outcome for text in said] == list(said.values())
    held_back = anew(written("", finish="filter", engine="openai"), *asked, apart)
    assert (held_back.outcome, held_back.score) == ("refused", 0.0)


def test_rows_of_before_an_update_are_read_anew_when_a_killed_scoring_ends(tmp_path, asked):
    parts = Parts(SeedDir(tmp_path / "seed-0"), "s")
    old, young = written("答案是A"), written("答案是B", sample=1, extractor=EXTRACTOR)
    items.append(parts.of(0), [old])
    items.append(parts.of(1), [young])
    merged = parts.merge([old.key, young.key], lambda answer: anew(answer, *asked, spoken(None)))
    assert [answer.outcome for answer in merged] == ["correct", "unparsed"]  # the younger one stands as it was read
    assert items.read(parts.place.items) == merged
