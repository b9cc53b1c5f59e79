"""Outline: what the YAML of a task must say, of its questions and golds too, and how it puts them.

Found here before the exam, by file and key, is what would else break in lm-eval or cost answers that nobody can earn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from eval.extract import AnswerKind, Reading, grade, refuse_bad_gold
from eval.extract.fields import NOTICES, Fields
from eval.task import Protocol, Scenario, Trait
from finetune.card import LETTERS, Row, ask
from finetune.files import digest_of, file_digest
from finetune.mistakes import BadInput

OUTPUTS: dict[str, Protocol] = {"multiple_choice": "likelihood", "generate_until": "generated"}
UNASKED = {  # keys of a task's YAML that no question shows, or that a digest knows otherwise
    "task", "task_alias", "tag", "group", "metadata", "custom_dataset", "dataset_kwargs", "test_split", "output_type",
    "generation_kwargs", "process_results", "metric_list", "filter_list", "repeats",
}  # fmt: skip


def form(folder: Path, raw: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """How the questions are asked: who changes a template has another exam, whether or not the version was raised.

    What the YAML takes in is a part of it, and so is the Python beside it, which its `!function` names may call.
    """
    included = raw.get("include") or []
    named = included if isinstance(included, list) else [included]
    beside = [*(folder / str(each) for each in named), *folder.glob("*.py")]
    taken = {path.name: file_digest(path) for path in beside if path.is_file()}
    said = {key: value for key, value in raw.items() if key not in UNASKED}
    return digest_of([said, until(raw), [ask(row) for row in rows], taken])


def refuse_misshapen(path: Path, raw: Mapping[str, Any]) -> None:
    """BadInput: what must be a mapping or a text is another thing, so that nothing can be looked for in it."""
    for key in ("metadata", "dataset_kwargs", "generation_kwargs"):
        if not isinstance(raw.get(key) or {}, dict):
            raise BadInput(f"{path}: {key} {raw[key]!r}; a mapping is needed, as {{name: value}}")
    source, ends = raw.get("dataset_kwargs") or {}, (raw.get("generation_kwargs") or {}).get("until") or []
    for key in ("card", "split"):
        if not isinstance(source.get(key, ""), str):
            raise BadInput(f"{path}: dataset_kwargs.{key} {source[key]!r}; a name is needed, in quotation marks")
    if not isinstance(ends, str | list) or not all(isinstance(end, str) for end in ends):
        raise BadInput(f"{path}: generation_kwargs.until {ends!r}; a list of texts is needed, in quotation marks")


def refuse_incomplete(path: Path, raw: Mapping[str, Any], facts: Mapping[str, Any], source: Mapping[str, Any]) -> None:
    """BadInput names the first key of a task's YAML that is missing, or whose word is unknown."""
    needed = [("card", source), ("split", source), ("version", facts), ("headline", facts), ("answer", facts)]
    for key, holder in needed:
        if key not in holder:
            raise BadInput(f"{path}: {'dataset_kwargs' if holder is source else 'metadata'}.{key} is missing")
    if raw.get("output_type") not in OUTPUTS:
        raise BadInput(f"{path}: output_type {raw.get('output_type')!r}; known are {', '.join(OUTPUTS)}")
    for key, kinds in {"answer": AnswerKind, "reading": Reading, "scenario": Scenario}.items():
        if (key == "answer" or facts.get(key) is not None) and facts[key] not in get_args(kinds):
            raise BadInput(f"{path}: metadata.{key} {facts[key]!r}; known are {', '.join(get_args(kinds))}")


def traits(path: Path, facts: Mapping[str, Any]) -> tuple[Trait, ...]:
    named, known = facts.get("traits", []), get_args(Trait)
    if not isinstance(named, list) or any(each not in known for each in named):
        raise BadInput(f"{path}: metadata.traits {named!r}; a list is needed, of {', '.join(known)}")
    return tuple(trait for trait in known if trait in named)


def fields(path: Path, facts: Mapping[str, Any]) -> Fields:
    """Those that the task declares, else a notice's. BadInput names the file."""
    try:
        return Fields.of(facts["fields"]) if "fields" in facts else NOTICES
    except BadInput as fault:
        raise BadInput(f"{path}: metadata.{fault}") from None


def until(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """As lm-eval reads it: one string or several, and what parts few-shot examples where none is named."""
    named = (raw.get("generation_kwargs") or {}).get("until", raw.get("fewshot_delimiter", "\n\n")) or []
    return (named,) if isinstance(named, str) else tuple(named)


def refuse_bad_golds(path: Path, kind: str, rows: Sequence[Row], fields: Fields, *, shown: bool) -> None:
    """BadInput for a gold that cannot be read: found before the exam, not after its answers are paid for. Of a private
    card (not `shown`) the place alone is named."""
    for row in rows:
        try:
            refuse_bad_gold(kind, row.answer or "", fields)
            _refuse_unmet(kind, row)
        except BadInput as fault:
            hidden = f"the answer is not of the form that answer: {kind} needs; the card is private, so it is not shown"
            raise BadInput(f"{path}: {row.id}: {fault if shown else hidden}") from None


def _refuse_unmet(kind: str, row: Row) -> None:
    """BadInput: a gold that no answer of its kind can meet: a letter of no option, or a number that is none."""
    gold = row.answer or ""
    if kind in ("letter", "option"):
        known = LETTERS[: len(row.options)] if row.options or kind == "option" else LETTERS
        met = bool(gold) and set(gold) <= set(known)
    else:  # `n/a` is no no
        said = gold.strip().isalpha() or any(map(str.isnumeric, gold))
        met = kind not in ("number", "yes_no") or (said and grade(kind, gold, gold).outcome == "correct")
    if not met:
        raise BadInput(
            f"the answer {gold[:40]!r} can be met by none of kind {kind}; correct it, or name its kind: metadata.answer"
        )
