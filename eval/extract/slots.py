"""Slots: the records that an answer states, and for each its fields; of exchange notices contracts with their terms.

A task declares its fields (`eval.extract.fields`); below, "contract" is the field that tells records apart. Units are
pairs of contract and slot. A value that is the gold's is a true positive; another one is a false positive and
a false negative; one where the gold has none, or of a contract that the gold has not, a false positive; none where the
gold has one a false negative. The contract itself is a slot. What is absent on both sides counts nothing.

    F1 = 2 TP / (2 TP + FP + FN)        (van Rijsbergen 1979; slot filling: Tjong Kim Sang & De Meulder 2003)

over the pairs of one answer (its score) or of all (micro), and a mean over the slots (macro; eval/labels.py).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.extract.fields import NOTICES, WORDS, Fields
from eval.extract.passages import FORM, boxes, clean

SLOTS = tuple(NOTICES.kinds)
CODE = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{1,2} ?-?[0-9]{4}(?![0-9])")
BETWEEN = r"[ \t_*\"'-]{0,3}"  # what folding drops within a name
ALONE = re.compile(  # a line that is a contract and nothing else
    rf"^[ \t#*-]{{0,8}}(?:合约|contract)?[: \t]{{0,8}}(?P<code>{CODE.pattern})[ \t]{{0,8}}(?:合约)?[ \t*:]{{0,8}}$",
    re.M | re.I,
)
HEADED = re.compile(  # a line that a contract begins: AX2803: margin rate 16.5%
    rf"^[ \t#*•-]{{0,8}}(?:[0-9]{{1,2}}[.)、][ \t]{{0,8}})?(?:合约|contract)?[ \t]{{0,8}}(?P<code>{CODE.pattern})"
    r"(?:合约)?[ \t*]{0,8}[:,](?=[ \t]{0,8}[^\s*])",
    re.M | re.I,
)
LEADS = re.compile(r"(?:调整?)?(?:[为是至]|is|at|of)?[ \t]{0,8}$")
RULE = re.compile(r"^[ \t|:-]+$")
MOST = 200  # brackets looked at: an answer that loops stays cheap
Record = dict[str, str | None]


@dataclass(frozen=True)
class Counts:
    """Pairs of one slot: found rightly, found wrongly, missed."""

    right: int = 0
    extra: int = 0
    missed: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.right + other.right, self.extra + other.extra, self.missed + other.missed)

    @property
    def f1(self) -> float:
        total = 2 * self.right + self.extra + self.missed
        return 2 * self.right / total if total else 1.0


def read(text: str, *, lenient: bool = True, fields: Fields = NOTICES) -> tuple[list[Record] | None, str]:
    """Records that a text states, and the rule; None: it states none. Strictly: JSON with all keys."""
    if not lenient:
        return _form(FORM.sub("", text), fields)
    found = boxes(text)
    region = found[-1][2] if found else text
    for rule, take in (("json", _json), ("table", _table), ("lines", _lines)):
        records = take(region, fields)
        if records is not None:
            return merged(records, fields), rule
    return None, "none"


def merged(records: Iterable[Mapping[str, Any]], fields: Fields = NOTICES) -> list[Record]:
    """Records with values in one writing, each contract once; what a contract is told later fills and replaces."""
    found: dict[str, Record] = {}
    key = fields.key
    for record in records:
        told = {slot: fields.value(slot, said) for slot, said in record.items() if slot in fields.kinds and slot != key}
        for code in codes(record.get(key), fields.kinds.get(key, "")):
            kept = found.setdefault(code, dict.fromkeys(fields.kinds) | ({key: code or None} if key else {}))
            kept |= {slot: value for slot, value in told.items() if value is not None}
    return list(found.values())


def codes(named: Any, kind: str = "code") -> list[str]:
    """Contract codes in capitals, or names in small letters, of a text or a list; one empty one where none is named."""
    if kind != "code":
        listed = [each for each in (named if isinstance(named, list) else [named]) if each is not None] if kind else []
        return list(dict.fromkeys(" ".join(clean(str(each)).casefold().split()) for each in listed)) or [""]
    words = " ".join(map(str, named)) if isinstance(named, list) else str(named or "")
    found = [re.sub("[ -]", "", code.group()).upper() for code in CODE.finditer(clean(words))]
    return list(dict.fromkeys(found)) or [""]


def gold_of(text: str, fields: Fields = NOTICES) -> list[Record] | None:
    """The records of a gold, a JSON array of objects with all slots, or the one object; None where it is none."""
    records, _ = _form(text, fields)
    return records


def weigh(said: Sequence[Record], gold: Sequence[Record], fields: Fields = NOTICES) -> dict[str, Counts]:
    """Counts of each slot: the formula at the head of this file."""
    told, wanted = ({record.get(fields.key) or "": record for record in side} for side in (said, gold))
    found = dict.fromkeys(fields.kinds, Counts())
    for code in {**wanted, **told}:
        for slot in fields.kinds:
            value, right = (side.get(code, {}).get(slot) for side in (told, wanted))
            same = value is not None and value == right
            found[slot] += Counts(same, value is not None and not same, right is not None and not same)
    return found


def grade(
    text: str, gold: str, *, lenient: bool = True, fields: Fields = NOTICES
) -> tuple[str | None, str, float]:  # fmt: skip
    """(records read, as JSON; rule; F1 of this answer in [0, 1])."""
    records, rule = read(text, lenient=lenient, fields=fields)
    if records is None:
        return None, rule, 0.0
    total = sum(weigh(records, gold_of(clean(gold), fields) or [], fields).values(), Counts())
    return json.dumps(records, ensure_ascii=False), rule, total.f1


def _form(text: str, fields: Fields) -> tuple[list[Record] | None, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None, "none"
    if isinstance(found, dict) and not fields.key:
        found = [found]
    fits = isinstance(found, list) and all(isinstance(one, dict) and len(one) == len(fields.kinds) for one in found)
    if not fits or not all({fields.called(key) for key in one} == set(fields.kinds) for one in found):
        return None, "none"
    if not all(value is None or isinstance(value, str) for one in found for value in one.values()):
        return None, "none"
    return merged(({fields.called(key) or "": value for key, value in one.items()} for one in found), fields), "form"


def _json(text: str, fields: Fields) -> list[dict[str, Any]] | None:
    """The last JSON array of records, or the objects after it; [] for an empty array, None where there is neither."""
    text = re.sub(r",(\s*[}\]])", r"\1", text)
    text = text if '"' in text else text.replace("'", '"')
    text = re.sub(r"(?<=[:\[,])(\s*)None(?=\s*[,}\]])", r"\1null", text)
    found: list[tuple[bool, list[dict[str, Any]]]] = []
    place = tried = 0
    while tried < MOST and (start := re.compile(r"[\[{]").search(text, place)):
        tried += 1
        try:
            value, place = json.JSONDecoder().raw_decode(text, start.start())
        except (ValueError, RecursionError):
            place = start.end()
            continue
        records = list(_records(value, fields))
        if records or value == []:
            found.append((isinstance(value, list), records))
    if not found:
        return None
    last = next((n for n in range(len(found), 0, -1) if found[n - 1][0]), 0)
    whole = found[-1:] if last == len(found) else found[last:]
    return [record for _, records in whole for record in records]


def _records(value: Any, fields: Fields, code: str = "") -> Iterator[dict[str, Any]]:
    """Records of a JSON value: objects with known keys, in lists, under any key, or under their contract's code."""
    if isinstance(value, list):
        for one in value:
            yield from _records(one, fields, code)
    elif isinstance(value, dict):
        record = {slot: one for key, one in value.items() if (slot := fields.called(key))}
        if record and not all(isinstance(one, dict | list) and one for one in record.values()):
            yield {fields.key: code, **record} if code else record
            return
        coded = fields.kinds.get(fields.key) == "code"
        for key, one in value.items():
            if isinstance(one, dict | list):
                yield from _records(one, fields, str(key) if coded and CODE.fullmatch(str(key).strip()) else code)


def _table(text: str, fields: Fields) -> list[dict[str, Any]] | None:
    """The rows below a line of slots between bars."""
    found: list[dict[str, Any]] | None = None
    head: list[str] = []
    for line in text.split("\n"):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) < 2 or RULE.match(line):
            continue
        if sum(fields.called(cell) is not None for cell in cells) > 1:
            head, found = [fields.called(cell) or "" for cell in cells], []
        elif found is not None and len(cells) == len(head):
            found.append({slot: cell for slot, cell in zip(head, cells, strict=True) if slot})
    return found or _columns(text, fields)


def _columns(text: str, fields: Fields) -> list[dict[str, Any]] | None:
    """A table whose first column names the slots, below the contracts or below any words: a record a column."""
    lines = [line for line in text.split("\n") if line.count("|") > 1 and not RULE.match(line)]
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    named = [(slot, row[1:]) for row in rows if (slot := fields.called(row[0]))]
    width = len(named[0][1]) if named else 0
    if len(named) < 2 or len(dict(named)) < len(named) or any(len(cells) != width for _, cells in named):
        return None
    above = rows[0][1:] if fields.kinds.get(fields.key) == "code" else []
    if len(above) == width and all(CODE.search(cell) for cell in above) and fields.key not in dict(named):
        named.append((fields.key, above))
    return [{slot: cells[place] for slot, cells in named} for place in range(width)]


def _heads(fields: Fields) -> re.Pattern[str]:
    """What stands before a value in a line or clause: any words, or a declared name that is more than words."""
    odd = (f"(?i:{BETWEEN.join(map(re.escape, name))})" for name in fields.odd)
    name = "|".join((*odd, WORDS.pattern))
    return re.compile(
        rf"(?:^|(?<=[;,|\n]))[ \t]{{0,8}}(?:[-*•·]|[0-9]{{1,2}}[.)、])?[ \t]{{0,8}}(?P<name>{name})"
        r"(?:(?:\([^()\n]{0,20}\))?[ \t]{0,8}[:=]|(?=[0-9±¥$]))",
        re.M,
    )


def _headed(head: re.Match[str], fields: Fields) -> str:
    """The contract that begins a line on one of its own, where a slot is told behind it."""
    end = head.string.find("\n", head.end())
    rest = head.string[head.end() : end if end >= 0 else None]
    told = any(_called(found["name"], fields) for found in _heads(fields).finditer(rest))
    return f"{fields.key}: {head['code']}\n" if told else head[0]


def _called(name: str, fields: Fields) -> str | None:
    """The slot of a name, also without the word that leads to its value: 保证金率为16.5%."""
    return fields.called(name) or fields.called(LEADS.sub("", name))


def _lines(text: str, fields: Fields) -> list[dict[str, Any]] | None:
    """Lines or clauses `field: value`; a contract, or a line that is a contract's code alone, begins a record."""
    if fields.kinds.get(fields.key) == "code":
        text = ALONE.sub(rf"{fields.key}: \g<code>", HEADED.sub(lambda head: _headed(head, fields), text))
    named = [(slot, found) for found in _heads(fields).finditer(text) if (slot := _called(found["name"], fields))]
    if fields.key and fields.key not in dict(named):
        named = [(slot, found) for slot, found in named if found.group()[-1] in ":="]  # prose, for all we know
    records: list[dict[str, Any]] = []
    for place, (slot, found) in enumerate(named):
        end = named[place + 1][1].start() if place + 1 < len(named) else len(text)
        ends = r"[;\n]" if found.group()[-1] in ":=" else r"[;\n]|,\s"
        value = re.split(ends, text[found.end() : end])[0].strip(" ,.。")
        if slot == fields.key or not records:
            records.append({})
        records[-1][slot] = value
    return records or None
