"""A checkpoint's tokenizer: read without its limits, its markers and stops found by id, its faults refused."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer

from finetune.mistakes import BadInput

PUBLISHED = 100_000  # entries: a tokenizer of this size is a published one and must have the documented ids
LOSSLESS = "Net profit rose 3.5% to 1,024.\n\n  if x:\treturn  y\n净利润同比增长，股价上涨；答案是“B”。"


def read(path: Path) -> tuple[Tokenizer, Tokenizer]:
    """The tokenizer, and a copy without added tokens. Limits and padding saved in the file would cut rows unseen."""
    try:
        text = path.read_text("utf-8")
        whole = json.loads(text) | {"truncation": None, "padding": None}
        bare = whole | {"added_tokens": [], "post_processor": None}
        return Tokenizer.from_str(json.dumps(whole)), Tokenizer.from_str(json.dumps(bare))
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file; a checkpoint needs its tokenizer.json") from None
    except Exception as fault:  # the library raises bare Exceptions
        raise BadInput(f"{path}: not a tokenizer.json ({fault}); fetch it again from its source") from None


def marker(tokenizer: Tokenizer, text: str, known: int | None, family: str, path: Path) -> int:
    """Id of a marker: the documented one in a published tokenizer, the found one in a tiny tokenizer."""
    found = tokenizer.encode(text, add_special_tokens=False).ids
    published = tokenizer.get_vocab_size() >= PUBLISHED
    if len(found) == 1 and (found == [known] or known is None or not published):
        return found[0]
    expected = f"expected {known}" if published and known is not None else "expected one"
    raise BadInput(
        f"{path}: marker {text} is {len(found)} token{'s' * (len(found) != 1)} {found}, {expected}: "
        f"not a tokenizer of family {family}; name the family that the checkpoint belongs to"
    )


def declared_stops(folder: Path, tokenizer: Tokenizer) -> list[int]:
    """`eos_token_id` of the checkpoint's configuration."""
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        found = json.loads(path.read_text("utf-8")).get("eos_token_id") if path.is_file() else None
        stops = [found] if isinstance(found, int) else list(found or [])
        for stop in stops:
            if tokenizer.id_to_token(stop) is None:
                raise BadInput(f"{path}: eos_token_id {stop} is no token of {folder / 'tokenizer.json'}; correct it")
        if stops:
            return stops
    raise BadInput(f"{folder}: no eos_token_id in generation_config.json or config.json; family plain stops by it")


def refuse_faults(tokenizer: Tokenizer, words: Tokenizer, control: set[int], path: Path) -> None:
    """Text that comes back changed (some libraries' load paths lost every space), or text that can become control."""
    ids = words.encode(LOSSLESS, add_special_tokens=False).ids
    back = tokenizer.decode(ids, skip_special_tokens=False)
    if back != LOSSLESS:
        raise BadInput(f"{path}: {LOSSLESS!r} comes back as {back!r}; the tokenizer loses text, fetch it again")
    for token in sorted(control):
        text = tokenizer.id_to_token(token)
        if control & set(words.encode(text, add_special_tokens=False).ids):
            raise BadInput(f"{path}: written text {text!r} becomes a control token; rebuild it with markers added")
