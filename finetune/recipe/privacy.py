"""Privacy of training data: rows with personal data are not trained on, unless the recipe says why they may be.

What was found is said by card, row and kind, never as the number itself. The cache keeps ids and kinds of it.
"""

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from finetune.card.personal import find
from finetune.files import cache_folder, digest_of, remember
from finetune.mistakes import BadInput
from finetune.recipe.named import DataUse
from finetune.recipe.source import data_root

if TYPE_CHECKING:
    from finetune.recipe import Recipe

PERSONAL_CODE = 4  # raised when a change of finetune.card.personal finds more or less
Rows = dict[str, list[str]]  # id of a row -> kinds that it holds
KEPT = TypeAdapter(Rows)


def refuse_personal(recipe: "Recipe", contender: str) -> None:
    """BadInput: a row that the contender would be tuned on holds personal data, and the recipe does not allow it."""
    if recipe.allow_personal_data:
        return
    for use in recipe.data_of(contender):
        found = personal_rows(use, data_root())
        if found:
            row, kinds = next(iter(found.items()))
            counts = Counter(kind for held in found.values() for kind in held)
            told = ", ".join(f"{kind} in {n}" for kind, n in counts.items())
            more = f", as do {len(found) - 1} rows more ({told} in all)" if len(found) > 1 else ""
            raise BadInput(
                f"data: {use.card.name}#{use.split}:{row}: holds personal data ({', '.join(kinds)}){more}; mask them "
                f"with `tuneworth data check {use.card.path} --mask FOLDER`, or say in the recipe why they may be "
                f"trained on: allow_personal_data: <reason>"
            )


def personal_rows(use: DataUse, root: Path | None) -> Rows:
    """Rows of a card's split that hold personal data, with its kinds."""
    note = cache_folder() / "personal" / f"{digest_of([PERSONAL_CODE, use.card.digest(root), use.split])[:32]}.json"
    with suppress(OSError, ValidationError):  # there is none, or it is broken, which must not pass for no finding
        return KEPT.validate_json(note.read_bytes(), strict=True)
    found: Rows = {}
    for row in use.card.rows(root, use.split):
        text = "\n".join(turn.content for turn in row.conversation())
        if kinds := sorted({each.kind for each in find(text)}):
            found[row.id] = list(kinds)
    remember(note, json.dumps(found, ensure_ascii=False))
    return found
