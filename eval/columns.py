"""The item log in columns: `items.parquet` beside `items.jsonl`, all that judging needs, without questions and answers.

Rebuilt whenever the digest that it carries is not the log's. It holds nothing that the log does not: it can be deleted.
Judging reads arrays out of it: no object is made for a single answer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eval import items
from eval.items import ItemScore
from finetune.files import file_digest, make_whole

TEXTS = ("question", "text", "loglikelihoods")  # left out
NAMES = [name for name in ItemScore.model_fields if name not in TEXTS]
WORDS = ["scorer", "task", "id", "hash", "content", "cluster", "part", "lang", "protocol", "outcome"]
WORDS += ["engine", "template"]
WORDS += ["options", "gold", "extracted"]  # what was named, for metrics over labels
SECOND = "second"  # what the answer is worth by a second reading; not a number where there is none
SECOND_WRONG = "second_wrong"  # 1 where that reading calls it wrong, else 0; the same
REREAD = [SECOND, SECOND_WRONG]
NUMBERS = ["sample", "score", "seconds", "tokens_in", "tokens_thinking", "tokens_out", "given", "figures"]
NUMBERS += ["unsupported", *REREAD]
DIGEST = b"items.jsonl sha256"
BATCH = 2048  # answers that stand as objects at once


@dataclass(frozen=True)
class Reading:
    """A second way to read answers, strict where the first is lenient: its name, what it gives for an answer, and
    whether it calls that wrong."""

    mark: str
    score: Callable[[ItemScore], tuple[float, bool]]


@dataclass(frozen=True, eq=False)
class Columns:
    """Answers in columns: WORDS coded, since each stands often, and NUMBERS. `table` is a pyarrow.Table of these."""

    table: Any

    @classmethod
    def of(cls, rows: Iterable[ItemScore], second: Reading | None = None) -> Self:
        """From answers at hand."""
        return cls(_table(list(rows), [*WORDS, *NUMBERS], second))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """One after another."""
        import pyarrow as pa

        coded = [pa.table([_encoded(part.table[name]) for name in WORDS], WORDS) for part in parts]
        plain = [part.table.select(NUMBERS) for part in parts]
        table = pa.concat_tables(coded).unify_dictionaries().combine_chunks()
        for name, column in zip(NUMBERS, pa.concat_tables(plain).columns, strict=True):
            table = table.append_column(name, column)
        return cls(table)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def numbers(self, name: str) -> NDArray[Any]:
        """[n] of one of NUMBERS; NaN where it is not known."""
        return np.asarray(self.table[name].to_numpy())

    def coded(self, name: str) -> tuple[NDArray[np.intp], list[str]]:
        """[n] places among the distinct words of one of WORDS; -1 where there is none."""
        column = _encoded(self.table[name]).unify_dictionaries().combine_chunks()
        codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return codes.astype(np.intp), column.dictionary.to_pylist()

    def where(self, name: str, word: str) -> Self:
        """The answers with this word."""
        codes, words = self.coded(name)
        return self.chosen(codes == words.index(word) if word in words else np.zeros(len(self), dtype=bool))

    def within(self, name: str, among: Collection[str], inside: bool) -> Self:
        """The answers whose word is among these, or is not."""
        codes, words = self.coded(name)
        return self.chosen(np.array([(word in among) == inside for word in words], dtype=bool)[codes])

    def chosen(self, wanted: NDArray[np.bool_]) -> Self:
        """The answers that `wanted` [n] marks."""
        return self if wanted.all() else type(self)(self.table.filter(wanted))


def place_of(log: Path) -> Path:
    return log.with_suffix(".parquet")


def read(log: Path, second: Reading | None = None) -> Columns:
    """The answers of a log: from the columns beside it where these are current, else from the log.

    BadInput as `items.read`. A folder that cannot be written is read all the same.
    """
    if not log.is_file():
        return Columns.of([])
    mark = f"{file_digest(log)} {second.mark if second else ''}"
    found = _kept(place_of(log), mark)
    if found is not None:
        return found
    table = _made(log, second)
    with suppress(OSError):  # what cannot be kept is read from the log again
        _keep(log, mark, table)
    return Columns(table.select([*WORDS, *NUMBERS]))


def glance(log: Path) -> Columns:
    """As `read`, for whoever only looks on: whatever second reading is kept will do, and nothing is written."""
    found = _kept(place_of(log), file_digest(log)) if log.is_file() else None
    return found or Columns.of(items.read(log))


def _kept(path: Path, mark: str) -> Columns | None:
    """None where the columns are not there, of another log or version, or damaged. A mark without a second reading
    (one word) takes any."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if not path.is_file():
            return None
        schema = pq.read_schema(path)
        said = (schema.metadata or {}).get(DIGEST, b"").decode()
        if (said if " " in mark else said.partition(" ")[0]) != mark or schema.names != [*NAMES, *REREAD]:
            return None
        return Columns(pq.read_table(path, columns=[*WORDS, *NUMBERS], read_dictionary=WORDS))
    except (pa.ArrowException, OSError):
        return None


def _keep(log: Path, mark: str, table: Any) -> None:
    """As readable as the log is: one of a private card is its owner's."""
    import pyarrow.parquet as pq

    def build(scratch: Path) -> None:
        items.close(scratch)
        pq.write_table(table.replace_schema_metadata({DIGEST: mark.encode()}), scratch)
        os.chmod(scratch, log.stat().st_mode & 0o777)

    make_whole(place_of(log), build)


def _made(log: Path, second: Reading | None) -> Any:
    """All columns of a log, some answers at a time: what stands is looked through for garbage again and again."""
    import pyarrow as pa

    rows, names = iter(items.rows(log, ItemScore, "an item score")), [*NAMES, *REREAD]
    parts = iter(lambda: _table(list(islice(rows, BATCH)), names, second), _table([], names, second))
    return pa.concat_tables([_table([], names, second), *parts]).combine_chunks()


def _table(rows: Sequence[ItemScore], names: Sequence[str], second: Reading | None) -> Any:
    import pyarrow as pa

    kinds: dict[Any, Any] = {int: pa.int64(), int | None: pa.int64(), float: pa.float64(), float | None: pa.float64()}
    types: dict[str, Any] = {n: float if n in REREAD else ItemScore.model_fields[n].annotation for n in names}
    schema = pa.schema([(name, kinds.get(kind, pa.string())) for name, kind in types.items()])
    held = [name for name in names if name not in REREAD]
    told = zip(*map(attrgetter(*held), rows), strict=True) if rows else ([] for _ in held)
    data: dict[str, Sequence[Any]] = dict(zip(held, told, strict=True))
    anew = [second.score(row) if second else (np.nan, np.nan) for row in rows]
    data |= {name: [float(each[at]) for each in anew] for at, name in enumerate(REREAD)}
    data["options"] = [json.dumps(options, ensure_ascii=False) for options in data["options"]]
    return pa.table(data, schema=schema)


def _encoded(column: Any) -> Any:
    """A column of words, each word once beside its places."""
    import pyarrow as pa

    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
