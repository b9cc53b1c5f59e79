"""Found: what the columns of one record hold, by what it is; BadCard where one is missing or holds something else."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune.card.columns import Columns, plain
from finetune.card.options import in_order, refuse_marked, unmarked
from finetune.card.question import LETTERS
from finetune.card.records import BadCard, Record

SCALES = ("thousand", "million", "billion", "percent")
MAY_LACK = ("input", "history", "system")


@dataclass(frozen=True)
class Found:
    """The values of one record, by what they are."""

    columns: Columns
    record: Record
    place: str
    file: str

    def column(self, name: str) -> Any:
        """The value of a column, `a.b` being b of a or of each in the list a; None where it may be absent and is."""
        outer, dot, inner = name.partition(".")
        if dot and name not in self.record and outer in self.record:
            return self._inside(name, self.record[outer], inner)
        if name not in self.record and name not in self.columns.optional:
            known = ", ".join(map(str, self.record))
            raise BadCard(f"{self.place}: no column {name!r}; there are {known}; correct columns, or name it optional")
        return self.record.get(name)

    def _inside(self, name: str, value: Any, key: str) -> Any:
        """The value of a key in a mapping, or in each mapping of a list. BadCard: there is none."""
        each = value if isinstance(value, list) else [value]
        if not all(isinstance(one, dict) and key in one for one in each):
            raise BadCard(f"{self.place}: no {name!r}: {key} is not in every record there; correct columns")
        return [one[key] for one in each] if isinstance(value, list) else value[key]

    def value(self, part: str) -> Any:
        """What the column for a part holds."""
        name = getattr(self.columns, part)
        return self.record.get(name) if part in MAY_LACK else self.column(name)

    def text(self, part: str) -> str:
        """A part's text, from its column or the file's path; empty where the card names neither."""
        pattern = {str(key): value for key, value in self.columns.from_path.items()}.get(part)
        if pattern is None:
            return plain(self.value(part)) if getattr(self.columns, part) else ""
        match = re.search(pattern, self.file.rpartition(".")[0])
        if not match:
            raise BadCard(f"{self.file}: columns.from_path.{part} ({pattern}) does not fit this path; correct it")
        return match[1]

    def context(self) -> str:
        """What is given beside the question: the columns named for it, a blank line between; empty where none is."""
        return "\n\n".join(filter(None, (plain(self.column(name)) for name in self.columns.context)))

    def cluster(self) -> str | None:
        """A short name as it is; anything longer (a table, a document's text) by its digest."""
        value = self.text("cluster")
        short = len(value) <= 80 and "\n" not in value
        return (value or None) if short else hashlib.sha256(value.encode()).hexdigest()[:16]

    def answer(self) -> tuple[str, str]:
        """(answer, explanation)"""
        named = self.columns
        written = self._points() if named.keypoints else self._accepted() if named.answers else self._scaled()
        mark, explanation = self.columns.answer_after, self.text("explanation")
        if not mark or not written:
            return written, explanation
        before, found, after = written.rpartition(mark)
        if not found:
            raise BadCard(f"{self.place}: {self.columns.answer} has no {mark!r} before the answer; correct it")
        return after.strip(), explanation or before.strip()

    def _scaled(self) -> str:
        """The answer; where a column holds its scale, of one line a text, each with it unless it has a % or scale."""
        if not self.columns.scale:
            return self.text("answer")
        value, scale = self.column(self.columns.answer), self.text("scale")
        if scale and scale not in SCALES:
            raise BadCard(f"{self.place}: {self.columns.scale} {scale!r}; known are {', '.join(SCALES)}; correct it")
        listed = value if isinstance(value, list) else [value]
        known = all(isinstance(one, str | int | float) for one in listed)
        if not known and value is not None:  # a part that says nothing would leave another answer standing
            raise BadCard(f"{self.place}: {self.columns.answer} is no text, number or list of these; correct it")
        lines = [" ".join(plain(one).split()) for one in listed]
        own = re.compile(rf"%|{'|'.join(SCALES)}", re.I)
        return "\n".join(line if own.search(line) or not scale else f"{line} {scale}" for line in lines if line)

    def _accepted(self) -> str:
        """The accepted answers, each once, as one JSON list; empty where there is none."""
        texts = self.column(self.columns.answers)
        if not isinstance(texts, list):
            raise BadCard(f"{self.place}: {self.columns.answers} is no list of answers; name it as columns.answer")
        found = dict.fromkeys(filter(None, map(plain, texts)))
        return json.dumps(list(found), ensure_ascii=False) if found else ""

    def _points(self) -> str:
        """The key points that a record has, as one JSON list; empty where it has none."""
        points = [point for name in self.columns.keypoints if (point := self.column(name))]
        return json.dumps(points, ensure_ascii=False) if points else ""

    def options(self) -> tuple[str, ...]:
        """Option texts in the order of their letters; blank ones at the end are left out."""
        values = [self.column(name) for name in self.columns.options]
        if len(values) == 1 and isinstance(values[0], Mapping):
            values = in_order(values[0], self.place)
        elif len(values) == 1 and isinstance(values[0], list | tuple):
            values = list(values[0])
        texts = [plain(value) for value in values]
        if self.columns.lettered:
            texts = [plain(text) for text in in_order(unmarked(texts, self.place), self.place)]
        while texts and not texts[-1]:
            texts.pop()
        if not self.columns.lettered:
            refuse_marked(texts, self.place)
        if not 2 <= len(texts) <= len(LETTERS) or "" in texts:
            raise BadCard(f"{self.place}: options are {texts}; 2 to {len(LETTERS)} are needed, none of them empty")
        return tuple(texts)
