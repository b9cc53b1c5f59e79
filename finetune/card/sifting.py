"""Sifting: the records of a split's files, one by one, into rows and faults."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finetune.card.columns import plain
from finetune.card.edition import Files, Split, name_of
from finetune.card.form import Form
from finetune.card.likeness import normalise
from finetune.card.question import Row
from finetune.card.records import MOJIBAKE, BadCard, Format, Reading, misread, read_records, refuse_halves


def sift(files: Files, split: str, chosen: Split, form: Form, written: Format, reading: Reading) -> Iterator[Row | str]:
    """Rows and faults of a split's files; what is broken as a whole file is one fault."""
    seen: dict[str, str] = {}
    for path in files.paths[split]:
        file = name_of(path, files.folder)
        for number, found in enumerate(_records(path, file, written, reading)):
            if isinstance(found, str):
                yield found
                continue
            place, record = found
            try:
                if _left_out(record, chosen, place):
                    continue
                refuse_halves(record, place)
                row = form.row(record, place=place, file=file, number=number, several=chosen.several)
                if row is None or (chosen.half is not None and _half(row) != chosen.half):
                    continue
                _refuse_misread(row, place, reading)
                first = seen.setdefault(row.id, place)
                yield row if first == place else f"{place}: id {row.id!r} is already at {first}; make ids unique"
            except BadCard as fault:
                yield str(fault)


def _records(path: Path, file: str, written: Format, reading: Reading) -> Iterator[tuple[str, dict[str, Any]] | str]:
    """(place, record) pairs; a break that ends the reading of a file comes as its last."""
    empty = True
    try:
        for found in read_records(path, written, reading, file):
            empty = False
            yield found
        if empty:
            yield f"{file}: no record in it; get the file again, or take it out of splits"
    except BadCard as fault:
        yield str(fault)


def _refuse_misread(row: Row, place: str, reading: Reading) -> None:
    """BadCard: what is shown holds UTF-8 that somebody read as Windows-1252 or GBK."""
    if reading.mend:
        return
    shown = [row.question, row.context, row.answer or "", *row.options, *(turn.content for turn in row.messages)]
    if found := next(filter(None, map(misread, shown)), ""):
        remedy = "set reading.mend: cp1252, or correct it"
        if not MOJIBAKE.search(found):
            remedy = "it is UTF-8 that was read as GBK; get the file again and keep its encoding"
        raise BadCard(f"{place}: {found!r} was decoded wrongly; {remedy}")


def _left_out(record: dict[str, Any], split: Split, place: str) -> bool:
    for column, values in split.where.items():
        if column not in record:
            raise BadCard(f"{place}: no column {column!r}, by which the split chooses; correct `where`")
        if plain(record[column]) not in values:
            return True
    return False


def _half(row: Row) -> int:
    return hashlib.sha256(normalise(row.asked).encode()).digest()[0] & 1
