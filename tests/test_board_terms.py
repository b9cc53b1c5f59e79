"""What a board says of ranks, of p, of budgets of thought, of frames and of costs is alike wherever it is said."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil

import pytest
from judged_run import finished
from small_board import board, command, made, studies  # noqa: F401 (fixtures)
from written_exam import TASKS

from eval.leaderboard import Limits, choose
from eval.report import render
from eval.report.figures import number
from eval.report.summary import table
from eval.terminal import console
from eval.verdict import Verdict, judge


def test_every_rank_lies_in_its_span_and_p_is_that_of_being_told_apart(made):  # noqa: F811
    for part in board(made[0]).slices:
        for row in part.standings:
            assert row.rank_best <= row.rank <= row.rank_worst
            shown = [duel for duel in part.duels if duel.resolved]
            assert row.rank_best <= 1 + sum(duel.behind == row.contender for duel in shown)
            assert row.rank_worst >= len(part.standings) - sum(duel.ahead == row.contender for duel in shown)
        assert {duel.resolved for duel in part.duels} == {True, False}
        for duel in part.duels:
            assert duel.resolved == (duel.holm_p <= 0.05)
            assert not duel.resolved or duel.low > 0
    for name in ("leaderboard.md", "leaderboard.html"):
        assert "p is two-sided, for no difference, by Holm over all pairs" in (made[0] / name).read_text("utf-8")


def test_the_page_of_a_run_gives_the_ranks_of_its_leaderboard(studies, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("COLUMNS", "200")  # room for whole names
    assert command(studies[0], "--out", tmp_path).exit_code == 0
    whole, verdict = board(tmp_path).slices[0], Verdict.read(studies[0] / "verdict.json")
    spans = {row.contender: (row.rank_best, row.rank_worst) for row in whole.standings}
    assert {row.name: (row.rank_best, row.rank_worst) for row in verdict.contenders} == spans
    assert len(set(spans.values())) > 1
    page, terminal = render(verdict), console()
    with terminal.capture() as caught:
        terminal.print(table(verdict))
    for name, (best, worst) in spans.items():
        told = str(best) if best == worst else f"{best}–{worst}"
        row = page[page.index(f'<tr data-contender="{name}"') :].partition("</tr>")[0]
        assert re.search(r'<td class="num" data-value="[\d.]+">([^<]+)</td>', row)[1] == told
        assert re.search(rf"^ *{told} +{name} ", caught.get(), re.MULTILINE)


def thinking(folder, run, tokens):
    """A copy of a run whose contenders all think, so long."""
    copy = folder / f"think-{tokens}"
    shutil.copytree(run, copy)
    said = json.loads((copy / "verdict.json").read_text("utf-8"))
    for origin in said["provenance"]["contenders"]:
        origin["think"] = "keep"
        origin["decoding"] = {"max_new_tokens": 2048} | ({"thinking_tokens": tokens} if tokens else {})
    (copy / "verdict.json").write_text(json.dumps(said), "utf-8")
    return copy


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (256, 1800, r"256 tokens a thought for \S+ and 1800 tokens a thought for \S+"),
        (256, None, r"256 tokens a thought for \S+ and no limit of a thought but that of its answer for \S+"),
        (256, 256, None),
    ],
)
def test_other_budgets_of_thought_are_refused_by_name(studies, tmp_path, ours, theirs, said):  # noqa: F811
    one, other = (thinking(tmp_path / name, studies[0], count) for name, count in (("a", ours), ("b", theirs)))
    done, told = command(one, other, "--out", tmp_path / "out"), command(one, other, "--explain")
    if said is None:
        assert (done.exit_code, told.stdout.count("group ")) == (0, 1)
        return
    assert done.exit_code == 2
    assert re.search(f"tuneworth: budget of thought: {said}; --explain", done.stderr)
    assert re.search(f"  not in group 1: budget of thought: {said}", told.stdout)


def test_a_log_that_tells_no_thought_forbids_nothing(studies, tmp_path):  # noqa: F811
    one = thinking(tmp_path, studies[0], 256)
    assert command(one, studies[1], "--out", tmp_path / "out").exit_code == 0, "who has no thought has no budget of one"


def test_a_frame_is_told_in_every_form(made):  # noqa: F811
    text = (made[0] / "leaderboard.md").read_text("utf-8")
    found = {cells[3]: cells[5] for line in text.splitlines() if (cells := [c.strip() for c in line.split("|")])[10:]}
    assert found["first/newer"] == "none"
    assert found["first/prompted"] == "prompt"
    assert found["first/lora"] == "lora"
    rows = list(csv.DictReader(io.StringIO((made[0] / "leaderboard.csv").read_text("utf-8"))))
    assert {row["prompted"] for row in rows if row["contender"] == "first/prompted"} == {"True"}
    assert {row["prompted"] for row in rows if row["contender"] == "first/newer"} == {"False"}


def test_the_cost_of_a_scenario_is_that_of_its_questions(tmp_path):
    def slow(row):
        long = row.task == "letters"
        taken = (9.0, 700, 630) if long else (1.0, 40, 10)
        return row.model_copy(update=dict(zip(("seconds", "tokens_out", "tokens_thinking"), taken, strict=True)))

    sit = {name: {"change": slow} for name in ("old", "lora", "prefix", "newer", "prompted")}
    run = finished(tmp_path, "name=tagged", "costs.gpu_hour=3600", "costs.speedup=1", sit=sit)
    for task, scenario in (("letters", "knowledge"), ("numbers", "extraction")):
        path = tmp_path / task / f"{task}.yaml"
        path.write_text(path.read_text().replace("headline: exact", f"headline: exact, scenario: {scenario}"))
    run.run.verdict.write_text(judge(run.recipe, run.run).model_dump_json(), "utf-8")
    for task in TASKS:
        shutil.rmtree(tmp_path / task)
    assert command(run.run.folder, "--out", tmp_path / "out").exit_code == 0
    found = board(tmp_path / "out")
    paid = {part.key: part.standing("newer").cost for part in found.slices}
    assert paid[""] == pytest.approx(found.card("newer").cost)
    assert paid["knowledge"] == pytest.approx(9 * paid["extraction"])
    assert paid["knowledge"] > paid[""] > paid["extraction"]
    limit = paid["extraction"] * 1.01
    for scenario, out in (("extraction", False), ("knowledge", True)):
        left = choose(found, Limits(cost=limit, scenario=scenario)).left_out
        assert ("newer" in left) == out
    assert left["newer"].en.endswith(" CNY on these questions")
    assert left["newer"].zh.endswith(" CNY（按这些题目）")
    taken = f"{number(paid['extraction'])} CNY | 40 | 25.0% | 1"
    tables = (tmp_path / "out" / "leaderboard.md").read_text("utf-8").split("## ")
    part = next(each for each in tables if each.startswith("scenario: extraction"))
    assert all(f"| {taken} |" in line for line in part.splitlines() if re.match(r"\| \d", line))
    rows = csv.DictReader(io.StringIO((tmp_path / "out" / "leaderboard.csv").read_text("utf-8")))
    told = [row for row in rows if row["key"] == "extraction" and row["rank"]]
    assert {(float(row["cost_per_1000"]), float(row["tokens_out"])) for row in told} == {(paid["extraction"], 40)}
    page = (tmp_path / "out" / "leaderboard.html").read_text("utf-8")
    at = next(at for at, part in enumerate(found.slices) if part.key == "extraction")
    shown = page.split(f'<div class="slice" data-slice="{at}"')[1].split("</table>")[0]
    assert shown.count(f'data-value="{paid["extraction"]}"') == 5
