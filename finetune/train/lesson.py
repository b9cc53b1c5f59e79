"""What a run learns from, in every process: rendered by one process of each machine, read by the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from finetune.chat import Chat
from finetune.data import Examples, chosen
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.tokenised import fetch
from finetune.train.journal import Journal
from finetune.train.watch import Watch
from finetune.world import World

T = TypeVar("T")


def lesson(recipe: Recipe, name: str, chat: Chat, world: World, watch: Watch, journal: Journal) -> Examples:
    """The contender's examples. BadInput: as `finetune.data.prepare` says, in every process.

    Who finds no kept rows after the first process had its turn (a full disk, a bad row) renders for itself. Rows that
    hold personal data by the recipe's leave are not kept: a cache outlives what they were given for.
    """
    first, fault, rows = bool(world.accelerator.is_local_main_process), None, None
    keep = recipe.allow_personal_data is None

    def through(work: Sequence[T]) -> Iterator[T]:
        for item in journal.through(work, "rendering rows"):
            watch.note("rendering rows")
            yield item

    if first:
        try:
            rows = fetch(recipe, name, chat, journal.say, through, keep=keep)
        except BadInput as found:
            fault = found
    watch.note("reading rows", waits=True)
    world.everywhere(0)
    if fault:
        raise fault
    rows = rows or fetch(recipe, name, chat, lambda text: None, through, keep=False)
    return chosen(recipe, name, chat, rows)
