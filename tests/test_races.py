"""How the benchmark counts: which ways of a peer go on after the first turn, which of them is compared with, what is
kept; and the races of scoring, small, to their end."""

import json
import sys

import pytest

from tests.benchmarks import __main__ as races
from tests.benchmarks import asking, material, scoring, training, writing


def ran(*paces, peak=2**30):
    return [{"tokens": 100 * pace, "seconds": 100.0, "peak": peak, "losses": [2.0, 1.0]} for pace in paces]


def test_ways_that_trail_their_peer_run_once_and_others_to_the_end(monkeypatch):
    paces = {"ours": 9.0, "Trainer, padding": 3.0, "Trainer, length groups": 4.0, "TRL, padding": 1.0}
    turns = []
    monkeypatch.setattr(training.material, "write", lambda *_: None)
    monkeypatch.setattr(training, "_run", lambda words, _: turns.append(words) or ran(paces[words[0]])[0])
    found = training._turns({side: (side,) for side in paces}, 3)
    assert {side: len(runs) for side, runs in found.items()} == {
        "ours": 3, "Trainer, padding": 1, "Trainer, length groups": 3, "TRL, padding": 3,
    }  # fmt: skip
    assert [words[0] for words in turns[4:7]] == ["ours", "Trainer, length groups", "TRL, padding"]


def test_the_fastest_and_the_leanest_way_of_a_peer_count():
    found = {
        "ours": ran(9, 7, 8, peak=2**29),
        "Trainer, padding": ran(9, peak=2**30),  # left out after one lucky turn: not the one compared with
        "Trainer, length groups": ran(4, 5, 2, peak=2**31),
    }
    speed, memory = training._speed("s", found, "Trainer"), training._memory("m", found, "Trainer")
    assert (speed["ours"], speed["peer"], speed["ratio"], speed["beside"]) == (8, 4, 2, "Trainer, length groups")
    assert (memory["ratio"], memory["beside"], memory["runs"]) == (0.5, "Trainer, padding", 3)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Races of scoring on a network and an exam of a moment, one turn a side; the folder of latest.json."""
    for key, size in {"vocab_size": 400, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}.items():
        monkeypatch.setitem(material.SHAPE, key, size)
    for module, values in {
        asking: {"QUESTIONS": 4}, scoring: {"QUESTIONS": 4, "HEADER": 40, "TOKENS": {0: 512, 40: 128}, "SOME": 2},
        writing: {"ASKED": 2, "SAMPLES": 3, "LONGEST": 24, "SIZES": (2, 6), "BEGINNING": 4},
    }.items():  # fmt: skip
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(races, "PLACE", tmp_path / "latest.json")
    return tmp_path


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["races", *words, "--rounds", "1"])
    races.main()


def kept(folder):
    return {row["id"]: row for row in json.loads((folder / "latest.json").read_text())}


def test_the_races_of_scoring_run_to_their_end(small, monkeypatch, capsys):
    """Both sides for real, but for memory, which takes processes of its own."""
    monkeypatch.setattr(scoring, "_apart", lambda side, header: 2.0 if side == "ours" else 10.0)
    run(monkeypatch, "score.choice", "score.generate")
    rows, said = kept(small), capsys.readouterr().out
    speeds = {"score.choice.zero_shot", "score.choice.five_shot", "score.generate.k8"}
    assert set(rows) == speeds | {"score.choice.memory", "score.choice.memory.zero_shot"}
    assert rows["score.choice.memory"]["ratio"] == 0.2
    for name in speeds:
        row = rows[name]
        more, less = (row["ours"], row["peer"]) if name == "score.generate.k8" else (row["peer"], row["ours"])
        assert row["ratio"] == pytest.approx(more / less, rel=0.1, abs=0.01)
        assert "tried on" in row["beside"]
        assert f"{name}: turn 1/1" in said


def test_memory_is_that_of_a_process_of_its_own(small, capsys):
    for side in ("ours", "4"):
        scoring.main(side, 40)
    assert all(float(line) >= 0 for line in capsys.readouterr().out.split())


def test_sides_that_do_not_agree_end_the_race(small, monkeypatch):
    monkeypatch.setattr(scoring, "_theirs", lambda *_: lambda: [-1.0] * 16)
    with pytest.raises(AssertionError, match="not the same log-likelihoods"):
        run(monkeypatch, "score.choice")
    assert not (small / "latest.json").exists()


def test_rows_are_kept_as_they_come_and_take_the_place_of_older_ones(small, monkeypatch):
    def race(rounds):
        yield {"id": "a", "ratio": 3, "unit": "s", "beside": "x", "runs": rounds}
        raise KeyboardInterrupt

    (small / "latest.json").write_text(json.dumps([{"id": "a", "ratio": 1}, {"id": "b", "ratio": 2}]))
    monkeypatch.setitem(races.RACES, "score.choice", race)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, "score.choice")
    assert {name: row["ratio"] for name, row in kept(small).items()} == {"a": 3, "b": 2}
    assert kept(small)["a"]["taken"]
