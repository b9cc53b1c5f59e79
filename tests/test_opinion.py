"""The judge of free answers: asked over a real wire, blind, in both orders, again after faults; labels of people."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import small_server as does
import torch
from conftest import build_checkpoint
from small_exam import teach, write_exam
from small_opinion import with_judge, write_rivals
from small_study import tuneworth, verdict
from test_served import place, url  # noqa: F401 (fixtures)

from eval import opinion, pledge
from eval.benchmark import Benchmark
from eval.opinion import shown_as
from eval.opinion.asking import give
from eval.report import render
from eval.score import __main__ as score
from eval.verdict import judge
from finetune.mistakes import BadInput
from finetune.run import RunDir

torch.set_num_threads(1)
COUNT = 110


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """`old`, `brought` (an adapter on it) and `newer`, scored on 110 written answers; read only but for opinions."""
    folder = tmp_path_factory.mktemp("opinion")
    exam = write_exam(folder / "exam", count=COUNT)
    lesson = write_exam(folder / "lesson", count=24)  # enough to answer with a letter and stop, mostly
    old = teach(build_checkpoint(folder / "old", "qwen2"), lesson, "r1_distill_qwen", steps=25)
    newer = teach(build_checkpoint(folder / "newer", "qwen3"), lesson, "qwen3", steps=15)
    path = write_rivals(folder, exam, old, newer)
    for name in ("old", "brought", "newer"):
        assert score.main([str(path), "--contender", name, "--out", str(folder / "runs")]) == 0
    return folder


@pytest.fixture
def ask(scored, server):
    """ask(labels=..., revision=..., engine keys) -> the recipe with a judge; the log of an earlier test is gone."""
    for name in ("opinions.jsonl", "to_label.jsonl"):
        (scored / "runs/r/brought" / name).unlink(missing_ok=True)
    (scored / "runs/r/recipe.json").unlink(missing_ok=True)
    return partial(with_judge, scored / "r.yaml", server.url)


def says(choose):
    """A judge that names what `choose` makes of (answer A, answer B)."""

    def say(body, reply):
        text = body["messages"][0]["content"]
        seen = json.loads(text[text.index("{") : text.rindex("}") + 1])
        content = f"Both were weighed.\nWinner: {choose(seen['answer A'], seen['answer B'])}"
        message = {"role": "assistant", "content": content}
        return reply | {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}

    return say


def larger(a: str, b: str) -> str:
    return "A" if a > b else "B"


def given(scored, recipe) -> list[opinion.Opinion]:
    run = RunDir(scored / "runs/r")
    give(recipe, run, lambda said: None)
    return opinion.read(run.opinions("brought"))


def judged(scored, recipe):
    run = RunDir(scored / "runs/r")
    pledge.keep(recipe, run, Benchmark.read(recipe))
    found = judge(recipe, run)
    return found, next(gate for gate in found.gates if gate.name == "judge")


def test_every_pair_is_judged_in_both_orders_and_blind(scored, server, ask):
    server.say = says(larger)
    rows = given(scored, ask())
    assert len(rows) == COUNT == len({row.id for row in rows})
    asked = [row for row in rows if row.texts != ("", "")]
    assert len(server.seen) == 2 * len(asked) > 40
    assert all(row.agreed for row in rows)
    assert {row.side for row in asked} == {"challenger", "rival"}
    for body in server.seen:
        assert body["temperature"] == 0
        told = json.dumps(body, ensure_ascii=False)
        assert not any(name in told for name in ("brought", "newer", "rival", "challenger", "incumbent"))
    orders = [body["messages"][0]["content"] for body in server.seen]
    assert len(set(orders)) == len(orders)
    assert {"比较对同一问题" in text for text in orders} == {True, False}  # each in its question's language


def test_a_judge_of_places_sees_only_ties(scored, server, ask):
    server.say = says(lambda a, b: "A")
    rows = given(scored, ask())
    assert {row.side for row in rows} == {"tie"}
    found, gate = judged(scored, ask())
    (told,) = found.opinions
    assert (told.wins, told.losses, told.ties, told.turned, told.first) == (0, 0, COUNT, 1, 1)
    assert (told.corrected, told.agreement, told.labels) == (None, None, 0)
    assert (gate.status, gate.required) == ("not_checked", False)
    made = render(found)
    assert 'data-opinion="brought-own_gen"' in made
    assert "标注不足" in made
    assert "too few labels" in made


def test_what_cannot_be_read_is_a_tie_and_counted(scored, server, ask):
    rows = given(scored, ask())  # the small server's own words: A, B or C without a winner
    assert {row.said for row in rows} == {(None, None)}
    found, _ = judged(scored, ask())
    assert (found.opinions[0].unread, found.opinions[0].ties) == (1, COUNT)


def test_labels_of_people_correct_the_judge_and_nothing_decides(scored, server, ask, tmp_path):
    """People say the opposite of what the judge says: its mean turns."""
    server.say = says(larger)
    rows = given(scored, ask())
    sheet = [json.loads(line) for line in (scored / "runs/r/brought/to_label.jsonl").read_text("utf-8").splitlines()]
    assert [row["id"] for row in sheet] != [f"own_gen/q{number}" for number in range(COUNT)]
    for row in sheet[:104]:
        row["label"] = (
            "tie" if row["answer A"] == row["answer B"] else "B" if row["answer A"] > row["answer B"] else "A"
        )
    labels = tmp_path / "labelled.jsonl"
    labels.write_text("".join(json.dumps(row) + "\n" for row in sheet), "utf-8")
    f = {row.pair: opinion.WORTH[row.side] for row in rows}
    unlike = [row for row in sheet if row["answer A"] != row["answer B"]]
    assert {f[row["pair"]] for row in unlike} == {1, -1}
    assert all((row["answer A"] > row["answer B"]) == ((f[row["pair"]] > 0) == shown_as(row["pair"])) for row in unlike)
    plain, _ = judged(scored, ask())
    found, gate = judged(scored, ask(str(labels)))
    (told,) = found.opinions
    assert (told.n, told.labels, gate.status) == (COUNT, 104, "passed")
    theirs = [f[row["pair"]] for row in sheet]
    assert told.agreement == pytest.approx(theirs[:104].count(0) / 104)
    assert told.judged.gain == pytest.approx((told.wins - told.losses) / COUNT)
    assert told.corrected.gain == pytest.approx(np.mean(theirs[104:]) - 2 * np.mean(theirs[:104]))
    assert told.corrected.low < told.corrected.gain < told.corrected.high
    assert (found.outcome, found.delta) == (plain.outcome, plain.delta)
    assert "data-corrected=" in render(found)
    labels.write_text("".join(json.dumps(row) + "\n" for row in sheet[:99]), "utf-8")
    found, gate = judged(scored, ask(str(labels)))
    assert (found.opinions[0].corrected, gate.status) == (None, "not_checked")
    assert "人工标注 99 条" in gate.reason_zh


@pytest.mark.parametrize("fault", [does.busy, does.broken, does.cut_off, does.torn, does.elsewhere])
def test_what_may_pass_is_asked_again(scored, server, ask, fault):
    server.say = says(larger)
    server.faults = [None, fault, None, fault]
    assert len(given(scored, ask(concurrency=2))) == COUNT


def test_a_server_that_fails_ends_it_and_a_second_start_goes_on(scored, server, ask):
    server.say = says(larger)
    server.faults = [None] * 21 + [does.broken] * 400
    with pytest.raises(BadInput, match="what was judged is kept, start again to go on"):
        given(scored, ask(retries=0, concurrency=1))
    log = scored / "runs/r/brought/opinions.jsonl"
    kept = opinion.read(log)
    assert 5 <= len(kept) < COUNT
    found, gate = judged(scored, ask())
    assert found.opinions[0].n == len(kept)
    assert f"pairs left: {COUNT - len(kept)}" in gate.reason
    with log.open("a") as torn:
        torn.write('{"judge": "x", "sco')
    server.faults.clear()
    before = len(server.seen)
    rows = given(scored, ask())
    assert rows[: len(kept)] == kept
    assert len(rows) == COUNT == len({row.id for row in rows})
    assert len(server.seen) - before == 2 * sum(row.texts != ("", "") for row in rows[len(kept) :])
    again = len(server.seen)
    given(scored, ask())
    assert len(server.seen) == again
    given(scored, ask(revision="r2"))
    assert len(server.seen) == again + 2 * sum(row.texts != ("", "") for row in rows)
    assert judged(scored, ask())[0].opinions[0].n == COUNT  # of this revision alone


def test_a_server_that_changes_its_model_is_no_fixed_revision(scored, server, ask):
    names = iter(range(10_000))
    choose = says(larger)
    server.say = lambda body, reply: choose(body, reply | {"model": f"m{next(names) // 30}"})
    given(scored, ask())
    found, gate = judged(scored, ask())
    assert (gate.status, gate.required) == ("failed", False)
    assert "m0 fp_1, m1 fp_1" in gate.reason
    assert gate.name not in {each.name for each in found.gates if each.required}, "an opinion decides nothing"


def test_a_sheet_in_which_people_wrote_is_never_written_over(scored, server, ask):
    """Not on a second start, not where the pairs are others by now, not where it is the recipe's own `labels`."""
    server.say = says(larger)
    sheet = scored / "runs/r/brought/to_label.jsonl"
    given(scored, ask())
    fresh = sheet.read_text("utf-8")
    rows = [json.loads(line) for line in fresh.split("\n")[:-1]]
    rows[3]["label"], rows[0]["pair"] = "A", "of an earlier scoring"
    labelled = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    for held in (
        labelled,
        fresh + "half a li",
        fresh.replace('"label": ""', '"label": "", "why": "x"', 1),
        "[" * 100_000,
    ):
        sheet.write_text(held, "utf-8")
        said = []
        give(ask(str(sheet)), RunDir(scored / "runs/r"), said.append)
        assert sheet.read_text("utf-8") == held
        assert [line for line in said if "has been written in and is kept" in line and str(sheet) in line]
    sheet.write_text(fresh.replace("q1", "q2", 1), "utf-8")
    said = []
    give(ask(), RunDir(scored / "runs/r"), said.append)
    assert sheet.read_text("utf-8") == fresh
    assert not [line for line in said if "is kept" in line]


def test_labels_of_no_pair_are_told(scored, server, ask, tmp_path):
    server.say = says(larger)
    rows = given(scored, ask())
    labels = tmp_path / "l.jsonl"
    named = [rows[0].pair, rows[1].pair, "x", "y", "z"]
    labels.write_text("".join(json.dumps({"id": "i", "pair": each, "label": "A"}) + "\n" for each in named), "utf-8")
    found, gate = judged(scored, ask(str(labels)))
    assert (found.opinions[0].labels, found.opinions[0].strays) == (2, 3)
    assert "3 labels are of no pair judged here" in gate.reason
    assert "3 条标注不属于" in gate.reason_zh
    assert "3 条标注不属于" in render(found)
    assert "of no pair" not in judged(scored, ask())[1].reason


def test_answers_go_to_no_host_that_the_card_does_not_name(scored, ask):
    recipe = ask(url="https://judge.example.com/v1", allow_remote=True)
    with pytest.raises(BadInput, match="in `hosts` of card own, if it may see the questions"):
        given(scored, recipe)


def test_the_front_door_asks_and_refuses(scored, server, ask, tmp_path):
    server.say = says(larger)
    told = {"tasks": ["own_gen"], "engine": {"kind": "openai", "url": server.url, "model": "judge"}}
    change = f"exam.judge={json.dumps(told | {'revision': 'r1', 'family': 'stranger'})}"
    line = ["opinions", scored / "r.yaml", "--out", scored / "runs"]
    done = tuneworth(*line, "--set", change)
    assert done.returncode == 0, done.stderr
    assert f"opinions brought: {COUNT} of {COUNT} pairs to go" in done.stdout
    done = tuneworth("judge", scored / "r.yaml", "--out", scored / "runs", "--set", change)
    assert done.returncode == 0, done.stderr
    assert verdict(scored / "runs", "r")["opinions"][0]["n"] == COUNT
    for more, said in (((), "exam.judge: the recipe has none"), (("--contender", "newer"), "")):
        done = tuneworth(*line, *more)
        assert (done.returncode, said in done.stderr) == (2, True)


@pytest.mark.slow
def test_a_real_server_judges(scored, ask, place, url):  # noqa: F811
    """A tiny checkpoint's opinions are noise; its words are kept, both orders, and asked for once."""
    recipe = ask(url=url, model=str(place / "lively"), concurrency=2, timeout_s=600)
    judge_ = recipe.exam.judge.model_copy(update={"max_new_tokens": 8})
    recipe = recipe.model_copy(update={"exam": recipe.exam.model_copy(update={"judge": judge_})})
    rows = given(scored, recipe)
    asked = [row for row in rows if row.texts != ("", "")]
    assert len(rows) == COUNT
    assert asked
    assert {row.models for row in asked} == {(f"{place}/lively@main",)}
    assert all(row.tokens_in > 50 and row.tokens_out > 0 for row in asked)
    found, gate = judged(scored, recipe)
    assert (found.opinions[0].n, gate.status) == (COUNT, "not_checked")
