"""DataCard: one data set as a Markdown file, whose front matter says where its files are and how to read them.

    ---
    name: our_qa
    shape: choice
    format: csv
    columns: {question: 题目, options: [A, B, C, D], answer: 答案, cluster: 文件}
    splits: {test: [exam.csv], train: [train_*.csv]}
    ...
    ---
    Prose for people.

Files are looked for under the data roots (`--data-root` or TUNEWORTH_DATA; several are separated as in PATH) in the
card's `folder`, then beside the card; `x.csv` is also found as `x.csv.gz`. Every fault is a BadCard.
"""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from finetune.card.columns import EXAMS, Columns, Shape, Texts, language_of, plain
from finetune.card.dates import Dates, Interval
from finetune.card.edition import UNPINNED, Files, Split, differences, locate, read_sums, text_digest
from finetune.card.form import Form
from finetune.card.front import front_matter
from finetune.card.grouping import Grouping
from finetune.card.labels import label_of, labels_of, tagged_of
from finetune.card.likeness import groups
from finetune.card.question import LETTERS, Message, Row, ask
from finetune.card.records import BadCard, Format, Reading, read_records
from finetune.card.sifting import sift
from finetune.files import cache_folder, digest_of, remember
from finetune.mistakes import explain

__all__ = [  # this file is the door of the rooms below it
    "LETTERS", "BadCard", "DataCard", "Dates", "Files", "Format", "Interval", "Message", "Reading", "Row", "ask",
    "label_of", "labels_of", "language_of", "plain", "read_records", "tagged_of", "text_digest",
]  # fmt: skip
FROZEN = ConfigDict(frozen=True, extra="forbid")
ROWS_CODE = 1  # raised when a change of the code changes what rows a card gives
# Keys younger than ROWS_CODE, and where they change nothing: cards without them stay as they were.
YOUNGER: tuple[tuple[str, str, Any], ...] = (
    ("columns", "keypoints", []), ("columns", "answers", ""), ("columns", "lettered", False), ("columns", "scale", ""),
    ("reading", "mend", ""), ("reading", "nested", []), ("", "spans", "free"), ("", "misfits", "refuse"),
    ("", "instruction", ""), ("", "labels", []),
)  # fmt: skip
PROSE = {  # these do not change the rows
    "title", "source", "licence", "published", "private", "hosts", "editions", "defects", "documents",
    "dates", "groups",
}  # fmt: skip


class Source(BaseModel):
    """Where the files come from."""

    model_config = FROZEN
    repository: str = Field(description="Address of the repository or page")
    commit: Texts = Field((), description="Commit, or commits, that hold the files")
    path: str = Field("", description="Of the files inside it")


class Licence(BaseModel):
    model_config = FROZEN
    name: str = Field(description="As its SPDX identifier where there is one")
    url: str = Field("", description="Where its text stands")
    commercial: bool = Field(description="Whether commercial use is allowed")


class DataCard(BaseModel):
    """The front matter of a card."""

    model_config = FROZEN
    name: str = Field(pattern=r"^[\w.-]+$", description="Short name, equal to the file's")
    title: str = Field(description="One line for people")
    source: Source | None = Field(None, description="Where to get the files; none for a private set")
    licence: Licence
    languages: tuple[Literal["zh", "en"], ...] = Field(min_length=1, description="Of the questions")
    published: bool = Field(description="Whether a newer base may have seen it: true for all that is on the internet")
    private: bool = Field(
        False,
        description="Its text is shown only with --with-text, never where CI is set; item files are the owner's own",
    )
    hosts: Texts = Field(
        (),
        description="Servers, as host or host:port, that may see a private card's questions; this machine always may",
    )
    shape: Shape = Field(description="choice, numeric, qa (exams); messages, prompt_completion, alpaca, sharegpt")
    folder: str = Field(".", description="Folder of the files under a data root, or beside the card")
    format: Format = Field(description="csv, json or jsonl, each also gzipped")
    reading: Reading = Field(default_factory=Reading, description="Encoding and other ways of the files")
    columns: Columns = Field(default_factory=Columns, description="Which column holds what")
    documents: str = Field(
        "",
        pattern=r"^[\w.-]*$",
        description="Name shared by cards whose `columns.cluster` names the same documents: one asked in two tasks is "
        "then one cluster, and intervals grow as they must; empty: documents of this card alone",
    )
    dates: Dates | None = Field(
        None, description="When the sources of the items became public: what is younger than a model it has not seen"
    )
    groups: dict[Annotated[str, Field(pattern=r"^[a-z_]+$")], Grouping] = Field(
        {},
        description="What else questions share, such as page, filing, company: {column, pattern}. Each is a row of the "
        "table of sensitivity, where clusters are these; no score and no interval of the headline depends on them",
    )
    splits: dict[str, Annotated[Split, BeforeValidator(lambda v: {"files": v} if isinstance(v, str | list) else v)]] = (
        Field(min_length=1, description="Name: file patterns, or {files, where, half, options}")
    )
    editions: dict[str, dict[str, str]] = Field(
        {}, description="Name: {file: sha256 before gzip}, or the name of a sha256sum file beside the card"
    )
    instruction: str = Field(
        "",
        description="Said before every question, in training and exam alike: what an answer looks like; "
        "{labels} stands for the labels",
    )
    labels: Texts = Field(
        (), description="The closed set of answers (shape qa): written answers are read against it; told by instruction"
    )
    target: Literal["answer", "explanation"] = Field(
        "answer", description="What training writes: the answer alone, or the explanation and then the answer"
    )
    unanswered: Literal["refuse", "drop"] = Field("refuse", description="What to do with a record without an answer")
    misfits: Literal["refuse", "drop"] = Field(
        "refuse", description="What to do with a record whose options and answer do not fit each other"
    )
    spans: Literal["free", "refuse", "drop"] = Field(
        "free",
        description="Answers list passages of the text, for a token head: what to do with a record that lists another "
        "one; free: nothing is looked for",
    )
    defects: tuple[str, ...] = Field((), description="Known faults of the data")
    _path: Path = PrivateAttr(default=Path())
    _body: str = PrivateAttr(default="")

    @classmethod
    def read(cls, path: Path) -> "DataCard":
        """Read a card. BadCard names the file and the line or key, and the nearest known key."""
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            reason = fault.strerror if isinstance(fault, OSError) else str(fault)
            raise BadCard(f"{path}: {reason}; a data card is a Markdown file with front matter") from None
        front, body = front_matter(text, path)
        if isinstance(front.get("editions"), dict):
            named = front["editions"].items()
            front["editions"] = {name: read_sums(path.parent / it) if isinstance(it, str) else it for name, it in named}
        try:
            card = cls.model_validate(front)
        except ValidationError as fault:
            raise BadCard(explain(fault, cls, str(path))) from None
        card._path, card._body = path.resolve(), body
        return card

    def lying(self, path: Path) -> Self:
        """The same card at a place: what was read back from a resolved recipe does not know where it lay."""
        card = self.model_copy()
        card._path = path
        return card

    @model_validator(mode="after")
    def _columns_fit(self) -> "DataCard":
        given = all(split.options for split in self.splits.values())
        if self.shape == "choice" and not self.columns.options and not given:
            raise ValueError("columns.options: missing; a choice needs the columns of its options")
        if bool(self.labels) != ("{labels}" in self.instruction):
            raise ValueError("labels: whoever answers must be told them, where there are any: {labels} in instruction")
        if self.labels and self.shape != "qa":
            raise ValueError(f"labels: shape {self.shape} has none; use shape: qa")
        if self.private and self.published:
            raise ValueError("private: true, but published too; what is on the internet is not private: correct one")
        if self.documents and not self.columns.cluster:
            raise ValueError("documents: shared documents need columns.cluster, which names them")
        if self.shape in EXAMS and not (self.columns.question and self.columns.answer):
            raise ValueError(f"columns: shape {self.shape} needs question and answer")
        return self

    @property
    def path(self) -> Path:
        return self._path

    @property
    def body(self) -> str:
        return self._body

    def shows(self, asked: bool) -> bool:
        """Whether its text may be printed: of a private card only when `asked` for, and never where CI is set."""
        return not self.private or (asked and not os.environ.get("CI"))

    def locate(self, root: Path | None) -> Files:
        """Find and hash the files; of several places the first with a listed edition, else the first.

        BadCard: no file for any split; says which, where it was looked for and how to get them.
        """
        looked = self._places(root)
        found = [files for folder in looked if (files := locate(folder, self.splits, self.editions))]
        if not found:
            raise BadCard(self._missing(list(self.splits), looked))
        return next((files for files in found if files.edition != UNPINNED), found[0])

    def differences(self, files: Files) -> dict[str, list[str]]:
        """For every listed edition, the names of the files that are not as it says."""
        return {name: differences(files, self.splits, sums) for name, sums in self.editions.items()}

    def rows(self, root: Path | None, split: str) -> list[Row]:
        """The rows of one split. BadCard names the first broken record, or the second use of an id."""
        rows, faults = self.sift(root, split)
        if faults:
            faults = faults if self.shows(False) else [place_of(fault) for fault in faults]
            more = f" (and {len(faults) - 1} more; see `tuneworth data check`)" if len(faults) > 1 else ""
            raise BadCard(f"data card {self.name}: {faults[0]}{more}")
        return rows

    def sift(self, root: Path | None, split: str) -> tuple[list[Row], list[str]]:
        """The rows that can be read, and one message for every record that cannot."""
        if split not in self.splits:
            raise BadCard(f"data card {self.name}: no split {split!r}; there are {', '.join(self.splits)}")
        files = self.locate(root)
        if not files.paths[split]:
            raise BadCard(self._missing([split], self._places(root)))
        found = list(sift(files, split, self.splits[split], self._form(split), self.format, self.reading))
        return [row for row in found if isinstance(row, Row)], [fault for fault in found if isinstance(fault, str)]

    def _form(self, split: str) -> Form:
        return Form(
            self.columns, self.shape, split, self.languages, self.splits[split].options,
            instruction=self.instruction, labels=self.labels, explained=self.target == "explanation",
            drop=self.unanswered == "drop", misfits=self.misfits, spans=self.spans, dates=self.dates,
            groups=self.groups,
        )  # fmt: skip

    def clustered(self, root: Path | None, split: str) -> list[Row]:
        """The rows with `cluster` filled: as the card says, else the group of nearly the same context (question where
        there is none), named by its smallest id."""
        return self.cluster(self.rows(root, split))

    def cluster(self, rows: list[Row]) -> list[Row]:
        """`clustered` for rows at hand."""
        if all(row.cluster for row in rows):
            return rows
        alike = self.alike([row.context or row.asked for row in rows])
        names: dict[int, str] = {}
        for row, group in zip(rows, alike, strict=True):
            names[group] = min(names.get(group, row.id), row.id)
        return [
            row if row.cluster else row.model_copy(update={"cluster": names[group]})
            for row, group in zip(rows, alike, strict=True)
        ]

    def alike(self, texts: list[str]) -> list[int]:
        """Near-duplicate group of each text (likeness.groups); kept in the cache, known by the texts."""
        note = cache_folder() / "clusters" / f"{self.name}-{digest_of([ROWS_CODE, texts])[:16]}.json"
        if note.is_file():
            return list(json.loads(note.read_text("utf-8")))
        found = groups(texts)
        remember(note, json.dumps(found))
        return found

    def digest(self, root: Path | None) -> str:
        """sha256 over what decides the rows: the front matter without its prose, and the files."""
        facts = self.model_dump(mode="json", exclude=PROSE)
        for part, key, neutral in YOUNGER:
            held = facts[part] if part else facts
            if held[key] == neutral:
                del held[key]
        del facts["columns"]["program"]  # from which twins are made, and no row
        return digest_of([ROWS_CODE, facts, self.locate(root).sha256])

    def _places(self, root: Path | None) -> list[Path]:
        named = str(root) if root else os.environ.get("TUNEWORTH_DATA", "")
        roots = [Path(each).expanduser() for each in named.split(os.pathsep) if each]
        return [*(each / self.folder for each in roots), self._path.parent / self.folder]

    def _missing(self, splits: list[str], looked: list[Path]) -> str:
        patterns = sorted({pattern for name in splits for pattern in self.splits[name].files})
        shown = ", ".join(patterns[:3]) + (", ..." if len(patterns) > 3 else "")
        remedy = f"put them under <root>/{self.folder} and name the root with --data-root or TUNEWORTH_DATA"
        if self.source:
            commit = f" @ {self.source.commit[0]}" if self.source.commit else ""
            remedy = f"get them from {self.source.repository}{commit}: {self.source.path}, {remedy}"
        where = ", ".join(map(str, looked))
        return f"data card {self.name}: no file {shown} (split {', '.join(splits)}) in {where}; {remedy}"


def place_of(fault: str) -> str:
    """A fault of a private card: where it is, without the words that it quotes."""
    return (
        f"{fault.partition(': ')[0]}: cannot be used; the card is private: `tuneworth data check --with-text` says why"
    )
