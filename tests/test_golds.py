"""Every task of the shelf loads its file, with the items and the distribution of golds that its card tells."""

from __future__ import annotations

from collections import Counter

import pytest

from eval.benchmark import SHELF, Task, find, find_card, read_task

OURS = ("demo_", "notices_")  # made by this project, and committed
NAMES = sorted(path.stem for path in SHELF.glob("*/*.yaml"))
FEW, SHORT = 10, 20  # golds that are counted one by one; characters of one that is quoted


def told(task: Task) -> str:
    """How many items, and how often which gold."""
    golds = Counter(str(row.answer) for row in task.rows)
    if len(golds) <= FEW and all(len(gold) <= SHORT for gold in golds):
        each = ", ".join(f"{gold} {count:,}" for gold, count in sorted(golds.items()))
    else:
        gold, count = min(golds.items(), key=lambda one: (-one[1], one[0]))
        often = f", most often {gold} ({count:,})" if count > 1 and len(gold) <= SHORT else ""
        each = f"{len(golds):,} different{often}"
    return f"- `{task.name}`: {len(task.rows):,} items; {each}"


def holds(name: str) -> None:
    task = read_task(*find(name))
    assert told(task) in find_card(task.card.name).body.partition("**Golds**")[2].splitlines()


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(OURS)])
def test_golds_of_committed_sets_are_those_of_the_card(name):
    holds(name)


@pytest.mark.data
@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(OURS)])
def test_golds_of_real_sets_are_those_of_the_card(shared_data, monkeypatch, name):
    monkeypatch.setenv("TUNEWORTH_DATA", str(shared_data))
    folder, _ = find(name)
    if folder.name in ("financeiq", "tatqa"):
        pytest.skip("its files are not at hand")
    assert read_task(*find(name)).edition in ("subset", "official")
    holds(name)
