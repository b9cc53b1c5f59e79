"""A task of the exam: its questions and how they are asked; its twins; and the canaries, which no card holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from eval.extract import AnswerKind, Reading
from eval.extract.fields import NOTICES, Fields
from eval.twins import MARK, Kind, twin
from finetune.card import DataCard, Row
from finetune.files import digest_of
from finetune.mistakes import BadInput
from finetune.recipe.canaries import NAME as CANARIES

Protocol = Literal["likelihood", "generated"]
Scenario = Literal[  # what institutions use such models for (eval/tasks/README.md); general: no finance, a guard
    "compliance", "guidance", "knowledge", "research", "service", "risk", "credit", "calculation", "extraction",
    "general",
]  # fmt: skip
Trait = Literal["professional", "precise", "specific", "novel"]  # exceptions that a survey of the field names


@dataclass(frozen=True)
class Task:
    """One task of the exam, with the questions in the order in which lm-eval sees them."""

    name: str
    folder: Path  # for lm-eval's include_path
    version: str
    protocol: Protocol
    metric: str  # the headline: the one of lm-eval's metrics that is the score
    answer: AnswerKind
    reading: Reading  # lenient: what a reader would accept; strict: the form asked for
    weight: float
    card: DataCard
    split: str
    edition: str
    rows: tuple[Row, ...]  # clusters filled in
    until: tuple[str, ...]  # generated: strings that end an answer
    dev: frozenset[str]  # ids of the questions that are chosen on and never judged on
    scenario: Scenario | None = None  # None: the task does not say
    traits: tuple[Trait, ...] = ()
    fields: Fields = NOTICES  # answer slots: what its records hold
    twin: Kind | None = None  # how its items were derived from those of task `original`
    form: str = ""  # digest of how they are asked: what its YAML says of that, and each question as `ask` writes it

    def cluster(self, row: Row) -> str:
        """Cluster name, unique over all tasks: those on one card, or on cards of the same documents, share them."""
        return f"{self.card.documents or self.card.name}/{row.cluster}"

    @property
    def original(self) -> str:
        """Name of the task whose YAML asks its questions: its own, but for twins."""
        return self.name.removesuffix(f"{MARK}{self.twin}")

    def twins(self, kind: Kind) -> "Task":
        """Its judged items' twins of a kind, under their ids. BadInput: it shows examples, one maybe the item."""
        path = self.folder / f"{self.name}.yaml"
        if read_yaml(path).get("num_fewshot"):
            raise BadInput(f"{path}: num_fewshot: examples could give twins away; set it to 0, or drop exam.twins")
        judged = (row for row in self.rows if self.part(row) == "test")
        written = self.protocol == "generated"
        made = tuple(found for row in judged if (found := twin(kind, row, self.answer, written=written)))
        return replace(self, name=f"{self.name}{MARK}{kind}", rows=made, twin=kind)

    def part(self, row: Row) -> Literal["dev", "test"]:
        return "dev" if row.id in self.dev else "test"

    @property
    def lang(self) -> str:
        return "+".join(sorted({row.lang for row in self.rows}))

    @property
    def guess_rate(self) -> float:
        """What blind guessing would score: the mean of one over the number of options; 0 for open answers."""
        if self.answer == "yes_no":
            return 0.5
        if not all(row.options for row in self.rows):
            return 0.0
        return sum(1 / len(row.options) for row in self.rows) / len(self.rows)

    @property
    def private(self) -> bool:
        """Whether its questions and what is answered to them are for the owner's eyes only."""
        return self.card.private

    @cached_property
    def items_digest(self) -> str:
        """sha256 over ids, contents, clusters and parts: what 'the same questions' means."""
        rows = [[row.id, row.digest, row.cluster, self.part(row)] for row in self.rows]
        return digest_of([self.card.documents, *rows] if self.card.documents else rows)

    @property
    def digest(self) -> str:
        """The questions and how they are asked: answers depend on it. Who reads them does not: that is graded anew."""
        reader = None  # the extractor stood here; what was scored by likelihood keeps its digest
        parts = [self.items_digest, self.version, self.protocol, self.metric, self.answer, reader, self.form]
        return digest_of(parts if self.reading == "lenient" else [*parts, self.reading])


def canary_task(rows: Sequence[Row]) -> Task:
    """The secrets that training planted, asked for; whoever was not trained on them is the control."""
    front = {
        "name": CANARIES, "title": "Planted secrets", "licence": {"name": "CC0-1.0", "commercial": True},
        "languages": ["zh", "en"], "published": False, "shape": "qa", "format": "jsonl",
        "splits": {CANARIES: [CANARIES]},
    }  # fmt: skip
    card = DataCard.model_validate(front)
    return Task(
        name=CANARIES, folder=Path(), version="1", protocol="generated", metric="exact", answer="text",
        reading="lenient", weight=1.0, card=card, split=CANARIES, edition="made", rows=tuple(rows), until=("\n",),
        dev=frozenset(),
    )  # fmt: skip


def read_yaml(path: Path) -> dict[str, Any]:
    """Task YAML with its `!function` names left as text."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))  # type: ignore[arg-type]
    try:
        return dict(yaml.load(path.read_text("utf-8"), Loader))  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, TypeError, ValueError) as fault:
        raise BadInput(f"{path}: not a task in YAML: {fault}") from None
