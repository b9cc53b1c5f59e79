"""Records: the plain rows of a CSV, JSON or JSONL file, gzipped or not, each with the place it stands at.

A broken file is refused at the broken place (`val.csv:12: ...`), never read around.
"""

import ast
import csv
import gzip
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from finetune.mistakes import BadInput

Format = Literal["csv", "json", "jsonl"]
Record = dict[str, Any]
MOJIBAKE = re.compile("â€.?|Ã[\x80-\xbf]|Â[\xa0-\xbf]|ï¼[\x80-\xbf]")  # UTF-8 read as Windows-1252 or Latin-1
MISREAD = re.compile(r"[^\x00-\x7f]{2,}")
HANZI = re.compile(rb"(?:[\xe4-\xe9][\x80-\xbf]{2}){4}")  # four in a row, as UTF-8 spells them: no text in GBK is so


class BadCard(BadInput):
    """A data card, or a file of it, is at fault: the message says where, what, and how to mend it."""


class Reading(BaseModel):
    """How files are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    encoding: str = Field("utf-8-sig", description="Of the text; utf-8-sig is UTF-8 with or without a byte-order mark")
    delimiter: str = Field(",", min_length=1, max_length=1, description="Between the cells of a CSV")
    header: tuple[str, ...] = Field((), description="Column names of a CSV whose first line is already data")
    records: str = Field("", description="Where a JSON file keeps its list of records, as key.key; empty: at the top")
    literal: tuple[str, ...] = Field((), description="Columns that hold a Python literal inside a string")
    blank: tuple[str, ...] = Field((), description="Texts that stand for no value, such as nan or 略。")
    mend: Literal["", "cp1252"] = Field(
        "", description="Encoding that UTF-8 was once misread in: cp1252 turns â€™ back into ’; empty: text stays"
    )
    nested: tuple[str, ...] = Field(
        (), description="Lists inside a record, outer to inner: a record for each, with the values around it"
    )


def read_records(path: Path, form: Format, reading: Reading, name: str) -> Iterator[tuple[str, Record]]:
    """(place, record) of every record; `name` is how the file is called in messages. BadCard at the first fault."""
    reader = {"csv": _csv, "json": _json, "jsonl": _jsonl}[form]
    whole = reader(_text(path, reading, name), reading, name)
    for place, record in (each for outer in whole for each in _unfolded(*outer, reading.nested)):
        record = {key: None if _is_blank(value, reading) else value for key, value in record.items()}
        yield place, {**record, **{column: _literal(record, column, place) for column in reading.literal}}


def misread(text: str) -> str:
    """Where a text holds UTF-8 that somebody read as Windows-1252 or as GBK (公司 as 鍏徃); empty where it does not."""
    if found := MOJIBAKE.search(text):
        return found[0]
    runs = MISREAD.findall(text)
    return next((run[:4] for run in runs if HANZI.search(run.encode("gb18030", "replace"))), "")


def refuse_halves(record: Record, place: str) -> None:
    """BadCard: half of a character, which JSON can spell and no file can hold."""
    text = json.dumps(record, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        raise BadCard(f"{place}: {text[fault.start]!r} is half of a character; repair its encoding") from None


def _is_blank(value: Any, reading: Reading) -> bool:
    return isinstance(value, str) and value.strip() in reading.blank


def _text(path: Path, reading: Reading, name: str) -> str:
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = raw.decode(reading.encoding)
        return MISREAD.sub(lambda found: _mended(found[0], reading.mend), text) if reading.mend else text
    except (gzip.BadGzipFile, EOFError) as fault:
        raise BadCard(f"{name}: not a whole gzip file ({fault}); get the file again") from None
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        what = f"byte 0x{raw[fault.start]:02x}: {fault.reason}"
        raise BadCard(f"{name}:{line}: not {reading.encoding} text ({what}); name the right reading.encoding") from None
    except LookupError as fault:
        raise BadCard(f"{name}: not {reading.encoding} text ({fault}); name the right reading.encoding") from None


def _mended(run: str, encoding: str) -> str:
    """Non-ASCII letters as the UTF-8 that their bytes are; as they stand where they are none."""
    try:
        # bytes that the encoding leaves undefined were kept as control characters of the same number
        return b"".join(c.encode("latin-1" if "\x80" <= c <= "\x9f" else encoding) for c in run).decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return run


def _unfolded(place: str, record: Record, path: tuple[str, ...]) -> Iterator[tuple[str, Record]]:
    """The records of the lists inside a record, each with the values around it; an inner value hides an outer one."""
    if not path:
        yield place, record
        return
    inner, *deeper = path
    if not isinstance(record.get(inner), list):
        raise BadCard(f"{place}: {inner} is no list of records; correct reading.nested")
    outer = {key: value for key, value in record.items() if key != inner}
    for number, each in enumerate(record[inner], 1):
        here = f"{place}.{number}"
        yield from _unfolded(here, {**outer, **_mapping(each, here)}, tuple(deeper))


def _csv(text: str, reading: Reading, name: str) -> Iterator[tuple[str, Record]]:
    csv.field_size_limit(2**31 - 1)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=reading.delimiter, strict=True)
    header, line = list(reading.header), 1
    try:
        for cells in rows:
            place, line = f"{name}:{line}", rows.line_num + 1
            if not header:
                header = _header(cells, place)
            elif cells:
                if len(cells) != len(header):
                    raise BadCard(f"{place}: {len(cells)} cells where the header has {len(header)}; quote its commas")
                yield place, dict(zip(header, cells, strict=True))
    except csv.Error as fault:
        raise BadCard(f"{name}:{line}: not CSV ({fault}); close its quotation marks") from None


def _header(cells: list[str], place: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise BadCard(f"{place}: the header names {twice[0]!r} twice; give every column a name of its own")
    return names


def _json(text: str, reading: Reading, name: str) -> Iterator[tuple[str, Record]]:
    try:
        found = _parsed(text)
    except json.JSONDecodeError as fault:
        raise BadCard(f"{name}:{fault.lineno}: not JSON ({fault.msg})") from None
    except _Twice as fault:
        raise BadCard(f"{name}: a record names {fault.args[0]!r} twice, with unlike values; keep one of them") from None
    except RecursionError:
        raise BadCard(f"{name}: brackets within brackets, too deep to be read; mend the file") from None
    for key in filter(None, reading.records.split(".")):
        if not isinstance(found, dict) or key not in found:
            raise BadCard(f"{name}: no {key} on the way to reading.records ({reading.records})")
        found = found[key]
    if not isinstance(found, list):
        raise BadCard(f"{name}: a list of records is needed, found {type(found).__name__}; name it: reading.records")
    for number, record in enumerate(found, 1):
        yield f"{name}#{number}", _mapping(record, f"{name}#{number}")


def _jsonl(text: str, reading: Reading, name: str) -> Iterator[tuple[str, Record]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{name}:{number}"
        try:
            found = _parsed(line)
        except json.JSONDecodeError as fault:
            raise BadCard(f"{place}: not JSON ({fault.msg} at column {fault.colno}); mend the line") from None
        except _Twice as fault:
            raise BadCard(f"{place}: {fault.args[0]!r} stands twice, with unlike values; keep one of them") from None
        except RecursionError:
            raise BadCard(f"{place}: brackets within brackets, too deep to be read; mend the line") from None
        yield place, _mapping(found, place)


class _Twice(Exception):  # noqa: N818
    """A key that an object has twice: which value would count is nobody's decision here."""


def _parsed(text: str) -> Any:
    return json.loads(text, parse_constant=lambda _: None, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next((key for key, value in pairs if found[key] != value), None)
        if twice is not None:
            raise _Twice(twice)
    return found


def _mapping(record: Any, place: str) -> Record:
    if not isinstance(record, dict):
        raise BadCard(f"{place}: a record of named values is needed, found {type(record).__name__}")
    return record


def _literal(record: Record, column: str, place: str) -> Any:
    value = record.get(column)
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise BadCard(f"{place}: {column} is {value[:60]!r}, no Python literal; correct reading.literal") from None
