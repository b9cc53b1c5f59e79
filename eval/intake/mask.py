"""Mask: copies of a card's files in which placeholders stand for personal data, and a card for the copies.

Format, encoding, delimiter, byte-order mark and gzip are kept, and in JSON Lines every line that holds nothing. One
number has one placeholder in all files of the card.
"""

import csv
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import yaml

from finetune.card import BadCard, DataCard, Reading, text_digest
from finetune.card.personal import Masker
from finetune.files import folder_whole

NAMED = re.compile(
    r"手机|电话|卡号|身份证|账[号户]|帐[号户]|客户|股东|phone|mobile|card|account|client|customer", re.IGNORECASE
)


def mask(path: Path, root: Path | None, folder: Path) -> dict[str, int]:
    """Write `folder` with the masked files and their card; counts of what was masked, by kind.

    BadCard: the folder is there already, or a file cannot be read; then nothing is written.
    """
    if folder.exists():
        raise BadCard(f"--mask {folder}: is there already, nothing was written; name a new folder")
    card, masker = DataCard.read(path), Masker()
    files = card.locate(root)

    def build(scratch: Path) -> None:
        sums = {}
        for source in sorted({path for found in files.paths.values() for path in found}):
            target = scratch / source.relative_to(files.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(source, target, card, masker)
            name = target.relative_to(scratch).as_posix()
            sums[name.removesuffix(".gz")] = text_digest(target)
        (scratch / f"{card.name}.md").write_text(_card(card, sums), "utf-8")

    folder_whole(folder, build, over=False)
    return masker.counts


def _card(card: DataCard, sums: dict[str, str]) -> str:
    front = card.model_dump(mode="json", exclude_defaults=True, exclude={"editions", "folder"})
    front |= {"folder": ".", "editions": {"masked": sums}}
    return f"---\n{yaml.safe_dump(front, allow_unicode=True, sort_keys=False)}---\n{card.body}"


def _copy(source: Path, target: Path, card: DataCard, masker: Masker) -> None:
    raw = gzip.decompress(source.read_bytes()) if source.suffix == ".gz" else source.read_bytes()
    encoding = card.reading.encoding
    if encoding == "utf-8-sig" and not raw.startswith(b"\xef\xbb\xbf"):
        encoding = "utf-8"
    try:
        text = raw.decode(encoding)
        ways = {"csv": _csv, "json": _json, "jsonl": _jsonl}
        done = ways[card.format](text, card.reading, masker).encode(encoding)
    except (ValueError, LookupError, csv.Error) as fault:
        raise BadCard(f"{source}: cannot be masked ({type(fault).__name__}); `tuneworth data check` says why") from None
    target.write_bytes(gzip.compress(done, mtime=0) if source.suffix == ".gz" else done)


def _csv(text: str, reading: Reading, masker: Masker) -> str:
    """The header tells what a cell with a bare number is."""
    csv.field_size_limit(2**31 - 1)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=reading.delimiter, strict=True))
    names, first = (reading.header, 0) if reading.header else (rows[0] if rows else [], 1)
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=reading.delimiter, lineterminator="\r\n" if "\r\n" in text else "\n")
    for number, cells in enumerate(rows):
        titled = [*names, *[""] * (len(cells) - len(names))]
        masked = [masker.mask(cell, name) for cell, name in zip(cells, titled, strict=False)]
        writer.writerow(cells if number < first else masked)
    return out.getvalue()


def _jsonl(text: str, reading: Reading, masker: Masker) -> str:
    return "\n".join(_line(line, masker) if line.strip() else line for line in text.split("\n"))


def _line(line: str, masker: Masker) -> str:
    found = json.loads(line)
    masked = _value(found, "", masker)
    return line if masked == found else json.dumps(masked, ensure_ascii=line.isascii())


def _json(text: str, reading: Reading, masker: Masker) -> str:
    found = json.loads(text)
    masked = _value(found, "", masker)
    indent = re.search(r"^[\[{]\n( +)", text)
    return (
        text
        if masked == found
        else json.dumps(masked, ensure_ascii=text.isascii(), indent=len(indent[1]) if indent else None)
    )


def _value(value: Any, called: str, masker: Masker) -> Any:
    """Texts masked throughout; a bare number only where its key says what it is."""
    if isinstance(value, str):
        return masker.mask(value, called)
    if isinstance(value, dict):
        return {key: _value(each, key, masker) for key, each in value.items()}
    if isinstance(value, list):
        return [_value(each, called, masker) for each in value]
    if isinstance(value, int | float) and not isinstance(value, bool) and NAMED.search(called):
        written = str(value).removesuffix(".0")
        masked = masker.mask(written, called)
        return value if masked == written else masked
    return value
