"""Columns: which column of a record holds what; from a record to a Row, or why the record cannot be used."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from finetune.card.dates import Dates
from finetune.card.labels import tagged_of
from finetune.card.options import in_order, letters_of, unmarked
from finetune.card.question import ANSWER_LINE, LETTERS, Row
from finetune.card.records import BadCard, Record
from finetune.card.turns import turns
from finetune.methods.tagging import find
from finetune.mistakes import BadInput

Shape = Literal["choice", "numeric", "qa", "messages", "prompt_completion", "alpaca", "sharegpt"]
EXAMS = ("choice", "numeric", "qa")
SCALES = ("thousand", "million", "billion", "percent")
MAY_LACK = ("input", "history", "system")
HAN = re.compile(r"[\u3400-\u9fff]")
Texts = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class Columns(BaseModel):
    """Columns by what they hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str = Field("", description="Empty: the number of the record in its file")
    question: str = Field("question", description="The question's text")
    context: Texts = Field((), description="What is shown before the question: text, lists of lines, tables")
    options: Texts = Field((), description="One column an option, or one column with a list or {letter: text}")
    answer: str = Field("answer", description="Letters of the right options, a number or a text")
    answer_form: Literal["letters", "text", "index0", "index1"] = Field(
        "letters", description="How a choice's answer is written: letters, the option's text, its number from 0 or 1"
    )
    keypoints: Texts = Field(
        (), description="shape qa: columns of one key point each, a text or {content, score}; together the answer"
    )
    answers: str = Field("", description="shape qa: column with a list of accepted answers, any of which is right")
    lettered: bool = Field(
        False, description="Options begin with their letter, as (A) or A．: taken off, options put in their order"
    )
    scale: str = Field(
        "",
        description="Column with the scale (million, percent, ...), written after a number and each listed text",
    )
    answer_after: str = Field("", description="The answer follows the last such mark; what is before it explains")
    multiple: bool | dict[str, Texts] = Field(
        False, description="Several options may be right: true everywhere, or {column: values} where they may"
    )
    explanation: str = Field("", description="Why the answer is right")
    program: str = Field(
        "", description="Steps that compute the answer, as FinQA writes them: number twins (`exam.twins`) need it"
    )
    subject: str = Field("", description="A stratum of the report")
    cluster: str = Field("", description="What questions share: a document, a table; their outcomes go together")
    source: str = Field("", description="Where a record came from; shared by training and exam: in distribution only")
    lang: str = Field("", description="zh or en; empty: the card's one language, else by the question's script")
    from_path: dict[Literal["subject", "cluster", "source", "lang"], str] = Field(
        {}, description="Taken from the file's path instead: a regular expression whose first group is the value"
    )
    optional: Texts = Field((), description="Columns that a file may be without")
    messages: str = Field("messages", description="messages, sharegpt: the list of turns")
    prompt: str = Field("prompt", description="prompt_completion: the user's turn")
    completion: str = Field("completion", description="prompt_completion: the assistant's turn")
    instruction: str = Field("instruction", description="alpaca: the task")
    input: str = Field("input", description="alpaca: what the task is about; may be absent")
    output: str = Field("output", description="alpaca: the assistant's turn")
    history: str = Field("history", description="alpaca: earlier [user, assistant] turns; may be absent")
    system: str = Field("system", description="alpaca: the system's turn; may be absent")

    @field_validator("from_path")
    @classmethod
    def _with_group(cls, patterns: dict[str, str]) -> dict[str, str]:
        for part, pattern in patterns.items():
            try:
                groups = re.compile(pattern).groups
            except re.error as fault:
                raise ValueError(f"{part}: {pattern!r} is no regular expression ({fault})") from None
            if not groups:
                raise ValueError(f"{part}: {pattern!r} has no group; put what is wanted between ( and )")
        return patterns


@dataclass(frozen=True)
class Form:
    """How the records of one split become rows."""

    columns: Columns
    shape: Shape
    split: str
    languages: tuple[str, ...]
    given: tuple[str, ...] = ()  # options of every record, where no column holds them
    explained: bool = False  # training writes the explanation before the answer
    drop: bool = False  # records without an answer are left out
    misfits: str = "refuse"  # drop: records whose options and answer do not fit each other are left out
    spans: str = "free"  # refuse, drop: records whose answer lists a passage that does not stand in the text
    dates: Dates | None = None

    def row(self, record: Record, *, place: str, file: str, number: int, several: bool) -> Row | None:
        """The row of a record; None: the card drops such. BadCard: it cannot be used. `number` as in `_read`."""
        found = self._read(record, place=place, file=file, number=number, several=several)
        if found is None or self.spans == "free":
            return found
        text, listed = tagged_of(found)
        try:
            find(text, listed)
        except BadInput as fault:
            if self.spans == "drop":
                return None
            raise BadCard(f"{place}: {fault}; correct it, or set spans: drop") from None
        return found

    def _read(self, record: Record, *, place: str, file: str, number: int, several: bool) -> Row | None:
        """The row of a record; None: it has no answer, and the card drops such. BadCard: it cannot be used.

        `number` counts the records of a file from 0: the id where no column holds one. In a split of several files
        the file's name comes before it.
        """
        found = _Found(self.columns, record, place, file)
        own = found.text("id") or str(number)
        name = f"{file.rpartition('.')[0]}/{own}" if several else own
        said: dict[str, Any] = {"id": name, "split": self.split, "cluster": found.cluster()}
        said |= {part: found.text(part) for part in ("subject", "source", "program")}
        said["public"] = self.dates.of(record, place, file) if self.dates else None
        if self.shape not in EXAMS:
            messages = turns(self.shape, found.value, found.text, place)
            words = " ".join(turn.content for turn in messages)
            return Row(**said, lang=self._lang(found, words), messages=messages)
        question = found.text("question")
        if not question:
            raise BadCard(f"{place}: {self.columns.question} is empty; a question needs its text")
        answer, explanation = found.answer()
        if not answer and self.drop:
            return None
        if not answer:
            raise BadCard(f"{place}: {self.columns.answer} is empty; answer it, or set unanswered: drop")
        try:
            exam = self._choice(found, answer) if self.shape == "choice" else {"answer": self._open(answer, place)}
        except BadCard:
            if self.misfits == "drop":
                return None
            raise
        lang = self._lang(found, question)
        if self.columns.answers:  # training writes the first of the accepted ones
            exam["target"] = json.loads(answer)[0]
        if self.explained and explanation:
            exam["target"] = f"{explanation}\n{ANSWER_LINE[lang]}{exam['answer']}"
        return Row(**said, **exam, lang=lang, question=question, context=found.context(), explanation=explanation)

    def _choice(self, found: "_Found", answer: str) -> dict[str, Any]:
        options = self.given or found.options()
        form = self.columns.answer_form
        letters = letters_of(answer, options, "text" if self.given and form == "letters" else form, found.place)
        where = self.columns.multiple
        multiple = where if isinstance(where, bool) else any(plain(found.column(c)) in v for c, v in where.items())
        if len(letters) > 1 and not multiple:
            raise BadCard(f"{found.place}: answer {answer!r} names several options; say where with columns.multiple")
        return {"options": options, "multiple": multiple, "answer": letters}

    def _open(self, answer: str, place: str) -> str:
        """An open answer as it is; for shape numeric it must be a number, or yes or no."""
        bare = re.sub(r"[,，%$¥￥\s]", "", answer)
        if self.shape == "qa" or bare.casefold() in ("yes", "no", "是", "否"):
            return answer
        if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", bare):
            return answer
        raise BadCard(f"{place}: answer {answer!r} is not a number; correct it, or use shape: qa")

    def _lang(self, found: "_Found", words: str) -> Any:
        """As said; else the card's only language; else zh where a Han character occurs."""
        said = found.text("lang")
        if said and said not in ("zh", "en"):
            raise BadCard(f"{found.place}: language {said!r} is not known; write zh or en")
        return said or (self.languages[0] if len(self.languages) == 1 else language_of(words))


@dataclass(frozen=True)
class _Found:
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
        if not 2 <= len(texts) <= len(LETTERS) or "" in texts:
            raise BadCard(f"{self.place}: options are {texts}; 2 to {len(LETTERS)} are needed, none of them empty")
        return tuple(texts)


def language_of(text: str) -> Literal["zh", "en"]:
    """zh where a Han character occurs, else en."""
    return "zh" if HAN.search(text) else "en"


def plain(value: Any) -> str:
    """A value as text: outer blanks off, lists as lines, tables as rows of cells."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list | tuple):
        return "\n".join(" | ".join(map(plain, row)) if isinstance(row, list | tuple) else plain(row) for row in value)
    return json.dumps(value, ensure_ascii=False)
