"""Strata: other groups of the exam's questions than the clusters that were declared (decision.md 5.3 and 5.12)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from eval.benchmark import Benchmark
from eval.sheet import Key, Question
from eval.task import Task
from eval.verdict.wording import Words

SUBJECTS: Words = ("clusters are subjects", "按学科成组")
SOURCES: Words = ("clusters are sources", "按来源成组")
NAMED = {"page": "页", "filing": "申报文件", "company": "公司", "document": "文档", "table": "表格"}


@dataclass(frozen=True)
class Stratum:
    """Groups of those questions whose card tells one; the others stay in their clusters."""

    words: Words
    names: Mapping[Key, str]
    coarse: bool = False  # said only where there are fewer of them than clusters

    def groups(self, asked: Sequence[Question]) -> list[str]:
        """One for each question."""
        return [self.names.get((row.task, row.id)) or f"cluster {row.cluster}" for row in asked]


def strata(benchmark: Benchmark) -> list[Stratum]:
    """Those that the cards' rows tell: what a card groups by, where a record came from, and its subject."""
    rows = [(task, row) for task in benchmark.tasks for row in task.rows]
    kinds = dict.fromkeys(kind for _, row in rows for kind in row.groups)
    found = [
        Stratum(_words(kind), {(task.name, row.id): _own(task, row.groups[kind]) for task, row in rows
                               if row.groups.get(kind)})
        for kind in kinds
    ]  # fmt: skip
    sources = {(task.name, row.id): _own(task, row.source) for task, row in rows if row.source}
    subjects = {(task.name, row.id): _own(task, row.subject) for task, row in rows if row.subject}
    return [*found, Stratum(SOURCES, sources), Stratum(SUBJECTS, subjects, coarse=True)]


def partition(labels: Sequence[Hashable]) -> tuple[int, ...]:
    """The same for labellings that put the same items together, whatever they call the groups."""
    first: dict[Hashable, int] = {}
    return tuple(first.setdefault(label, place) for place, label in enumerate(labels))


def _own(task: Task, name: str) -> str:
    """Cards of the same documents share their groups."""
    return f"{task.card.documents or task.card.name}/{name}"


def _words(kind: str) -> Words:
    return f"clusters by {kind}", f"按{NAMED.get(kind, f' {kind} ')}成组"
