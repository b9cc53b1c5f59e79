"""Option twins: the same choice with its options in another order, the gold's letters moved along (arXiv 2309.03882).

Not made where an option speaks of others, by letter or as all or none of them: its meaning lies in the order.
"""

import random
import re

from finetune.card import LETTERS, Row

REFERS = re.compile(
    r"以上|上述|前述|前[两二三]|都[不是对错正]|均[不是对错正为可]|全[部都]|皆|(?<![A-Za-z])[A-J](?:\s*[、,，和与及/]\s*|\s*(?:and|or|&)\s*)[A-J](?![A-Za-z])"
    r"|\b(?:all|none|both|neither|any|either)\s+(?:of\s+)?(?:the\s+)?(?:above|these|those|options|answers|choices|[A-J]\b|of\b)"
    r"|\babove\b|\bboth\b|\bneither\b",
    re.I,
)


def permuted(row: Row) -> Row | None:
    """The twin, fixed by the item's id: every gold option gets another letter where there are enough."""
    if len(row.options) < 2 or not row.answer or len(set(row.options)) < len(row.options):
        return None
    if any(REFERS.search(option) for option in row.options):
        return None
    order = _order(row)
    answer = "".join(sorted(LETTERS[order.index(LETTERS.index(letter))] for letter in row.answer))
    return row.model_copy(update={"options": tuple(row.options[place] for place in order), "answer": answer})


def _order(row: Row) -> list[int]:
    """A draw in which the gold moves, all of it at best: new place -> old place."""
    drawn = random.Random(row.id)  # noqa: S311 (a seeded draw, no secret)
    golds = [LETTERS.index(letter) for letter in row.answer or ""]
    orders = []
    for _ in range(20):
        order = list(range(len(row.options)))
        drawn.shuffle(order)
        orders.append(order)
    return min(orders, key=lambda order: (order == sorted(order), sum(order[place] == place for place in golds)))
