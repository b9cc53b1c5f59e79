"""The item log in columns: `items.parquet` beside `items.jsonl`, all that judging needs, without questions and answers.

Rebuilt whenever the digest that it carries is not the log's. It holds nothing that the log does not: it can be deleted.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from eval import items
from eval.items import ItemScore
from finetune.files import file_digest, make_whole

TEXTS: dict[str, Any] = {"question": "", "text": "", "loglikelihoods": ()}  # left out
NAMES = [name for name in ItemScore.model_fields if name not in TEXTS]
WORDS = ["contender", "scorer", "task", "part", "lang", "protocol", "finish", "rule", "outcome", "engine", "version"]
WORDS += ["options", "gold", "extracted"]  # what was named, for metrics over labels
STATE = {"__pydantic_fields_set__": set(NAMES), "__pydantic_extra__": None, "__pydantic_private__": None}
DIGEST = b"items.jsonl sha256"


def place_of(log: Path) -> Path:
    return log.with_suffix(".parquet")


def read(log: Path) -> list[ItemScore]:
    """The rows of a log without their texts: from the columns where these are current, else from the log.

    BadInput as `items.read`. A folder that cannot be written is read all the same.
    """
    if not log.is_file():
        return []
    digest = file_digest(log)
    found = _kept(place_of(log), digest)
    if found is not None:
        return found
    rows = [row.model_copy(update=TEXTS) for row in items.read(log)]
    with suppress(OSError):  # what cannot be kept is read from the log again
        _keep(log, digest, rows)
    return rows


def _kept(path: Path, digest: str) -> list[ItemScore] | None:
    """None where the columns are not there, of another log or version, or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, read_dictionary=WORDS) if path.is_file() else None
    except (pa.ArrowException, OSError):
        return None
    if table is None or (table.schema.metadata or {}).get(DIGEST) != digest.encode() or table.column_names != NAMES:
        return None
    columns = [_values(name, table.column(name)) for name in NAMES]
    return [_row(dict(zip(NAMES, values, strict=True))) for values in zip(*columns, strict=True)]


def _values(name: str, column: Any) -> list[Any]:
    """As Python has them; a word that stands often (outcome, task, digests of a template) is one object."""
    coded = column.combine_chunks()
    words = coded.dictionary.to_pylist() if hasattr(coded, "dictionary") else None
    if name == "options" and words is not None:
        words = [tuple(json.loads(word)) for word in words]
    return coded.to_pylist() if words is None else [None if i is None else words[i] for i in coded.indices.to_pylist()]


def _row(values: dict[str, Any]) -> ItemScore:
    """What this version wrote is not validated again: set as pickle does, which takes a small part of the time."""
    row = ItemScore.__new__(ItemScore)
    row.__setstate__({"__dict__": values | TEXTS, **STATE})
    return row


def _keep(log: Path, digest: str, rows: list[ItemScore]) -> None:
    """As readable as the log is: one of a private card is its owner's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds: dict[Any, Any] = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    fields = [pa.field(name, kinds.get(ItemScore.model_fields[name].annotation or str, pa.string())) for name in NAMES]
    data = {name: [getattr(row, name) for row in rows] for name in NAMES}
    data["options"] = [json.dumps(options, ensure_ascii=False) for options in data["options"]]
    table = pa.table(data, schema=pa.schema(fields, metadata={DIGEST: digest.encode()}))

    def build(scratch: Path) -> None:
        items.close(scratch)
        pq.write_table(table, scratch)
        os.chmod(scratch, log.stat().st_mode & 0o777)

    make_whole(place_of(log), build)
