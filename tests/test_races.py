"""How the benchmark counts: which ways of a peer go on after the first turn, and which of them is compared with."""

from tests.benchmarks import training


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
