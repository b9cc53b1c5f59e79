"""The gain against the number of rows: contenders alike but for the share of the training rows that they see.

The question it answers: is more data what is missing? Shares are nested (the rows of 0.1 are among those of 0.3), so a
curve over them is not one of luck with rows.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from finetune.recipe.sections import Contender


def apart(raw: Any) -> Any:
    """A recipe's mapping with `data_share: [0.1, 0.3, 1]` of a contender written out, one contender for each share.

    The one with all rows keeps its name, `lora`; the others are `lora_0.1`, `lora_0.3`, and stand before it.
    ValueError: no 1 among the shares, a share that is no number or stands twice, a name that is taken.
    """
    contenders = raw.get("contenders") if isinstance(raw, dict) else None
    if not isinstance(contenders, dict):
        return raw
    found: dict[str, Any] = {}
    for name, chosen in contenders.items():
        made = _written_out(name, chosen)
        for taken in found.keys() & made.keys():
            raise ValueError(f"contenders.{taken}: a data_share of another contender needs this name; give it another")
        found |= made
    return {**raw, "contenders": found}


def _written_out(name: str, chosen: Any) -> dict[str, Any]:
    shares = chosen.get("data_share") if isinstance(chosen, dict) else None
    if not isinstance(shares, list):
        return {name: chosen}
    if 1 not in shares or any(type(each) not in (int, float) or shares.count(each) > 1 for each in shares):
        raise ValueError(
            f"contenders.{name}.data_share: {shares}; a list holds numbers, each once, and among them 1: all rows, "
            f"which keeps the name {name}"
        )
    return {name if each == 1 else f"{name}_{each}": {**chosen, "data_share": each} for each in sorted(shares)}


def families(contenders: Mapping[str, Contender]) -> list[tuple[str, ...]]:
    """Contenders tuned here that are alike in every key but `data_share`, whatever their names; smallest share first.

    Two shares at least make a family; of two that are alike in their share too, the first stands for both.
    """
    found: list[tuple[dict[str, Any], dict[float, str]]] = []
    for name, chosen in contenders.items():
        if chosen.method is None:
            continue
        rest = chosen.model_dump(exclude={"data_share"})
        shares = next((shares for known, shares in found if known == rest), None)
        if shares is None:
            found.append((rest, shares := {}))
        shares.setdefault(chosen.data_share, name)
    return [tuple(shares[each] for each in sorted(shares)) for _, shares in found if len(shares) > 1]


def within(question: str, share: float) -> bool:
    """Whether a row is among a share of the rows, by the hash of its (normalised) question: a larger share holds a
    smaller one.

    The hash is not that of the dev split, whose rows would else be the first to go into every share.
    """
    head = hashlib.sha256(f"share/{question}".encode()).digest()[:8]
    return int.from_bytes(head) < share * 2**64
