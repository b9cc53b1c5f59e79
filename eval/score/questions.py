"""The exam's questions as lm-eval's tasks ask them: text, options, stop strings and grading, tied to our rows.

lm-eval stops here: its Task objects give documents, prompts (few-shot included) and grading; the loop is our own
(its own grades only at the end, keeps one sample of several and repeats requests to even out ranks).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from eval.benchmark import Benchmark, Task, document
from eval.task import CANARIES
from finetune.card import Row, ask
from finetune.collector import paused
from finetune.mistakes import BadInput

FEWSHOT_SEED = 1234  # lm-eval's own default, so that plain lm_eval shows the same examples
LENGTHS = {"acc": lambda option: 1, "acc_norm": len, "acc_bytes": lambda option: len(option.encode())}


@dataclass(frozen=True)
class Question:
    """One question, before any contender's frame and chat template."""

    task: Task
    row: Row
    text: str  # what lm-eval would put before the answer
    options: tuple[str, ...]  # likelihood: what may follow the text
    delimiter: str  # likelihood, no chat: what stands between text and option
    until: tuple[str, ...]  # generated: strings that end the answer
    doc: dict[str, Any]
    judge: Any  # lm-eval's Task

    @property
    def content(self) -> str:
        """sha256 (hex) of what was asked: must be equal for all contenders of a comparison."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def choose(self, loglikelihoods: Sequence[float]) -> int:
        """The option that lm-eval's headline metric takes: the likeliest, per character under `acc_norm`."""
        length = LENGTHS[self.task.metric]
        scaled = [value / length(option) for value, option in zip(loglikelihoods, self.options, strict=True)]
        return scaled.index(max(scaled))

    def score(self, likelihoods: Sequence[tuple[float, bool]]) -> float:
        """What lm-eval's own process_results makes of the options' (log-likelihood, greedy)."""
        return float(self.judge.process_results(self.doc, list(likelihoods))[self.task.metric])


def questions(task: Task) -> list[Question]:
    """All questions of a task in the benchmark's order. BadInput: lm-eval sees others, or a form that is not built."""
    if task.name == CANARIES:  # of no YAML
        return [Question(task, row, ask(row), (), "", task.until, {"id": row.id}, None) for row in task.rows]
    try:
        judge = _lm_eval_task(task)
    except BadInput:
        raise
    except Exception as fault:  # a user's YAML and templates: what breaks in them is told in many ways
        said = fault if task.card.shows(asked=False) else "its words may be the card's, which is private"
        raise BadInput(f"task {task.name}: lm-eval cannot read it: {type(fault).__name__}: {said}") from fault
    asked = [list(same) for _, same in groupby(judge.instances, key=lambda instance: instance.doc_id)]
    found = [_question(task, row, same, judge) for row, same in zip(task.rows, asked, strict=False)]
    if [q.doc["id"] for q in found] != [row.id for row in task.rows] or len(asked) != len(task.rows):
        raise BadInput(f"task {task.name}: lm-eval and its card {task.card.name} do not give the same questions")
    return found


def sampled(benchmark: Benchmark, count: int, part: str = "test") -> list[Question]:
    """About `count` questions of one part, evenly over each task and at least two of it (or all)."""
    found = []
    for task in benchmark.tasks:
        asked = [each for each in questions(task) if task.part(each.row) == part]
        whole = sum(len(each.rows) for each in benchmark.tasks)
        wanted = min(len(asked), max(2, round(count * len(task.rows) / whole)))
        found += [asked[place * len(asked) // wanted] for place in range(wanted)]
    return found


def _lm_eval_task(task: Task) -> Any:
    """lm-eval's own object for a task, its requests built."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it greets every custom data set with a warning
    with paused():
        from lm_eval.tasks import TaskManager

    name = task.original
    judge = TaskManager(include_path=str(task.folder), include_defaults=False).load(name)["tasks"][name]
    if task.twin:
        _put_twins(task, judge)
    scored = [*judge._metric_fn_list]
    if task.metric not in scored:
        raise BadInput(f"task {task.name}: metadata.headline {task.metric} is not in metric_list ({', '.join(scored)})")
    if task.protocol == "likelihood" and task.metric not in LENGTHS:
        raise BadInput(f"task {task.name}: metadata.headline {task.metric}; a choice is scored by {', '.join(LENGTHS)}")
    judge.set_fewshot_seed(FEWSHOT_SEED)
    judge.build_all_requests()
    return judge


def _put_twins(task: Task, judge: Any) -> None:
    """The twins in place of the items that they are of; everything else is the original task's."""
    import datasets

    facts = {"answer": task.answer, "reading": task.reading, "headline": task.metric}
    docs = [document(row, facts) for row in task.rows]
    judge.dataset = datasets.DatasetDict({task.split: datasets.Dataset.from_list(docs)})


def _question(task: Task, row: Row, instances: Sequence[Any], judge: Any) -> Question:
    doc = instances[0].doc
    options, until, delimiter = (), (), ""
    texts = {instance.args[0] for instance in instances}
    if len(texts) != 1 or not isinstance(instances[0].args[0], str):
        raise BadInput(f"task {task.name}: the options of {row.id} stand after unlike texts, which is not built")
    if task.protocol == "likelihood":
        options, delimiter = tuple(judge.doc_to_choice(doc)), judge.config.target_delimiter
        gold = judge.doc_to_target(doc)
        place = options.index(gold) if isinstance(gold, str) and gold in options else gold
        if not isinstance(place, int) or not 0 <= place < len(options):
            target = f"target {gold!r} of {len(options)}" if task.card.shows(asked=False) else f"of {len(options)}"
            raise BadInput(
                f"task {task.name}: {row.id} has no single right option ({target}); "
                f"set single_answer: true in dataset_kwargs to leave such questions out"
            )
    else:
        named = instances[0].args[1].get("until") or []
        until = (named,) if isinstance(named, str) else tuple(named)
    return Question(task, row, texts.pop(), options, delimiter, until, doc, judge)
