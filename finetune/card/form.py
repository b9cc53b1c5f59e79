"""Form: how a record of a split becomes a Row, or why it cannot."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune.card.columns import EXAMS, Columns, Shape, language_of, plain
from finetune.card.dates import Dates
from finetune.card.found import Found
from finetune.card.grouping import Grouping
from finetune.card.labels import tagged_of
from finetune.card.options import letters_of
from finetune.card.question import ANSWER_LINE, Row
from finetune.card.records import BadCard, Record
from finetune.card.turns import turns
from finetune.methods.tagging import find
from finetune.mistakes import BadInput


@dataclass(frozen=True)
class Form:
    """How the records of one split become rows."""

    columns: Columns
    shape: Shape
    split: str
    languages: tuple[str, ...]
    given: tuple[str, ...] = ()  # options of every record, where no column holds them
    instruction: str = ""  # before every question; {labels} stands for them
    labels: tuple[str, ...] = ()  # each answer is one of them
    explained: bool = False  # training writes the explanation before the answer
    drop: bool = False  # records without an answer are left out
    misfits: str = "refuse"  # drop: records whose options and answer do not fit each other are left out
    spans: str = "free"  # refuse, drop: records whose answer lists a passage that does not stand in the text
    dates: Dates | None = None
    groups: Mapping[str, Grouping] = field(default_factory=dict)

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
        found = Found(self.columns, record, place, file)
        own = found.text("id") or str(number)
        name = f"{file.rpartition('.')[0]}/{own}" if several else own
        said: dict[str, Any] = {"id": name, "split": self.split, "cluster": found.cluster()}
        said |= {part: found.text(part) for part in ("subject", "source", "program")}
        said["groups"] = {name: each.of(record, place) for name, each in self.groups.items()}
        said["public"] = self.dates.of(record, place, file) if self.dates else None
        if self.shape not in EXAMS:
            messages = turns(self.shape, found.value, found.text, place)
            words = " ".join(turn.content for turn in messages)
            return Row(**said, lang=self._lang(found, words), messages=messages)
        return self._asked(found, said)

    def _asked(self, found: Found, said: dict[str, Any]) -> Row | None:
        """The row of a question; `said`: what every row has. None: the card drops such."""
        place, question = found.place, found.text("question")
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
        if self.labels and exam["answer"] not in self.labels:
            raise BadCard(
                f"{place}: answer {exam['answer']!r} is none of the card's labels; correct it, or add it there"
            )
        told = self.instruction.replace("{labels}", ("、" if lang == "zh" else ", ").join(self.labels))
        said |= {"instruction": told, "labels": self.labels}
        return Row(**said, **exam, lang=lang, question=question, context=found.context(), explanation=explanation)

    def _choice(self, found: Found, answer: str) -> dict[str, Any]:
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

    def _lang(self, found: Found, words: str) -> Any:
        """As said; else the card's only language; else zh where a Han character occurs."""
        said = found.text("lang")
        if said and said not in ("zh", "en"):
            raise BadCard(f"{found.place}: language {said!r} is not known; write zh or en")
        return said or (self.languages[0] if len(self.languages) == 1 else language_of(words))
