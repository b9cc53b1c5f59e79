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

import pytest
from reader import Reader
from small_board import board, command, made, studies, written  # noqa: F401 (fixtures)

from eval.leaderboard import Board, difference, sittings, tables
from eval.leaderboard.board import _suites
from eval.leaderboard.page import render
from eval.leaderboard.pareto import Box, beside, field
from eval.report.figures import points
from finetune.mistakes import BadInput
from finetune.recipe.suites import SHELF, Suite

HOSTILE = "<img src=x onerror=alert(1)>|**b**"


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


def test_runs_that_are_called_alike_are_told_apart_by_no_more_of_their_path_than_that_takes(studies, tmp_path):
    twins = [shutil.copytree(study, tmp_path / study.name / "runs" / "study") for study in studies]
    done = command(*twins, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    names = {card.contender for card in board(tmp_path / "out").contenders}
    assert {"first/runs/study/lora", "second/runs/study/lora"} < names
    assert str(tmp_path) not in (tmp_path / "out" / "leaderboard.html").read_text("utf-8")


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


def test_a_name_stands_nearest_to_its_own_mark():
    """Two marks all but on each other: the second's name goes where the first's mark is not nearer."""
    first, second, size = (100.0, 100.0), (104.0, 108.0), (300.0, 300.0)
    ink = [Box(x - 6, x + 6, y - 6, y + 6) for x, y in (first, second)]
    one = beside(first, 60, size, ink, [second])
    other = beside(second, 60, size, [*ink, one], [first])
    assert one.apart(first) <= one.apart(second)
    assert other.apart(second) <= other.apart(first)
    assert [box.shared(each) for box in (one, other) for each in ink] == [0] * 4
    assert one.shared(other) == 0


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
