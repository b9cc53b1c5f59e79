"""The benchmark: which tasks, which metric counts, which questions belong together, what guessing would score.

A task is a folder in lm-eval's own YAML (`eval/tasks/<name>/`, or a folder of the user's own). Its data come from a
data card, so the questions can be read, hashed and clustered without torch, and lm-eval reads the same rows through
`load`, named in the YAML as `custom_dataset: !function eval.benchmark.load`.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval import outline
from eval.extract import derived
from eval.task import CANARIES, Protocol, Scenario, Task, Trait, canary_task, read_yaml
from eval.twins import NAMED
from finetune.card import DataCard, Row, ask
from finetune.files import digest_of
from finetune.mistakes import BadInput
from finetune.recipe import Recipe, data_root, is_loopback
from finetune.recipe.canaries import canaries
from finetune.recipe.guards import KINDS

__all__ = [
    "CARDS", "LETTERS", "SHELF", "Benchmark", "Protocol", "Scenario", "Task", "Trait", "document", "find", "find_card",
    "load", "read_task", "refuse_unjudgeable", "select",
]  # fmt: skip
SHELF = Path(__file__).parent / "tasks"
CARDS = Path(__file__).parent.parent / "data_cards"
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Benchmark:
    """All tasks of a recipe's exam; and what is asked too and counts in no score: guards, twins of items, canaries."""

    tasks: tuple[Task, ...]
    twins: tuple[Task, ...] = ()  # for every task and kind of `exam.twins`; without rows where none can be made
    canaries: Task | None = None  # secrets that `train.canaries` planted
    guards: tuple[Task, ...] = ()  # of `rule.guards`, without those that are the exam's own

    @classmethod
    def read(cls, recipe: Recipe) -> "Benchmark":
        """Read every task and its card; BadInput names the task that does not fit."""
        exam, here = recipe.exam, []
        for named in exam.tasks:
            folder, name = find(named)
            here.append(read_task(folder, name, exam.weights.get(name, 1.0), exam.dev, exam.seed))
        guards = _guards(recipe)
        _refuse_outsiders(recipe, [*here, *guards])
        kinds = dict.fromkeys(kind for named in exam.twins for kind in NAMED[named])
        planted = canaries(recipe.train.canaries)
        twins = tuple(task.twins(kind) for kind in kinds for task in here)
        return cls(tuple(here), twins, canary_task(planted) if planted else None, guards)

    @property
    def carded(self) -> tuple[Task, ...]:
        """All whose questions stand on cards as they are: the tasks and the guards."""
        return (*self.tasks, *self.guards)

    @property
    def asked(self) -> tuple[Task, ...]:
        """All that contenders are asked: the tasks, and what is in no score."""
        return (*self.tasks, *self.beside)

    @property
    def beside(self) -> tuple[Task, ...]:
        """What is asked and in no score: guards, twins, and canaries."""
        return (*self.guards, *(task for task in self.twins if task.rows), *((self.canaries,) if self.canaries else ()))

    def taught(self, recipe: Recipe) -> tuple[str, ...]:
        """Tasks whose very card and split a challenger is tuned on here and `train.exclude` does not take out."""
        tuned = {each for name in recipe.rule.challengers for each in recipe.lineage(name) if each in recipe.methods}
        uses = [use for name in sorted(tuned) for use in recipe.data_of(name) if use not in recipe.train.exclude]
        fronts = [(use.split, use.card.model_dump()) for use in uses]
        seen = [task for task in self.carded if (task.split, task.card.model_dump()) in fronts]
        return tuple(f"{task.name} ({task.card.name}#{task.split})" for task in seen)

    @property
    def private(self) -> bool:
        """Whether a card of the exam or of a guard is."""
        return any(task.private for task in self.carded)

    @property
    def digests(self) -> dict[str, str]:
        return {task.name: task.digest for task in self.asked}

    @property
    def written(self) -> bool:
        """Whether any task has its answers written, and so read by the extractor."""
        return any(task.protocol == "generated" for task in self.carded)

    @property
    def cards(self) -> dict[str, str]:
        """Card name -> edition, over the tasks."""
        return {task.card.name: task.edition for task in self.tasks}


def _guards(recipe: Recipe) -> tuple[Task, ...]:
    """Judged whole: nothing is chosen on them."""
    guards, exam = recipe.rule.guards, {Path(named).name for named in recipe.exam.tasks}
    named = [task for kind in KINDS for task in guards.of(kind)] if guards else []
    return tuple(read_task(*find(task, "rule.guards")) for task in named if Path(task).name not in exam)


def _refuse_outsiders(recipe: Recipe, tasks: list[Task]) -> None:
    """BadInput: questions of a private card would leave this machine for a server that the card does not name."""
    for name, chosen in recipe.contenders.items():
        engine = chosen.served
        if engine is None or is_loopback(engine.url):
            continue
        for task in tasks:
            if task.private and engine.host not in task.card.hosts:
                raise BadInput(
                    f"contenders.{name}.engine: {engine.host} is not this machine, and task {task.name} is private; "
                    f"ask a server of this machine, or name it in `hosts` of card {task.card.name}, if it may see them"
                )


def find(named: str, key: str = "exam.tasks") -> tuple[Path, str]:
    """Folder and name of a task: `name` on the shelf (`name_gen` lies in the folder `name`), or a folder's path."""
    path = Path(named)
    if path.is_absolute():
        folder, name = (path, path.name) if path.is_dir() else (path.parent, path.name)
    else:
        folder, name = SHELF / named, named
        if not folder.is_dir() and named.endswith("_gen"):
            folder = SHELF / named.removesuffix("_gen")
    if not (folder / f"{name}.yaml").is_file():
        known = ", ".join(sorted(p.stem for p in SHELF.glob("*/*.yaml")))
        raise BadInput(f"{key}: no {name}.yaml in {folder}; the shelf has {known}; an own task is a folder (./x)")
    if SHELF not in folder.parents:  # its card lies beside it; lm-eval's loader is told no folder, so by environment
        mine = [str(folder), str(folder.parent), *_own_folders()]
        os.environ["TUNEWORTH_CARDS"] = os.pathsep.join(dict.fromkeys(mine))
    return folder, name


def read_task(folder: Path, name: str, weight: float = 1.0, dev: float = 0.0, seed: int = 0) -> Task:
    """One task from its YAML and its card."""
    path = folder / f"{name}.yaml"
    if name == CANARIES:
        raise BadInput(f"{path}: task name {name!r} is kept for the secrets of train.canaries; give it another name")
    raw = read_yaml(path)
    outline.refuse_misshapen(path, raw)
    facts, source = raw.get("metadata") or {}, raw.get("dataset_kwargs") or {}
    outline.refuse_incomplete(path, raw, facts, source)
    card = find_card(source["card"])
    rows = tuple(select(card, source["split"], source))
    if not rows:
        raise BadInput(f"{path}: card {card.name} has no question in split {source['split']}")
    fields = outline.fields(path, facts)
    outline.refuse_bad_golds(path, facts["answer"], rows, fields, shown=card.shows(False))
    return Task(
        name=name, folder=folder, version=str(facts["version"]),
        protocol=outline.OUTPUTS[raw["output_type"]], metric=facts["headline"],
        answer=facts["answer"],
        reading=facts.get("reading", "lenient"),
        weight=weight,
        card=card,
        split=source["split"],
        edition=card.locate(data_root()).edition,
        rows=rows,
        until=outline.until(raw),
        dev=_held_out(path, rows, dev, seed),
        scenario=facts.get("scenario"),
        traits=outline.traits(path, facts),
        fields=fields,
        form=outline.form(folder, raw, rows),
    )  # fmt: skip


def _held_out(path: Path, rows: Sequence[Row], dev: float, seed: int) -> frozenset[str]:
    """Ids of the development questions, by cluster. BadInput: none would be left to judge on."""
    held = frozenset(row.id for row in rows if _draw(str(row.cluster), seed) < dev)
    if len(held) == len(rows):
        raise BadInput(f"{path}: exam.dev {dev:g} leaves none of {len(rows)} questions to judge on; lower it")
    return held


def refuse_unjudgeable(benchmark: Benchmark) -> None:
    """BadInput where a task's questions to judge on lie in one cluster: how far chance goes could not be told."""
    for task in benchmark.carded:
        judged = [row for row in task.rows if task.part(row) == "test"]
        if len({row.cluster for row in judged}) < 2:
            raise BadInput(
                f"task {task.name}: one cluster holds all {len(judged)} questions that are judged on, so no interval "
                f"can be had; name the questions' documents in the column `cluster` of card {task.card.name}, add "
                f"questions from other documents, or say `purpose: smoke`"
            )


def select(card: DataCard, split: str, source: Mapping[str, Any]) -> list[Row]:
    """Rows of a split. In dataset_kwargs `single_answer: true` keeps the questions with exactly one right letter;
    `points: derived` takes key points from golds in prose (eval/extract/derived.py) and keeps those that yield any."""
    rows = card.clustered(data_root(), split)
    if source.get("points", "derived") != "derived":
        raise BadInput(f"dataset_kwargs.points {source['points']!r}; known is derived, or leave it out")
    if "points" in source:
        rows = [row.model_copy(update={"answer": rubric}) for row in rows if (rubric := derived.points(row)[0])]
    return [row for row in rows if len(row.answer or "") == 1] if source.get("single_answer") else rows


def load(**kwargs: Any) -> Any:
    """Task loader for lm-eval: `{split: datasets.Dataset}` of the card's rows, one document a question."""
    import datasets

    card, split = find_card(kwargs["card"]), kwargs["split"]
    docs = [document(row, kwargs) for row in select(card, split, kwargs)]
    return datasets.DatasetDict({split: datasets.Dataset.from_list(docs)})


def document(row: Row, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a task's YAML may speak of: fields of one document. `facts`: the task's metadata."""
    gold = LETTERS.find(row.answer) if row.options and row.answer and len(row.answer) == 1 else -1
    return {
        "id": row.id,
        "lang": row.lang,
        "question": row.question,
        "context": row.context,
        "options": list(row.known),
        "letters": list(LETTERS[: len(row.options)]),
        "gold": gold,  # index of the right option, -1 where there is none or more than one
        "answer": row.answer or "",
        "answer_kind": facts.get("answer", "text"),
        "reading": facts.get("reading", "lenient"),
        "headline": facts.get("headline", "exact"),
        "fields": json.dumps(facts.get("fields"), ensure_ascii=False),
        "subject": row.subject,
        "cluster": row.cluster or "",
        "ask": ask(row),  # context, question and lettered options, as in training
    }


def find_card(named: str) -> DataCard:
    """A card by name (or path) beside a task of the user's own, else on the shelf `data_cards/`."""
    folders = [*_own_folders(), str(CARDS)]
    for folder in folders:
        path = Path(folder) / (named if named.endswith(".md") else f"{named}.md")
        if path.is_file():
            return DataCard.read(path)
    raise BadInput(f"no data card {named}; looked in {', '.join(folders)} (TUNEWORTH_CARDS adds folders)")


def _own_folders() -> list[str]:
    return [folder for folder in os.environ.get("TUNEWORTH_CARDS", "").split(os.pathsep) if folder]


def _draw(cluster: str, seed: int) -> float:
    """A number in [0, 1) fixed by cluster and seed."""
    return int(digest_of([cluster, seed])[:12], 16) / 16**12
