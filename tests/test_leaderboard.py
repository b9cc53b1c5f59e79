"""The leaderboard: many runs on one board, in tiers; what cannot be compared is refused by name."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import itertools
import json
import re
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_run import finished
from small_logs import theirs
from test_report import Reader
from typer.testing import CliRunner
from written_exam import TASKS

from eval.cli import app
from eval.leaderboard import Board, Limits, choose, difference, parse_memory, sittings, tables
from eval.leaderboard.board import _suites
from eval.leaderboard.page import render
from eval.leaderboard.pareto import field
from eval.leaderboard.standing import duels, spans, tiers
from eval.paired import Layout
from eval.report.figures import points
from eval.verdict import judge
from finetune.mistakes import BadInput
from finetune.recipe.suites import SHELF, Suite

HOSTILE = "<img src=x onerror=alert(1)>|**b**"


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two judged runs of the same exam: `first`, and `second` with a better lora."""
    folder = tmp_path_factory.mktemp("board")
    first = written(folder, "name=first", "costs.gpu_hour=10", rates={"lora": 0.7})
    second = written(folder, "name=second", "costs.gpu_hour=10", rates={"lora": 0.98, "newer": 0.55})
    return [first.run.folder, second.run.folder]


def written(folder, *changes, **terms):
    made = finished(folder, *changes, **terms)
    made.run.verdict.write_text(judge(made.recipe, made.run).model_dump_json(), "utf-8")
    return made


def command(*words):
    return CliRunner().invoke(app, ["leaderboard", *map(str, words)])


def board(out) -> Board:
    return Board.model_validate_json((out / "leaderboard.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def made(studies, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    done = command(*studies, "--out", out)
    assert done.exit_code == 0, done.output
    return out, done.output


def test_two_runs_stand_on_one_board(made):
    out, said = made
    found = board(out)
    whole = found.slices[0]
    assert len(found.contenders) == len(whole.standings) == 10
    assert whole.standings[0].contender == "second/lora"
    assert (whole.standings[0].tier, whole.standings[0].rank_best) == (1, 1)
    assert said.splitlines()[0].split()[:2] == ["1", "second/lora"]
    assert len(whole.duels) == 45
    assert {(each.kind, each.key) for each in found.slices} == {
        ("all", ""), ("lang", "zh"), ("lang", "en"), ("task", "letters"), ("task", "numbers"),
    }  # fmt: skip


def test_scores_and_intervals_are_those_of_the_verdict(studies, made):
    found = board(made[0])
    said = {row["name"]: row for row in json.loads((studies[0] / "verdict.json").read_text())["contenders"]}
    for name, row in said.items():
        here = found.slices[0].standing(f"first/{name}")
        assert (here.score, here.low, here.high) == pytest.approx((row["score"], row["low"], row["high"]))
        letters = next(task for task in row["tasks"] if task["task"] == "letters")
        assert found.slice("task", "letters").standing(f"first/{name}").score == pytest.approx(letters["score"])
    gain = json.loads((studies[0] / "verdict.json").read_text())["delta"]
    duel = next(d for d in found.slices[0].duels if {d.ahead, d.behind} == {"first/lora", "first/newer"})
    assert (duel.gain, duel.low, duel.high) == pytest.approx((gain["gain"], gain["low"], gain["high"]))


def test_costs_tokens_and_thought_are_told_and_unknown_is_said(made):
    found = board(made[0])
    card = found.card("first/newer")
    assert card.cost == pytest.approx(1000 * 0.1 / 3600 * 10 / 0.5)
    assert (card.tokens_out, card.thinking, card.seconds) == (2, 0, pytest.approx(0.1))
    assert (card.size, card.memory) == (None, None)  # its config.json tells no sizes
    text = (made[0] / "leaderboard.md").read_text("utf-8")
    assert "second/lora" in text
    assert text.count("\n## ") == 4  # all, two tasks (which are the two languages), every pair


def test_blind_row_is_what_always_a_scores(made):
    found = board(made[0])
    letters = found.slice("task", "letters").blind
    assert (letters.score, letters.ways) == (1.0, {"letters": "frequent"})  # every gold is A
    assert found.slices[0].blind.guessed == ()


def test_csv_has_a_row_for_each_contender_and_slice(made):
    rows = list(csv.DictReader(io.StringIO((made[0] / "leaderboard.csv").read_text("utf-8"))))
    assert len(rows) == 5 * 11
    first = rows[0]
    assert (first["contender"], first["rank"], first["slice"]) == ("second/lora", "1", "all")
    assert float(first["low"]) < float(first["score"]) <= float(first["high"])
    assert rows[10]["contender"] == "blind"


def test_looking_changes_nothing_in_a_run(studies, tmp_path):
    before = {path: path.read_bytes() for folder in studies for path in folder.rglob("*") if path.is_file()}
    assert command(*studies, "--out", tmp_path).exit_code == 0
    assert {path: path.read_bytes() for folder in studies for path in folder.rglob("*") if path.is_file()} == before


def test_the_same_runs_give_the_same_bytes(studies, made, tmp_path):
    command(*studies, "--out", tmp_path)
    for path in made[0].iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def altered(folder, run, change):
    """A copy of a run whose verdict.json was changed."""
    copy = folder / "other"
    shutil.copytree(run, copy)
    said = json.loads((copy / "verdict.json").read_text("utf-8"))
    change(said)
    (copy / "verdict.json").write_text(json.dumps(said), "utf-8")
    return copy


def origins(key, value):
    def change(said):
        for origin in said["provenance"]["contenders"]:
            origin[key] = value

    return change


FAULTS = {
    "extractor": (lambda said: said["provenance"].update(extractor="2020.1"), "2020.1 for"),
    "task version": (lambda said: said["tasks"][0].update(version="2"), "letters is 1 exact for"),
    "protocol": (lambda said: said["tasks"][0].update(protocol="likelihood"), "letters is generated for"),
    "template": (origins("chat_digest", "another"), "another for"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_cannot_be_compared_is_refused_by_name(studies, tmp_path, kind):
    change, words = FAULTS[kind]
    other = altered(tmp_path, studies[0], change)
    done = command(studies[0], other, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"tuneworth: {kind}: ")
    assert words in done.stderr
    assert not (tmp_path / "out").exists()
    told = command(studies[0], other, "--explain", "--out", tmp_path / "out")
    assert told.exit_code == 0
    assert "group 1: first/lora" in told.stdout
    assert f"  not in group 1: {kind}: " in told.stdout
    assert command(studies[0], other, "--group", 1, "--out", tmp_path / "out").exit_code == 0
    assert "first/newer" in {card.contender for card in board(tmp_path / "out").contenders}


def test_other_budgets_of_answers_are_refused(studies, tmp_path):
    one = altered(tmp_path / "a", studies[0], origins("decoding", {"max_new_tokens": 256}))
    other = altered(tmp_path / "b", studies[1], origins("decoding", {"max_new_tokens": 8192}))
    done = command(one, other, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "budget: 256 tokens an answer for" in done.stderr


def test_every_pair_is_looked_at_not_the_first_alone(studies, tmp_path):
    """A template is of one model: a contender of another one in front hides nothing."""
    other = altered(tmp_path, studies[1], origins("chat_digest", "another"))
    found = {each.key: each for each in sittings([studies[0], other])}
    chosen = [found["first/newer"], found["first/lora"], found["other/lora"]]
    assert difference(chosen[0], chosen[2]) is None
    with pytest.raises(BadInput, match="^template: .* for first/lora and another for other/lora"):
        Board.of(chosen)


def test_other_numbers_of_training_seeds_are_refused(tmp_path):
    runs = [
        written(tmp_path / name, f"name={name}", f"train.seeds={seeds}").run.folder
        for name, seeds in (("two", [17, 18]), ("three", [17, 18, 19]))
    ]
    done = command(*runs, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert re.match(r"tuneworth: seeds: two/\w+ has 2 seeds and three/\w+ 3: seeds are paired one to one", done.stderr)
    assert command(runs[1], "--out", tmp_path / "out").exit_code == 0
    assert board(tmp_path / "out").card("lora").seeds == 3


def test_suites_that_were_sat_whole_are_slices():
    suite = Suite.read(SHELF / "open_zh.yaml")
    whole = {*suite.tasks(gen=True)}
    assert dict(_suites(whole | {"letters"}))["open_zh"] == [*suite.tasks(gen=True)]
    assert "open_zh" not in dict(_suites(whole - {suite.tasks(gen=True)[0]}))


def test_other_questions_are_refused(tmp_path, studies):
    other = written(tmp_path, "name=third", "exam.dev=0.3")
    done = command(studies[0], other.run.folder, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "tuneworth: items: " in done.stderr
    single = written(tmp_path / "w", "name=weighed", "exam.weights={letters: 1, numbers: 1}")
    done = command(studies[0], single.run.folder, "--out", tmp_path / "out")
    assert "tuneworth: weights: letters weighs 0.750 for first/lora" in done.stderr


def test_what_is_no_finished_run_is_refused(studies, tmp_path):
    for words, said in (
        ((tmp_path,), "no verdict.json in it"),
        ((studies[0], studies[0]), "stands twice"),
        ((studies[0], "--group", 4), "--group 4: there are 1"),
    ):
        done = command(*words, "--out", tmp_path / "out")
        assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    stale = altered(tmp_path, studies[0], lambda said: said["contenders"][0].update(score=0.5))
    done = command(stale, "--out", tmp_path / "out")
    assert (done.exit_code, "run tuneworth judge again" in done.stderr) == (2, True)
    smoke = written(tmp_path / "s", "name=smoke", "purpose=smoke")
    assert "a smoke run" in command(smoke.run.folder, "--out", tmp_path / "out").stderr


def test_who_failed_a_gate_in_its_run_is_in_doubt(tmp_path, studies):
    broken = written(tmp_path, "name=broken", sit={"lora": {"adapter_digest": "another"}})
    assert command(broken.run.folder, "--out", tmp_path / "out").exit_code == 0
    assert "run broken is invalid: adapter" in board(tmp_path / "out").card("lora").doubt
    assert "In doubt" in (tmp_path / "out" / "leaderboard.md").read_text("utf-8")


def test_hostile_names_are_text_in_markdown_and_csv():
    said = tables.plain(HOSTILE)
    assert "<" not in said.replace("\\<", "")
    assert "|" not in said.replace("\\|", "")
    assert tables._cell("=cmd()") == "'=cmd()"


# The page.


def test_the_page_tells_the_figures_of_the_json_and_loads_nothing(made):
    found, text = board(made[0]), (made[0] / "leaderboard.html").read_text("utf-8")
    pairs = [pair for _, attrs, *_ in Reader(text).elements for pair in attrs.items()]
    named = [value for key, value in pairs if "href" in key or key == "src"]
    assert named
    assert all(value.startswith("#") for value in named)
    script = re.search(r"<script>(.*)</script>", text, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    read = Reader(text)
    assert read.faults == []
    for part in found.slices:
        for row in part.standings:
            assert f'<td class="num" data-value="{row.score}">{points(row.score, signed=False)}' in text
    assert text.count("data-ahead=") == sum(len(part.duels) for part in found.slices)
    shown = [lang for tag, attrs, *_ in read.elements if (lang := attrs.get("lang")) and tag == "span"]
    assert shown.count("en") == shown.count("zh-CN") > 50
    assert "second/lora leads, told apart from all others" in text
    assert 'aria-labelledby="pareto-caption"' in text


def test_hostile_names_are_text_on_the_page(made):
    found = board(made[0])
    text = found.model_dump_json().replace("second/lora", HOSTILE.replace('"', ""))
    page = render(Board.model_validate_json(text))
    assert Reader(page).faults == []
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_the_frontier_holds_whom_nobody_beats_for_less(made):
    found = field(board(made[0]))
    best = [spot for spot in found.spots if spot.best]
    assert best
    for spot in found.spots:
        mine = spot.price, -spot.row.score
        theirs = [(other.price, -other.row.score) for other in found.spots]
        beaten = any(price <= mine[0] and score <= mine[1] and (price, score) != mine for price, score in theirs)
        assert spot.best is not beaten
    assert all(b.row.score >= a.row.score for a, b in itertools.pairwise(best))


def test_a_price_nobody_knows_is_said_and_not_drawn(made):
    said = json.loads((made[0] / "leaderboard.json").read_text("utf-8"))
    for card in said["contenders"][:2]:
        card |= {"cost": None, "thinking": None}
    found = Board.model_validate(said)
    assert len(field(found).unknown) == 2
    assert "Not drawn, since it is not known of them" in render(found)
    for card in said["contenders"]:
        card |= {"cost": None, "tokens_out": None, "seconds": None}
    assert field(Board.model_validate(said)) is None
    assert 'id="cost"' not in render(Board.model_validate(said))


# The choice.


@pytest.fixture
def elsewhere(studies):
    """The runs on a machine without the exam, whose every gold is A: there, guessing alone is known."""
    exam = [studies[0].parents[1] / task for task in TASKS]
    for folder in exam:
        folder.rename(folder.with_suffix(".away"))
    yield studies
    for folder in exam:
        folder.with_suffix(".away").rename(folder)


def test_who_is_told_apart_from_all_is_chosen(elsewhere):
    studies = elsewhere
    done = command(*studies, "--choose")
    assert done.exit_code == 0
    first, second = done.stdout.splitlines()
    assert first.startswith("second/lora: 100.0 [")
    assert "told apart from all 9 others within the limits; the closest is first/lora: +" in first
    assert second.startswith("second/lora：")


def test_limits_that_nobody_keeps_leave_nobody(studies):
    done = command(*studies, "--choose", "--max-cost", "0.0001")
    assert done.exit_code == 4
    assert done.stdout.startswith("cannot tell: nobody is known to keep within the limits\n")
    assert done.stdout.count("left out") == 10


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tied")
    run = written(folder, "name=tied", rates={"lora": 0.61, "newer": 0.6, "prompted": 0.6})
    for task in TASKS:
        shutil.rmtree(folder / task)
    return run.run.folder


def test_whoever_is_not_told_apart_is_not_chosen(tied):
    done = command(tied, "--choose")
    assert done.exit_code == 4
    said = done.stdout.splitlines()[0]
    assert re.match(r"cannot tell: \w+ scores most, but is not told apart from \w+ \+\d", said)
    assert "times as many clusters" in said
    assert "无法判断：" in done.stdout


def limited(made, **changes):
    """The board with other facts of the contender that leads it."""
    said = json.loads((made[0] / "leaderboard.json").read_text("utf-8"))
    for card in said["contenders"]:
        card |= {"memory": 8e9}
        if card["contender"] == "second/lora":
            card |= changes
    said["slices"][0]["blind"]["score"] = 0.25
    return Board.model_validate(said)


def test_limits_leave_out_who_breaks_them_and_of_whom_it_is_not_known(made):
    for changes, limits, why in (
        ({"memory": 30e9}, Limits(memory=24e9), "takes 30 GB"),
        ({"memory": None}, Limits(memory=24e9), "memory unknown"),
        ({"cost": 9.0}, Limits(cost=1), "costs 9 CNY"),
        ({"cost": None}, Limits(cost=1), "cost unknown"),
        ({"doubt": "run x is invalid"}, Limits(), "run x is invalid"),
    ):
        found = choose(limited(made, **changes), limits)
        assert found.left_out == {"second/lora": why}
        assert found.contender == "first/lora"
    with pytest.raises(BadInput, match="costs are in CNY and USD"):
        choose(limited(made, currency="USD"), Limits(cost=1))


def test_who_does_not_beat_answering_blind_is_not_chosen(made):
    said = json.loads((made[0] / "leaderboard.json").read_text("utf-8"))
    said["slices"][0]["blind"]["score"] = 0.99
    found = choose(Board.model_validate(said), Limits())
    assert found.contender is None
    assert "not shown to beat answering blind (99.0)" in found.reason


def test_a_scenario_is_judged_on_its_own_tasks(made):
    said = json.loads((made[0] / "leaderboard.json").read_text("utf-8"))
    letters = next(part for part in said["slices"] if part["key"] == "letters")
    letters["blind"]["score"] = 0.25
    said["slices"].append(letters | {"kind": "scenario", "key": "compliance"})
    found = Board.model_validate(said)
    assert choose(found, Limits(scenario="compliance")).contender == "second/lora"
    with pytest.raises(BadInput, match="did you mean compliance"):
        choose(found, Limits(scenario="complianse"))


def test_scenarios_of_tasks_are_slices_and_can_be_chosen_on(tmp_path):
    rates = {"lora": {"letters": 0.3, "numbers": 0.95}, "newer": 0.6, "prompted": 0.3}
    made = finished(tmp_path, "name=tagged", rates=rates)
    for task, scenario in (("letters", "knowledge"), ("numbers", "extraction")):
        path = tmp_path / task / f"{task}.yaml"
        path.write_text(path.read_text().replace("headline: exact", f"headline: exact, scenario: {scenario}"))
    made.run.verdict.write_text(judge(made.recipe, made.run).model_dump_json(), "utf-8")
    for task in TASKS:
        shutil.rmtree(tmp_path / task)
    assert command(made.run.folder, "--out", tmp_path / "out").exit_code == 0
    found = board(tmp_path / "out")
    assert found.slice("scenario", "extraction").tasks == ("numbers",)
    assert found.slices[0].blind.guessed == ("letters", "numbers")
    assert "信息抽取" in (tmp_path / "out" / "leaderboard.html").read_text("utf-8")
    for scenario, name in (("extraction", "lora"), ("knowledge", "newer")):
        done = command(made.run.folder, "--choose", "--scenario", scenario)
        assert (done.exit_code, done.stdout.partition(":")[0]) == (0, name)


def test_answers_that_lm_eval_logged_stand_on_the_board_and_what_nobody_measured_is_unknown(tmp_path):
    made = theirs(tmp_path, "costs.gpu_hour=10")
    made.run.verdict.write_text(judge(made.recipe, made.run).model_dump_json(), "utf-8")
    assert command(made.run.folder, "--out", tmp_path / "out").exit_code == 0
    found = board(tmp_path / "out")
    card = found.card("newer")
    assert (card.cost, card.thinking, card.seconds, card.tokens_out) == (None,) * 4
    assert field(found).unknown == ("newer",)
    assert "| unknown | unknown | unknown | unknown |" in (tmp_path / "out" / "leaderboard.md").read_text("utf-8")
    assert "未知" in (tmp_path / "out" / "leaderboard.html").read_text("utf-8")
    assert "newer: cost unknown" in command(made.run.folder, "--choose", "--max-cost", 5).stdout


def test_limits_are_refused_where_they_mean_nothing(studies):
    for words, said in (
        (("--max-cost", "1"), "are limits of --choose"),
        (("--choose", "--max-memory", "24"), "--max-memory 24: no size"),
        (("--choose", "--scenario", "credit"), "--scenario credit: no task on this board is of it"),
    ):
        done = command(studies[0], *words)
        assert (done.exit_code, said in done.stderr) == (2, True)
    assert parse_memory("24GiB") == 24 * 2**30


# Properties of the standing, on plain numbers.


def standing(scores, clusters=None):
    clusters = list(range(len(scores[0]))) if clusters is None else clusters
    layout, weight = Layout.of(clusters), np.full(len(clusters), 1 / len(clusters))
    arrays = [np.atleast_2d(np.asarray(each, dtype=float)) for each in scores]
    found = duels(arrays, weight, layout, 0.95)
    means = [float(each.mean()) for each in arrays]
    return found, tiers(means, found), spans(arrays, layout, 0.95, draws=400)


@given(st.integers(0, 10**6), st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_whoever_is_better_on_every_question_never_ranks_below(seed, count):
    rng = np.random.default_rng(seed)
    scores = list((rng.random((count, 60)) < rng.random((count, 1))).astype(float))
    scores.append(np.maximum(scores[0], rng.random(60) < 0.2))  # never worse than the first
    _, places, ranks = standing(scores)
    assert places[-1].tier <= places[0].tier
    assert places[-1].rank <= places[0].rank
    assert ranks[-1][0] <= ranks[0][0]
    assert ranks[-1][1] <= ranks[0][1]
    assert all(best <= worst for best, worst in ranks)


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_swapping_contenders_swaps_their_rows(seed):
    rng = np.random.default_rng(seed)
    scores = (rng.random((3, 60)) < rng.random((3, 1))).astype(float)
    found, places, _ = standing(scores)
    back, turned, _ = standing(scores[::-1])
    assert turned[::-1] == places
    means = scores.mean(axis=1)
    if len(set(means.tolist())) == 3:
        said = {(duel.ahead, duel.behind): (duel.gain, duel.p, duel.resolved) for duel in found}
        assert said == {(2 - d.ahead, 2 - d.behind): (d.gain, d.p, d.resolved) for d in back}


def test_equals_tie_and_share_every_rank():
    scores = [np.tile([1.0, 0, 1, 1], 20), np.tile([1.0, 0, 1, 1], 20), np.tile([0.0, 0, 0, 1], 20)]
    found, places, ranks = standing(scores)
    assert [each.tier for each in places] == [1, 1, 2]
    assert [each.rank for each in places] == [1, 1, 3]
    assert ranks == [(1, 2), (1, 2), (3, 3)]
    assert not next(duel for duel in found if {duel.ahead, duel.behind} == {0, 1}).resolved


def test_a_tier_has_no_holes():
    """The last is not told from the head, so neither is the one between, whatever its own duel says."""
    rng = np.random.default_rng(0)
    head = (rng.random(200) < 0.6).astype(float)
    steady = head.copy()
    steady[np.flatnonzero(head)[:10]] = 0  # a little worse, always
    noisy = rng.permutation(steady)
    noisy[np.flatnonzero(noisy)[:1]] = 0
    found, places, _ = standing([head, steady, noisy])
    resolved = {(duel.ahead, duel.behind): duel.resolved for duel in found}
    assert resolved[0, 1]
    assert not resolved[0, 2]
    assert [each.tier for each in places] == [1, 1, 1]


def test_questions_of_one_document_widen_spans_and_intervals():
    rng = np.random.default_rng(1)
    scores = [np.repeat(rng.random(40) < rate, 5).astype(float) for rate in (0.65, 0.6, 0.55, 0.5, 0.45, 0.4)]
    apart, _, narrow = standing(scores)
    joined, _, wide = standing(scores, [at // 5 for at in range(200)])
    width = [sum(last - first for first, last in each) for each in (narrow, wide)]
    assert width[0] < width[1]
    for a, b in zip(apart, joined, strict=True):
        assert b.high - b.low > 1.5 * (a.high - a.low)


def test_noise_widens_a_duel():
    rng = np.random.default_rng(2)
    one, two = rng.random(200) * 0.2 + 0.6, rng.random(200) * 0.2 + 0.5
    quiet, *_ = standing([one, two])
    loud, *_ = standing([np.clip(one + rng.normal(0, 0.3, 200), 0, 1), two])
    assert loud[0].high - loud[0].low > quiet[0].high - quiet[0].low


def test_equal_contenders_are_rarely_told_apart():
    """Family-wise over all pairs: of 300 boards of equals, at most 5 % (and Monte-Carlo error) say otherwise."""
    rng, false = np.random.default_rng(3), 0
    layout, weight = Layout.of(list(range(50)) * 2), np.full(100, 0.01)
    for _ in range(300):
        scores = [(rng.random((1, 100)) < 0.6).astype(float) for _ in range(4)]
        false += any(duel.resolved for duel in duels(scores, weight, layout, 0.95))
    assert false / 300 < 0.05 + 2.6 * (0.05 * 0.95 / 300) ** 0.5


def test_spans_hold_the_true_rank():
    """Three contenders a little apart, 200 boards: the true rank lies in the span about as often as said, or more."""
    rng, held = np.random.default_rng(4), 0
    layout = Layout.of([at // 2 for at in range(120)])
    for _ in range(100):
        hard = np.repeat(rng.random(60), 2)
        scores = [(0.5 * hard + 0.5 * rng.random(120) < rate)[None].astype(float) for rate in (0.60, 0.52, 0.44)]
        found = spans(scores, layout, 0.95, draws=400)
        held += sum(first <= rank <= last for rank, (first, last) in enumerate(found, 1))
    assert held / 300 > 0.93
