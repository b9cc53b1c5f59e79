"""One contender whose answers were given elsewhere: lm-eval's log of its samples, tied to the exam's questions and
graded here. No model is loaded: questions are matched by id and content, and what a log cannot tell stays unknown.

Refused, by file and line: a sample of no question of the exam, or twice; a document that is not the exam's (another
edition); another version of the task; options, log-likelihoods or scores that do not fit together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval import items, pledge
from eval.benchmark import LETTERS, Benchmark, Task
from eval.extract import EXTRACTOR
from eval.grading import graded, spoken
from eval.items import ItemScore
from eval.score.candidate import Candidate
from eval.score.ledger import begin, column, task_facts
from eval.score.parts import Parts
from eval.score.questions import Question, questions
from eval.score.samples import Log, Sample, read_log, refuse_two_models
from finetune.files import digest_of
from finetune.mistakes import BadInput
from finetune.recipe import Recipe
from finetune.run import Hardware, LoggedFacts, RunDir, RunManifest, ScoreFacts, git_state, host, versions

CONTENT = ("question", "context", "options", "answer")  # of a document: what makes it the exam's
OPEN = "<think>"
ROUNDING = 1e-3  # a logit less the logarithm of all may end a hair above 0


@dataclass(frozen=True)
class Found:
    """One sample and the question that it answers."""

    question: Question
    place: str  # file:line
    sample: Sample
    logged: float | None  # the task's metric as it stands there


@dataclass(frozen=True)
class Part:
    """One task of a log, tied to the exam."""

    log: Log
    found: tuple[Found, ...]  # in the exam's order
    around: tuple[str, str] | None  # what stands before and after every question's text; None where that differs
    unlike: str  # why its questions are not the exam's for all that; empty where they are


def sit(recipe: Recipe, name: str, pending: Sequence[tuple[int, str]], benchmark: Benchmark, run: RunDir) -> None:
    """Import one contender's answers under its score fingerprint."""
    contender = recipe.contenders[name]
    assert contender.items is not None, "asked for a contender with items"
    for seed, fingerprint in pending:
        parts = [_part(read_log(Path(contender.items), task.name), task) for task in benchmark.carded]
        refuse_two_models([part.log for part in parts])
        template = digest_of({part.log.task: part.around for part in parts})
        candidate = Candidate(name, seed, fingerprint, engine="lm_eval", template=template)
        rows = [row for part in parts for found in part.found for row in _rows(candidate, part, found)]
        _keep(recipe, benchmark, run, candidate, parts, rows)


def _part(log: Log, task: Task) -> Part:
    _refuse_other_version(log, task)
    asked = questions(task)
    known = {question.row.id: (at, question) for at, question in enumerate(asked)}
    found: dict[str, Found] = {}
    for number, sample in log.lines:
        place = f"{log.path}:{number}"
        each = _match(place, task, sample, known)
        if each.question.row.id in found:
            raise BadInput(f"{place}: {task.name}/{each.question.row.id} stands twice; keep the lines of one run")
        found[each.question.row.id] = each
    _refuse_missing(log, task, asked, found)
    _refuse_uneven(task, found.values())
    around = _around(found.values())
    return Part(log, tuple(found[question.row.id] for question in asked), around, _unlike(task, around))


def _refuse_missing(log: Log, task: Task, asked: Sequence[Question], found: Mapping[str, Found]) -> None:
    """BadInput: a question that no line is of, and whether another filter may hold it."""
    missing = [question.row.id for question in asked if question.row.id not in found]
    if missing and len(log.filters) > 1:
        raise BadInput(
            f"{log.path}: its lines are of {len(log.filters)} filters ({', '.join(map(repr, log.filters))}), and "
            f"{log.filters[0]!r} lacks {len(missing)} of {len(asked)} questions of {task.name}; leave the lines "
            f"of one filter, a line for every question"
        )
    if missing:
        raise BadInput(
            f"{log.path}: no sample of {len(missing)} of {len(asked)} questions of {task.name}, the first is "
            f"{missing[0]}; run lm-eval on all of them (no --limit)"
        )


def _refuse_other_version(log: Log, task: Task) -> None:
    """Without results beside it a log does not say which version it asked; then only its documents are compared."""
    named = log.results.versions.get(task.name) if log.results else None
    if named is not None and str(named) != task.version:
        raise BadInput(
            f"{log.path}: {task.name} was asked in version {named}, and the exam has version {task.version}; "
            f"its scores mean something else"
        )


def _match(place: str, task: Task, sample: Sample, known: Mapping[str, tuple[int, Question]]) -> Found:
    """BadInput: its document is none of the exam's, or not the one that lm-eval hashed."""
    named = sample.doc.get("id")
    if not isinstance(named, str) or named not in known:
        raise BadInput(
            f"{place}: {named!r} is no question of {task.name}: another edition of its data, or another task"
        )
    at, question = known[named]
    unlike = [key for key in CONTENT if sample.doc.get(key) != question.doc[key]]
    if unlike:
        raise BadInput(
            f"{place}: the {unlike[0]} of {task.name}/{named} is not the exam's: another edition of its data (the exam "
            f"has {task.edition}), or ids that were shuffled"
        )
    if sample.doc_id != at or sample.altered:
        what = f"doc_id {sample.doc_id}, but it is number {at}" if sample.doc_id != at else "doc_hash is of another doc"
        raise BadInput(f"{place}: {task.name}/{named}: {what}; the line is not as lm-eval wrote it")
    try:
        return Found(question, place, sample, sample.metric(task.metric))
    except ValueError as fault:
        raise BadInput(f"{place}: {task.name}/{named}: {fault}") from None


def _refuse_uneven(task: Task, found: Collection[Found]) -> None:
    """BadInput: questions with unlike numbers of answers, or an option without its log-likelihood."""
    counts: dict[int, Found] = {}
    for each in found:
        requests, resps = each.sample.requests, each.sample.resps
        wanted = len(each.question.options) or 1
        repeats = {len(answers) for answers in resps}
        if not len(requests) == len(resps) == wanted or len(repeats) != 1 or 0 in repeats:
            raise BadInput(
                f"{each.place}: {task.name}/{each.question.row.id} has {len(resps)} answers to {wanted} requests; "
                f"the task was asked in another form"
            )
        counts.setdefault(repeats.pop(), each)
    if len(counts) > 1:
        few, many = sorted(counts)[:2]
        raise BadInput(
            f"{counts[few].place}: {task.name}/{counts[few].question.row.id} was answered {few} times, others {many}"
        )


def _around(found: Collection[Found]) -> tuple[str, str] | None:
    """What stands around every question's text, where that is the same: template, system prompt, fixed examples."""
    seen: set[tuple[str, str] | None] = set()
    for each in found:
        text = each.question.text.strip()
        for prompt, _ in each.sample.requests:
            before, here, after = prompt.rpartition(text)
            seen.add((before, after) if here else None)
    return seen.pop() if len(seen) == 1 else None


def _unlike(task: Task, around: tuple[str, str] | None) -> str:
    """lm-eval hands blanks that end a prompt to the option (`_encode_pair`): the same for all of a question's options,
    which `acc` does not mind, and metrics that divide by an option's length do."""
    if around is None:
        return "what stands around its questions differs from one to the next"
    if task.protocol == "likelihood" and task.metric != "acc" and around[1][-1:].isspace():
        return f"its template ends in blanks, which lm-eval counts with each option and {task.metric} divides by length"
    return ""


def _rows(candidate: Candidate, part: Part, found: Found) -> Iterator[ItemScore]:
    """A question that was not asked as the exam asks it keeps as its content all that was asked."""
    prompt = digest_of(found.sample.requests[0][0])
    unknown = {"finish": None, "tokens_in": None, "tokens_thinking": None, "tokens_out": None, "seconds": None}
    facts: dict[str, Any] = {"prompt": prompt, "version": _version(part.log)} | unknown
    if part.unlike:
        facts |= {"content": prompt}
    if found.question.options:
        yield candidate.row(found.question, 0, **facts | _chosen(found))
        return
    inside = bool(part.around and part.around[1].rstrip().endswith(OPEN))  # the prompt opened the thought
    for sample, said in enumerate(found.sample.resps[0]):
        if not isinstance(said, str):
            shown = f"{said!r:.40} " if found.question.task.card.shows(asked=False) else ""
            raise BadInput(f"{found.place}: {part.log.task}/{found.question.row.id}: the answer {shown}is no text")
        text = f"{OPEN}\n{said}" if inside else said
        answer, closed = spoken(None)(text)
        told = graded(found.question.task, found.question.row, answer, closed=closed, finish=None)
        yield candidate.row(found.question, sample, text=text, **facts | told)


def _version(log: Log) -> str:
    return str(log.results.versions.get(log.task, "")) if log.results else ""


def _chosen(found: Found) -> dict[str, Any]:
    """BadInput: options that are not the exam's, or log-likelihoods that do not make the score beside them."""
    question, sample = found.question, found.sample
    who = f"{found.place}: {question.task.name}/{question.row.id}"
    said = [str(option).strip() for _, option in sample.requests]
    if said != [option.strip() for option in question.options]:
        raise BadInput(f"{who}: its options are not the exam's; the task was asked in another form")
    try:
        pairs = [(float(answers[0][0]), str(answers[0][1]) == "True") for answers in sample.resps]
    except (ValueError, TypeError, IndexError, KeyError, OverflowError):
        pairs = []
    values = tuple(value for value, _ in pairs)
    if not values or not all(map(math.isfinite, values)):
        raise BadInput(f"{who}: no finite log-likelihood of every option")
    if max(values) > ROUNDING:
        raise BadInput(f"{who}: a log-likelihood of {max(values):g}, above 0: of no probability")
    chosen, score, metric = question.choose(values), question.score(pairs), question.task.metric
    if found.logged is not None and abs(found.logged - score) > 1e-6:
        raise BadInput(f"{who}: {metric} is {found.logged:g} there, but its log-likelihoods make it {score:g}")
    return {
        "text": question.options[chosen], "loglikelihoods": values, "finish": "likelihood",
        "extracted": LETTERS[chosen], "rule": metric, "outcome": "correct" if score == 1 else "wrong", "score": score,
    }  # fmt: skip


def _keep(
    recipe: Recipe, benchmark: Benchmark, run: RunDir, candidate: Candidate, parts: Sequence[Part],
    rows: Sequence[ItemScore],
) -> None:  # fmt: skip
    """Log and manifest, once all is known to fit; the plan is kept before."""
    place = run.seed(candidate.name, candidate.seed)
    mine = Parts(place, candidate.scorer)
    begin(recipe, run, benchmark, mine, candidate)
    plan = pledge.read(run)
    assert plan is not None, "it has just been kept"
    items.replace(place.items, rows, private=benchmark.private)
    now = time.time()
    RunManifest(
        stage="score", contender=candidate.name, seed=candidate.seed, fingerprint=candidate.scorer, started_at=now,
        finished_at=now, device_seconds=0.0, versions=versions(), git=git_state(Path(__file__).parent),
        hardware=Hardware(device="cpu", devices=0, processes=1, host=host()),
        scoring=_facts(plan.digest, benchmark, candidate, parts, rows),
    ).write(place.score_manifest)  # fmt: skip
    column(benchmark, mine)
    for part in parts:
        _tell(candidate, part, [row for row in rows if row.task == part.log.task])


def _facts(
    plan: str, benchmark: Benchmark, candidate: Candidate, parts: Sequence[Part], rows: Sequence[ItemScore]
) -> ScoreFacts:
    logs = [part.log for part in parts]
    known = [log.results for log in logs if log.results]
    whole = len(known) == len(logs)
    first = known[0] if known else None
    tools = {"lm_eval": first.lm_eval_version, "transformers": first.transformers_version} if first else {}
    return ScoreFacts(
        plan_digest=plan, first_score_at=min(each.date for each in known) if whole else None,
        tasks=tuple(task_facts(benchmark)), weights_digest="", adapter_digest=None, adapter_probe=None,
        chat_digest=candidate.template, template={part.log.task: part.around for part in parts}, frame_digest=None,
        decoding=_decoding(parts), engine=_one({each.engine for each in known}, whole),
        dtype=_one({each.dtype for each in known}, whole), batch_tokens=None,
        samples=max(row.sample for row in rows) + 1, extractor=EXTRACTOR, items=len(rows), generated_tokens=None,
        logged=LoggedFacts(
            files={name: digest for log in logs for name, digest in log.files.items()},
            model=first.model_name if first else "", versions={name: said for name, said in tools.items() if said},
        ),
    )  # fmt: skip


def _one(said: set[str], whole: bool) -> str:
    """What all runs share; where a run tells nothing, or they differ, nothing is known of the whole."""
    return said.pop() if whole and len(said) == 1 else "unknown"


def _decoding(parts: Sequence[Part]) -> dict[str, Any]:
    """How written answers were asked for, of the first task that has them."""
    asked = [found.sample.requests[0][1] for part in parts for found in part.found[:1] if not found.question.options]
    return dict(asked[0]) if asked and isinstance(asked[0], dict) else {}


def _tell(candidate: Candidate, part: Part, rows: Sequence[ItemScore]) -> None:
    task = part.log.task
    mean = sum(row.score for row in rows) / len(rows)
    candidate.say(f"{task} {mean:.3f} over {len(rows)} answers, of {part.log.path}")
    if part.unlike:
        candidate.say(f"{task}: not asked as the exam asks it: {part.unlike}")
    there = {found.question.row.id: found.logged for found in part.found}
    other = [row for row in rows if row.sample == 0 and there[row.id] not in (None, row.score)]
    if other and len(rows) == len(there):
        candidate.say(f"{task}: {len(other)} answers are graded otherwise here than there, the first is {other[0].id}")
