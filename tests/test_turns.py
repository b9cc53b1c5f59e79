"""What the page counts of flips stands in verdict.json; `report --no-text` makes it again without a word of them."""

from __future__ import annotations

import gzip
import json
import re
import stat
from collections import Counter

import pytest
from small_flips import command, study
from typer.testing import CliRunner

from eval.cli import app
from eval.flips import Flips
from eval.verdict import Verdict

ALSO = ("--set", "rule.alternatives=[prompted]")


@pytest.fixture(autouse=True)
def not_on_a_ci_machine(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEWORTH_CARDS", "")
        patch.delenv("CI", raising=False)
        found = study(tmp_path_factory.mktemp("turns"), "rule.alternatives=[prompted]")
        command(found, "judge", *ALSO)
        command(found, "report", *ALSO)
    return found


def test_the_counts_of_the_verdict_are_those_of_the_flips_that_are_shown(made):
    verdict, found = Verdict.read(made.run.verdict), Flips.unpacked(made.run.flips)
    assert [(each.challenger, each.incumbent) for each in verdict.flips] == [("lora", "newer"), ("lora", "prompted")]
    for counted, balance in zip(verdict.flips, found.contrasts, strict=True):
        flips = list(found.found(balance))
        assert (counted.gained, counted.lost, counted.n) == (balance.gained, balance.lost, balance.n)
        for rows, named in (
            (counted.tasks, Counter((flip.item.task, flip.gained) for flip in flips)),
            (counted.causes, Counter((flip.cause, flip.gained) for flip in flips)),
        ):
            told = {(row.name, gained): getattr(row, "gained" if gained else "lost")
                    for row in rows for gained in (True, False)}  # fmt: skip
            assert {key: count for key, count in told.items() if count} == dict(named)
        assert counted.gained > 20
        assert len(counted.causes) > 1


def test_every_number_over_the_flips_stands_in_the_verdict(made):
    page = made.run.report.read_text("utf-8")
    head = page[page.index('<section id="flips"') :].partition('<p class="small quiet kept">')[0]
    shown = [
        cell.replace(",", "").replace("−", "-") for cell in re.findall(r'<td class="num">(?:<strong>)?([^<]+)', head)
    ]
    said = json.loads(made.run.verdict.read_text("utf-8"))["flips"]
    lead = said[0]
    known = [number for each in said for number in (each["n"], each["gained"], each["lost"])]
    known += [row[way] for row in (*lead["tasks"], *lead["causes"]) for way in ("gained", "lost")]
    nets = [each["gained"] - each["lost"] for each in (*said, *lead["tasks"], *lead["causes"])]
    assert Counter(map(int, shown)) == Counter([*known, *nets])
    assert len(shown) > 15


def test_counts_that_were_altered_are_not_verified(made):
    before = made.run.verdict.read_text("utf-8")
    said = json.loads(before)
    said["flips"][0]["causes"][0]["gained"] += 1
    made.run.verdict.write_text(json.dumps(said), "utf-8")
    done = CliRunner().invoke(app, ["verify", str(made.run.folder)])
    made.run.verdict.write_text(before, "utf-8")
    assert done.exit_code == 6
    assert done.stdout.startswith("flips[0].causes[")
    assert done.stdout.splitlines()[-1].startswith("verify: differs: 1 of ")


def test_a_page_is_made_again_without_texts_and_without_judging(made):
    kept = {path: path.read_bytes() for path in made.run.folder.rglob("*") if path.is_file()}
    assert "保证金" in gzip.decompress(made.run.flips.read_bytes()).decode()
    command(made, "report", "--no-text", *ALSO)
    bare = made.run.report.read_bytes()
    after = {path: path.read_bytes() for path in made.run.folder.rglob("*") if path.is_file()}
    assert {path for path in after if kept.get(path) != after[path]} == {made.run.report}
    command(made, "report", *ALSO)
    assert made.run.report.read_bytes() == kept[made.run.report], "the words are still there to be shown"
    command(made, "judge", "--no-text", *ALSO)
    command(made, "report", *ALSO)
    assert made.run.report.read_bytes() == bare, "as judge --no-text leaves it"


def test_a_page_without_the_texts_of_a_private_card_is_no_private_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEWORTH_CARDS", "")
    made = study(tmp_path, private=True)
    command(made, "judge", "--with-text")
    command(made, "report")
    assert stat.S_IMODE(made.run.report.stat().st_mode) == 0o600
    command(made, "report", "--no-text")
    assert stat.S_IMODE(made.run.report.stat().st_mode) & 0o077 != 0
    assert stat.S_IMODE(made.run.flips.stat().st_mode) == 0o600
