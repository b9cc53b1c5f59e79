"""The item log: whole rows survive, a torn last line is dropped, a broken one is refused with its number."""

import re

import pytest

from eval.items import ItemScore, append, read


def row(i: int, **changes) -> ItemScore:
    facts = {
        "contender": "old", "seed": 0, "scorer": "s", "task": "t", "id": str(i), "hash": "h", "content": "c",
        "cluster": "k", "part": "test", "lang": "zh", "protocol": "generated", "sample": 0, "question": "问",
        "gold": "A", "text": "答案是A\n", "finish": "stop", "extracted": "A", "rule": "announced", "outcome": "correct",
        "score": 1.0, "tokens_in": 3, "tokens_thinking": 0, "tokens_out": 2, "seconds": 0.1,
    }  # fmt: skip
    return ItemScore(**(facts | changes))


def test_what_is_appended_is_read_back(tmp_path):
    log = tmp_path / "items.jsonl"
    rows = [row(i) for i in range(5)]
    append(log, rows[:2])
    append(log, rows[2:])
    assert read(log) == rows


@pytest.mark.parametrize("cut", [1, 20, 150, 182, 183])  # the last two within a character
def test_a_torn_last_line_is_dropped_and_written_over(tmp_path, cut):
    log = tmp_path / "items.jsonl"
    append(log, [row(0), row(1)])
    whole = log.read_bytes()
    log.write_bytes(whole[:-cut])
    assert read(log) == [row(0)]
    append(log, [row(1)])
    assert log.read_bytes() == whole


def test_a_broken_line_in_the_middle_is_refused_by_number(tmp_path):
    log = tmp_path / "items.jsonl"
    append(log, [row(0), row(1), row(2)])
    lines = log.read_text().splitlines(keepends=True)
    log.write_text(lines[0] + "{oops\n" + lines[2])
    with pytest.raises(ValueError, match=r"items\.jsonl:2: not an item score"):
        read(log)


def test_unknown_keys_are_refused():
    with pytest.raises(ValueError, match="surprise"):
        row(0, surprise=1)


@pytest.mark.parametrize(("name", "value"), [("seconds", "Infinity"), ("seconds", "-0.5"), ("tokens_out", "-2")])
def test_what_no_answer_can_have_taken_is_refused_by_line(tmp_path, name, value):
    """Money would be made of it."""
    log = tmp_path / "items.jsonl"
    append(log, [row(0), row(1)])
    first, second = log.read_text().splitlines(keepends=True)
    log.write_text(first + re.sub(f'"{name}":[^,]+', f'"{name}":{value}', second))
    with pytest.raises(ValueError, match=rf"items\.jsonl:2: not an item score.*{name}"):
        read(log)
