"""Flips: questions on which two sides disagree, as the logs say, in a file and on a page up to a size."""

from __future__ import annotations

import gzip
import random
import stat

import pytest
from small_flips import LONG, NOTE, ODD, SCRIPT, TURNED, command, flips, right, study, turned

from eval import items
from eval.flips import LONGEST, Answer, Asked, Flips, Item, beside
from eval.flips.texts import ROOM, fitting
from eval.report import render
from eval.verdict import Verdict
from eval.verdict.turns import Turns
from finetune.mistakes import BadInput


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study judged, with its page; one answer a question."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEWORTH_CARDS", "")
        found = study(tmp_path_factory.mktemp("flips"), "rule.alternatives=[prompted]")
        command(found, "judge", "--set", "rule.alternatives=[prompted]")
        command(found, "report", "--set", "rule.alternatives=[prompted]")
    return found


def test_the_flips_are_those_of_the_logs_and_of_the_verdict(made):
    found, verdict = flips(made), Verdict.read(made.run.verdict)
    assert [(each.challenger, each.incumbent) for each in found.contrasts] == [("lora", "newer"), ("lora", "prompted")]
    for balance in found.contrasts:
        wanted = turned(made, balance)
        assert {(flip.item.task, flip.item.id): flip.gained for flip in found.found(balance)} == wanted
        assert (balance.gained, balance.lost) == (sum(wanted.values()), len(wanted) - sum(wanted.values()))
        told = next(
            c for c in verdict.comparisons if (c.challenger, c.incumbent) == (balance.challenger, balance.incumbent)
        )
        assert (balance.gained, balance.lost, balance.n) == (told.wins, told.losses, told.n)
        assert balance.gained > 20
        assert balance.net == balance.gained - balance.lost
    assert {flip.cause for balance in found.contrasts for flip in found.found(balance)} == {
        "wrong", "unparsed", "truncated", "unclosed_thinking", "refused",
    }  # fmt: skip


def test_a_flip_holds_what_was_asked_and_said(made):
    item = next(item for item in flips(made).items if item.id == ODD)
    assert (item.task, item.lang, item.context, item.gold) == ("letters", "zh", NOTE, "A")
    assert item.question == f"{SCRIPT} {TURNED}"
    assert item.options == (SCRIPT, "x", TURNED, "z")
    ours, theirs = item.answers["lora"], item.answers["newer"]
    assert (ours.outcome, ours.text, ours.thinking) == ("correct", f"{SCRIPT} {TURNED}", SCRIPT)
    assert (theirs.outcome, theirs.extracted, theirs.rule) == ("wrong", TURNED, "letter")
    unclosed = next(a for item in flips(made).items for a in item.answers.values() if a.outcome == "unclosed_thinking")
    assert (unclosed.text, unclosed.thinking[:7], unclosed.extracted) == ("", "perhaps", None)


def test_of_an_answer_with_its_thought_no_more_than_the_cap_stands_there(made):
    for item in flips(made).items:
        for answer in item.answers.values():
            kept = "".join(
                part.partition("⟨…")[0] + part.rpartition("…⟩\n")[2] for part in (answer.text, answer.thinking)
            )
            assert len(answer.text) + len(answer.thinking) <= LONGEST + 40
            assert answer.outcome != "correct" or item.id == ODD or kept
    long = next(
        a for item in flips(made).items for a in item.answers.values() if a.outcome == "correct" and item.id != ODD
    )
    assert long.text == "so it is A, says lora"
    left = len(LONG) - (LONGEST - len(long.text))
    assert f"⟨… {left:,} …⟩" in long.thinking


def test_more_samples_and_seeds_show_an_answer_as_right_as_its_side(tmp_path):
    made = study(tmp_path, "exam.samples=3", "train.seeds=[17, 18]")
    logs = {log: items.read(log) for log in made.run.folder.rglob("items.jsonl")}
    for log, rows in logs.items():  # a third of the samples of newer turn
        fallen = [
            row.model_copy(update={"outcome": "wrong", "score": 0.0})
            if row.contender == "newer" and row.sample != 1
            else row
            for row in rows
        ]
        items.replace(log, random.Random(0).sample(fallen, len(fallen)))
    changes = ("--set", "exam.samples=3", "--set", "train.seeds=[17, 18]")
    command(made, "judge", *changes)
    found, (balance,) = flips(made), flips(made).contrasts
    assert {(f.item.task, f.item.id): f.gained for f in found.found(balance)} == turned(made, balance)
    tallies = {name: right(made, name) for name in ("lora", "newer")}
    some = 0
    for flip in found.found(balance):
        for name, answer in flip.item.answers.items():
            assert (answer.right, answer.of) == tallies[name][flip.item.task, flip.item.id]
            assert (answer.outcome == "correct") == answer.holds
            some += name == "newer" and 0 < answer.right < answer.of
            if name == "newer":
                assert answer.sample == 0, "the first that fits, though the log is in another order"
    assert some > 20


def test_an_answer_that_is_not_there_is_missing(tmp_path):
    """One question has a second sample, so all others of its task lack one, and are half right at best."""
    made = study(tmp_path)
    log = made.run.seed("newer", 0).items
    rows = items.read(log)
    items.append(log, [next(row for row in rows if row.task == "numbers").model_copy(update={"sample": 1})])
    found = judged(made)
    half = [flip for flip in found.found(found.contrasts[0]) if flip.cause == "missing"]
    assert len(half) > 20
    assert {flip.item.task for flip in half} == {"numbers"}
    for flip in half:
        answer = flip.item.answers["newer"]
        assert (answer.right, answer.of, answer.rule, answer.text) == (1, 2, "", "")


def judged(made) -> Flips:
    command(made, "judge")
    return flips(made)


def test_the_bytes_are_the_same_and_the_verdict_is_verified(made):
    before = made.run.flips.read_bytes()
    command(made, "judge", "--set", "rule.alternatives=[prompted]")
    assert made.run.flips.read_bytes() == before
    assert flips(made).packed() == before
    page = made.run.report.read_bytes()
    command(made, "report", "--set", "rule.alternatives=[prompted]")
    assert made.run.report.read_bytes() == page
    assert stat.S_IMODE(made.run.report.stat().st_mode) & 0o077 != 0
    assert command(made, "verify").startswith("verify: equal: 0 of ")


def test_the_page_tells_the_balance_and_does_without_flips(made):
    page, found = made.run.report.read_text("utf-8"), flips(made)
    assert 'href="#flips"' in page
    for each in found.contrasts:
        row = page[page.index(f'data-balance="{each.challenger}-{each.incumbent}"') :].partition("</tr>")[0]
        net = f"+{each.net}" if each.net > 0 else str(each.net).replace("-", "−")
        for value in (each.n, each.gained, each.lost, f"<strong>{net}</strong>"):
            assert f'<td class="num">{value}</td>' in row
    for table in page.split("<caption>")[1:]:
        if 'data-turned="' in table:
            rows = [
                line.split('<td class="num">')[1:3]
                for line in table.partition("</table>")[0].split("<tr data-turned")[1:]
            ]
            sums = [sum(int(row[at].partition("<")[0]) for row in rows) for at in (0, 1)]
            assert sums == [found.contrasts[0].gained, found.contrasts[0].lost]
    verdict = Verdict.read(made.run.verdict)
    bare = render(verdict)
    assert 'id="flips' not in bare
    assert 'href="#flips' not in bare
    assert render(verdict, found.model_copy(update={"contrasts": (), "items": ()})) == bare


def test_flips_of_another_verdict_or_none_at_all_are_refused(made, tmp_path):
    (tmp_path / "verdict.json").write_text(made.run.verdict.read_text("utf-8") + " ", "utf-8")
    place = tmp_path / "flips.json.gz"
    assert beside(tmp_path / "verdict.json", place) is None
    place.write_bytes(made.run.flips.read_bytes())
    with pytest.raises(BadInput, match=r"of another verdict\.json than the one beside it; run `tuneworth judge` again"):
        beside(tmp_path / "verdict.json", place)
    for broken in (b"", b"no gzip", gzip.compress(b"{}"), place.read_bytes()[:-20]):
        place.write_bytes(broken)
        with pytest.raises(BadInput, match="no flips that this version writes"):
            Flips.unpacked(place)


def big(count: int) -> list[Item]:
    """Questions as long as they may be, on each of which six contenders wrote as much as they may, in Chinese."""
    drawn = random.Random(1)
    pool = "".join(map(chr, drawn.choices(range(0x4E00, 0x9000), k=200_000)))  # far more than gzip looks back

    def text(length: int) -> str:
        at = drawn.randrange(len(pool) - length)
        return pool[at : at + length]

    made = []
    for number in range(count):
        answers = {
            name: Answer(seed=17, sample=0, right=at % 2, of=1, outcome="wrong" if at % 2 == 0 else "correct",
                         rule="letter", extracted="B", text=text(600), thinking=text(1400))
            for at, name in enumerate(("lora", "newer", "prefix", "prompted", "full", "cued"))
        }  # fmt: skip
        made.append(Item(
            task=f"task{number % 5}", id=f"q{number}", lang="zh", context=text(600), question=text(120), gold="B",
            options=tuple(text(24) for _ in range(4)), answers=answers,
        ))  # fmt: skip
    return made


def test_a_page_of_5000_questions_and_6_contenders_stays_under_5_megabytes(made):
    """All flip; what has no room keeps its id and outcomes, and the page says how many have their text."""
    every = big(5000)
    lead = {(item.task, item.id) for item in every[:100]}
    kept, texts = fitting(every, lead)
    assert [item.id for item in kept] == [item.id for item in every]
    assert 100 < texts < 5000
    assert sum(bool(item.question) for item in kept) == texts
    assert all(item.question for item in kept[:100]), "the verdict's own contrast comes first"
    assert all(item.answers["lora"].outcome == "wrong" for item in kept)
    found = Flips(
        verdict="0" * 64, texts=texts, private=False,
        contrasts=[Turns(challenger="newer", incumbent="lora", role="delta", n=5000, gained=5000, lost=0, tasks=(),
                         causes=())],
        tasks=[Asked(task=f"task{n}", scenario=None, title="made up", licence="MIT", licence_url="", commercial=True,
                     source="", told=True) for n in range(5)],
        items=kept,
    )  # fmt: skip
    size = len(found.packed())
    assert 0.8 * ROOM < size <= 1.02 * ROOM
    page = render(Verdict.read(made.run.verdict), found)
    assert 3_000_000 < len(page.encode()) < 5_000_000
    assert f"{texts:,} of 5,000 questions stand here with their texts" in page
