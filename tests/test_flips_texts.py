"""Texts of flips: told only where they may be, with what their card asks, and cut where they are long."""

from __future__ import annotations

import gzip
import json
import random
import stat

import pytest
from small_flips import command, flips, study, turned
from typer.testing import CliRunner

from eval import items
from eval.cli import app
from eval.flips import Flips
from eval.flips.texts import cut
from eval.verdict import Verdict


@pytest.fixture(autouse=True)
def not_on_a_ci_machine(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.parametrize(("length", "most"), [(10, 10), (11, 10), (5000, 2000), (4, 3), (7, 1)])
def test_a_cut_keeps_head_and_tail_and_says_how_much_is_gone(length, most):
    text = "".join(random.Random(length).choices("abcdef", k=length))
    found = cut(text, most)
    if length <= most:
        assert found == text
        return
    head, said, tail = found.split("\n")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + len(tail) == most
    assert said == f"⟨… {length - most:,} …⟩"


def told(made, *words: str, **env: str) -> tuple[Flips, str]:
    """What flips.json.gz and the page hold after `judge` with these options."""
    command(made, "judge", *words, **env)
    command(made, "report")
    return flips(made), gzip.decompress(made.run.flips.read_bytes()).decode() + made.run.report.read_text("utf-8")


def test_texts_of_a_private_card_are_told_only_when_asked_for(tmp_path):
    made = study(tmp_path, private=True)
    secrets = ("保证金", "perhaps letters", "onerror")
    found, text = told(made)
    assert not [word for word in secrets if word in text]
    assert {item.task for item in found.items if item.question} == {"numbers"}
    assert "so it is A" not in "".join(
        a.text + a.thinking for item in found.items if item.task == "letters" for a in item.answers.values()
    )
    assert {(asked.task, asked.told) for asked in found.tasks} == {("letters", False), ("numbers", True)}
    assert not found.private
    balance = found.contrasts[0]
    assert {(f.item.task, f.item.id): f.gained for f in found.found(balance)} == turned(made, balance), "ids are told"
    assert found == told(made, "--with-text", CI="true")[0].model_copy(update={"verdict": found.verdict})
    open_, text = told(made, "--with-text")
    assert "保证金" in text
    assert open_.private
    assert open_.texts == len(open_.items)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (made.run.flips, made.run.report)] == [0o600] * 2


def test_without_texts_there_are_ids_and_outcomes(tmp_path):
    made = study(tmp_path)
    found, text = told(made, "--no-text")
    assert (found.texts, {asked.told for asked in found.tasks}) == (0, {False})
    assert found.contrasts[0].gained > 20
    assert not [word for word in ("保证金", "so it is A", "perhaps", "onerror") if word in text]
    assert {a.rule for item in found.items for a in item.answers.values()} == {"letter", ""}
    done = CliRunner().invoke(app, ["judge", str(made.folder / "study.yaml"), "--with-text", "--no-text"])
    assert (done.exit_code, "--with-text and --no-text: one of them" in done.stderr) == (2, True)


def test_where_no_contest_was_held_there_are_no_flips(tmp_path):
    made = study(tmp_path)
    log = made.run.seed("newer", 0).items
    items.replace(log, items.read(log)[:-3])
    found, page = told(made)
    assert Verdict.read(made.run.verdict).outcome == "invalid"
    assert (found.contrasts, found.items) == ((), ())
    assert 'id="flips"' not in page


def test_the_attribution_of_a_card_goes_along(tmp_path):
    licence = {
        "name": "CC-BY-NC-SA-4.0",
        "url": "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "commercial": False,
    }
    made = study(tmp_path, licence=licence, source={"repository": "https://example.org/exam"})
    asked = {each.task: each for each in told(made)[0].tasks}
    assert asked["letters"].source == "https://example.org/exam"
    assert (asked["letters"].licence, asked["letters"].commercial) == ("CC-BY-NC-SA-4.0", False)
    assert (asked["numbers"].licence, asked["numbers"].commercial) == ("MIT", True)
    assert json.loads(made.run.verdict.read_text("utf-8"))["outcome"]
