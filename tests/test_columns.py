"""The item log in columns: what judging reads equals the log, whatever happened to either file."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from small_exam import HANGS
from written_exam import row

from eval import columns, items
from eval.labels import corpus_rows
from eval.sheet import Sheet


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "items.jsonl"
    outcomes = [("correct", 1.0, "A"), ("wrong", 0.25, "B，C"), ("unparsed", 0.0, None)]
    facts = [{"outcome": outcome, "score": score, "extracted": read} for outcome, score, read in outcomes]
    items.append(path, [row("任务", i, text=f"答案 {i}", options=("甲", "乙"), **facts[i % 3]) for i in range(30)])
    return path


def bare(log):
    """What judging needs of each answer, made from the log row by row."""
    wanted = {*columns.WORDS, *columns.NUMBERS} - {columns.SECOND}
    rows = [each.model_dump(mode="json", include=wanted) for each in items.read(log)]
    return [row | {"options": json.dumps(row["options"], ensure_ascii=False)} for row in rows]


def rows(found):
    assert np.isnan(found.numbers(columns.SECOND)).all(), "there was no second reading"
    return found.table.drop_columns([columns.SECOND]).to_pylist()


def from_columns(log, monkeypatch):
    """As read where the log itself may not be opened."""
    with monkeypatch.context() as sealed:
        sealed.setattr(items, "read", lambda path: pytest.fail("the log was read"))
        return columns.read(log)


def test_columns_give_what_the_log_gives_without_its_texts(log, monkeypatch):
    assert rows(columns.read(log)) == bare(log)
    found = from_columns(log, monkeypatch)
    assert rows(found) == bare(log)
    assert found.numbers("score")[:3].tolist() == [1.0, 0.25, 0.0]
    codes, words = found.coded("extracted")
    assert [words[code] if code >= 0 else None for code in codes[:3]] == ["A", "B，C", None]
    assert b"\xe7\xad\x94\xe6\xa1\x88" not in columns.place_of(log).read_bytes()  # no text of an answer


def test_metrics_over_labels_find_in_the_columns_what_the_log_named(tmp_path, monkeypatch):
    log, named = tmp_path / "items.jsonl", "ABCA"
    facts = [{"options": ("涨", "跌", "平"), "gold": "A", "extracted": letter} for letter in named]
    graded = [{"outcome": "correct" if letter == "A" else "wrong", "score": float(letter == "A")} for letter in named]
    items.append(
        log, [row("任务", i, **fact, **grade) for i, (fact, grade) in enumerate(zip(facts, graded, strict=True))]
    )
    columns.read(log)
    told = [Sheet.of("x", {0: log}) for log in (items.read(log), from_columns(log, monkeypatch))]
    assert corpus_rows(told[1], told[1], 0.95) == corpus_rows(told[0], told[0], 0.95) != ()


@pytest.mark.parametrize("size", [1, 7, 30, 31])
def test_a_log_read_in_parts_is_the_same_log(log, monkeypatch, size):
    whole = rows(columns.read(log))
    columns.place_of(log).unlink()
    monkeypatch.setattr(columns, "BATCH", size)
    assert rows(columns.read(log)) == whole == bare(log)


def test_a_log_that_changed_is_read_again(log, monkeypatch):
    columns.read(log)
    items.append(log, [row("任务", 30)])
    assert len(columns.read(log)) == 31
    assert len(from_columns(log, monkeypatch)) == 31


def test_a_second_reading_is_kept_and_another_one_read_anew(log, monkeypatch):
    seen = []

    def reading(mark, worth):
        return columns.Reading(mark, lambda answer: seen.append(answer.id) or worth * answer.score)

    assert columns.read(log, reading("half", 0.5)).numbers("second")[:3].tolist() == [0.5, 0.125, 0.0]
    seen.clear()
    assert columns.read(log, reading("half", 0.5)).numbers("second")[:3].tolist() == [0.5, 0.125, 0.0]
    assert seen == []
    assert columns.read(log, reading("none", 0.0)).numbers("second").sum() == 0


@pytest.mark.parametrize("harm", [b"", b"PAR1 oops", b"x" * 5000])
def test_damaged_columns_are_built_anew(log, monkeypatch, harm):
    columns.read(log)
    columns.place_of(log).write_bytes(harm)
    assert rows(columns.read(log)) == bare(log)
    assert rows(from_columns(log, monkeypatch)) == bare(log)


def test_columns_of_another_version_are_built_anew(log, monkeypatch):
    columns.read(log)
    with monkeypatch.context() as younger:
        younger.setattr(columns, "NAMES", columns.NAMES[:-1])
        assert columns._kept(columns.place_of(log), columns.file_digest(log)) is None
    assert rows(from_columns(log, monkeypatch)) == bare(log)


def test_a_folder_that_cannot_be_written_is_read_all_the_same(log, monkeypatch):
    def full(path, build):
        raise OSError("no space left on device")

    monkeypatch.setattr(columns, "make_whole", full)
    assert rows(columns.read(log)) == bare(log)
    assert not columns.place_of(log).exists()


def test_columns_are_as_readable_as_their_log(log):
    for mode in (0o600, 0o644):
        os.chmod(log, mode)
        items.append(log, [row("任务", mode)])
        columns.read(log)
        assert columns.place_of(log).stat().st_mode & 0o777 == mode


def test_a_log_that_is_not_there_has_no_rows(tmp_path):
    assert len(columns.read(tmp_path / "items.jsonl")) == 0


def test_a_kill_while_they_are_written_leaves_the_log_to_be_read(log):
    """SIGKILL in the middle of the file: nothing of it stands under its name, and the next reader builds it."""
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nimport pyarrow.parquet as pq\nfrom eval import columns\n"
        "whole = pq.write_table\n"
        "def half(table, path):\n"
        "    whole(table, path)\n"
        "    os.truncate(path, os.path.getsize(path) // 2)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "pq.write_table = half\n"
        "columns.read(Path(sys.argv[1]))"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(log)], check=False, timeout=HANGS)
    assert killed.returncode == -signal.SIGKILL
    assert not columns.place_of(log).exists()
    found = columns.read(log)
    assert len(found) == len(items.read(log))
    assert columns.place_of(log).is_file()
    assert found.numbers("score").tolist() == columns.read(log).numbers("score").tolist()
