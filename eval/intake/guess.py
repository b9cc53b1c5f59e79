"""Guess: what the columns of a user's file hold, by their names in English and Chinese and by their values."""

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.card import LETTERS, BadCard, language_of, plain

Record = dict[str, Any]
NAMES = {  # part -> names of its column, folded
    "id": ("id", "qid", "编号", "序号", "题号"),
    "question": ("question", "query", "stem", "text", "sentence", "headline", "问题", "题目", "题干", "文本", "标题"),
    "context": ("context", "passage", "evidence", "材料", "背景", "原文", "正文", "上下文"),
    "answer": ("answer", "answers", "gold", "correct", "label", "答案", "正确答案", "标准答案", "参考答案"),
    "explanation": ("explanation", "analysis", "rationale", "解析", "解释", "分析"),
    "subject": ("subject", "category", "topic", "科目", "学科", "类别", "主题"),
    "cluster": ("cluster", "document", "doc", "docid", "filing", "contract", "file", "文件", "文档", "合同", "公告"),
    "source": ("source", "origin", "来源"),
    "lang": ("lang", "language", "语言", "语种"),
    "options": ("options", "choices", "选项"),
    "kind": ("type", "kind", "task", "题型", "类型"),
    "split": ("split", "partition", "划分"),
}
AS_NAMED = ("question", "answer", "context", "explanation", "subject", "source", "cluster")
TRAINING = {  # shape -> columns that tell it
    "messages": ("messages",),
    "sharegpt": ("conversations",),
    "prompt_completion": ("prompt", "completion"),
    "alpaca": ("instruction", "output"),
}
OPTION = re.compile(r"(?:选项|option|choice|opt)?([a-j]|\d+)", re.I)
SEVERAL = re.compile(r"多选|多项|不定项|multiple.?(?:answer|select|response)|several", re.I)
PAIRS = (
    ("是", "否"), ("对", "错"), ("正确", "错误"), ("yes", "no"), ("Yes", "No"), ("true", "false"), ("True", "False"),
)  # fmt: skip
MOST_LABELS = 6  # so few different answers, each five times on average, are labels to choose from
NUMBER = re.compile(r"[-+]?[$¥￥]?\d[\d,]*(\.\d+)?%?")


@dataclass
class Guess:
    """What a file seems to be: a card's front matter in the making, and what a person should look at."""

    front: dict[str, Any]
    doubts: list[str] = field(default_factory=list)


def guess_from(records: list[Record], places: list[str], file: Path) -> Guess:
    """What the records are: training rows of a known shape, else an exam; `places` are theirs, such as `q.csv:2`.

    BadCard: no question or answer is found, or the split of some rows is not said.
    """
    return _training(records) or _exam(records, places, file)


def _training(records: list[Record]) -> Guess | None:
    """A card for training rows, if the columns are those of a known shape."""
    for shape, told_by in TRAINING.items():
        if set(told_by) <= set(records[0]):
            columns = {"messages": "conversations"} if shape == "sharegpt" else {}
            words = (plain(record.get(told_by[0])) for record in records)
            return Guess({"languages": _languages(words), "shape": shape, "columns": columns, "splits": {"train": {}}})
    return None


def _exam(records: list[Record], places: list[str], file: Path) -> Guess:
    """A card for an exam: choice, numeric or qa."""
    known = list(dict.fromkeys(str(column) for record in records for column in record))
    named = _named(known)
    for part in ("question", "answer"):
        if part not in named:
            names = " or ".join(NAMES[part])
            raise BadCard(f"{file}: no column for the {part} among {', '.join(known)}; name it {names}")
    columns: dict[str, Any] = {part: named[part] for part in AS_NAMED if part in named}
    if "id" in named and len({plain(record.get(named["id"])) for record in records} - {""}) == len(records):
        columns["id"] = named["id"]
    if "lang" in named and {plain(record.get(named["lang"])) for record in records} <= {"zh", "en"}:
        columns["lang"] = named["lang"]
    guess = Guess({"languages": _languages(plain(record.get(named["question"])) for record in records)})
    guess.front |= {"shape": "", "columns": columns, "splits": _splits(records, places, named.get("split"))}
    columns |= _option_columns(known, named)
    _fit_answers(guess, records, named, file)
    lacking = sorted({name for name in _names_in(columns) if any(name not in record for record in records)})
    columns |= {"optional": lacking} if lacking else {}
    if "cluster" not in named:
        guess.doubts.append(
            "No column names the document that a question comes from: a cluster is a group of nearly equal questions. "
            "If questions share documents, name the column under `columns.cluster`, else intervals are too narrow."
        )
    return guess


def _named(known: list[str]) -> dict[str, str]:
    """Part -> column, by the column's name."""
    folded = {re.sub(r"[\s_.-]", "", column).casefold(): column for column in known}
    found = {part: [folded[name] for name in names if name in folded] for part, names in NAMES.items()}
    return {part: columns[0] for part, columns in found.items() if columns}


def _languages(texts: Iterable[str]) -> list[str]:
    return sorted({language_of(text) for text in texts if text}) or ["en"]


def _splits(records: list[Record], places: list[str], column: str | None) -> dict[str, dict[str, Any]]:
    """One split for each value of the split column; without one, or with an empty one, all is `test`.

    BadCard where some rows say their split and others do not: a training row must not end in the exam unnoticed.
    """
    said = [plain(record.get(column)) for record in records] if column else [""]
    if not any(said):
        return {"test": {}}
    if not all(said):
        known = " or ".join(sorted(set(said) - {""})[:3])
        raise BadCard(
            f"{places[said.index('')]}: column {column!r} is empty here and in {said.count('') - 1} more of "
            f"{len(said)} rows; write {known} into each, or take the whole column out"
        )
    return {value: {"where": {column: value}} for value in sorted(set(said))}


def _names_in(columns: dict[str, Any]) -> list[str]:
    """The columns that are named, without answer_form and multiple."""
    values = [value for part, value in columns.items() if part not in ("answer_form", "multiple")]
    return [name for value in values for name in (value if isinstance(value, list) else [value])]


def _fit_answers(guess: Guess, records: list[Record], named: dict[str, str], file: Path) -> None:
    """Shape, options and the way in which answers are written."""
    front, answers = guess.front, [plain(record.get(named["answer"])) for record in records]
    if "" in answers:
        front["unanswered"] = "drop"
        guess.doubts.append(f"Records without an answer, left out: {answers.count('')} of {len(answers)}.")
    said = sorted(set(answers) - {""})
    if not said:
        raise BadCard(f"{file}: column {named['answer']!r} holds no answer; an exam needs them")
    if "options" in front["columns"]:
        _fit_choice(guess, records, named, file)
    elif all(NUMBER.fullmatch(answer) for answer in said):
        front["shape"] = "numeric"
    elif labels := _labels(said, len(answers)):
        front["shape"] = "choice"
        front["splits"] = {name: {**split, "options": labels} for name, split in front["splits"].items()}
        guess.doubts.append(f"Every question is a choice between the answers that occur: {', '.join(labels)}.")
    else:
        front["shape"] = "qa"
        guess.doubts.append("Answers are texts: one is right only when it is the same text, up to case and blanks.")


def _labels(said: list[str], count: int) -> list[str]:
    """The options of a labelling task: a known pair, or the few answers that occur again and again; else none."""
    pair = next((pair for pair in PAIRS if set(said) <= set(pair)), None)
    return list(pair) if pair else said if 1 < len(said) <= MOST_LABELS and count >= 5 * len(said) else []


def _option_columns(known: list[str], named: dict[str, str]) -> dict[str, Any]:
    """`options`: columns A, B, ... (or 选项A, option_1, ...), else one column with a list or {letter: text}."""
    marks: dict[str, str] = {}
    for column in known:
        match = OPTION.fullmatch(re.sub(r"[\s_.-]", "", column))
        if match:
            marks[match[1].upper()] = column
    for order in (LETTERS, "123456789", "0123456789"):
        run = [marks[mark] for mark in order if mark in marks]
        if len(run) > 1 and all(mark in marks for mark in order[: len(run)]):
            return {"options": run}
    return {"options": named["options"]} if "options" in named else {}


def _fit_choice(guess: Guess, records: list[Record], named: dict[str, str], file: Path) -> None:
    """How answers point to options, and where several may be right."""
    front, columns = guess.front, guess.front["columns"]
    front["shape"] = "choice"
    if isinstance(columns["options"], str) and isinstance(records[0].get(columns["options"]), str):
        front["reading"] = {"literal": [columns["options"]]}
    asked = [record for record in records if plain(record.get(named["answer"]))]
    pairs = [(plain(record[named["answer"]]), _options(record, columns["options"])) for record in asked]
    form = next((form for form, fits in FORMS.items() if all(fits(*pair) for pair in pairs)), None)
    if form is None:
        answer, options = next(pair for pair in pairs if not _is_letters(*pair))
        raise BadCard(f"{file}: answer {answer!r} names none of the options {options}; write letters or their texts")
    if form != "letters":
        columns["answer_form"] = form
        return
    several = [record for record, (answer, _) in zip(asked, pairs, strict=True) if len(_bare(answer)) > 1]
    if several:
        kinds = {plain(record.get(named.get("kind", ""))) for record in several}
        told = all(SEVERAL.search(kind) for kind in kinds)
        columns["multiple"] = {named["kind"]: sorted(kinds)} if told else True
        guess.doubts.append(f"Questions with several right options: {len(several)}; see `columns.multiple`.")


def _options(record: Record, columns: str | list[str]) -> list[str]:
    """Option texts of a record, as far as they can be seen before a card exists."""
    if isinstance(columns, list):
        return [text for column in columns if (text := plain(record.get(column)))]
    value = record.get(columns)
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return []
    return list(map(plain, value.values() if isinstance(value, dict) else value or []))


def _bare(answer: str) -> str:
    return re.sub(r"[\s,，、;；]", "", answer).upper()


def _is_letters(answer: str, options: list[str]) -> bool:
    return bool(_bare(answer)) and set(_bare(answer)) <= set(LETTERS[: len(options)])


FORMS: dict[str, Callable[[str, list[str]], bool]] = {  # in this order; an index from 0 only where a 0 occurs
    "letters": _is_letters,
    "text": lambda answer, options: answer in options,
    "index1": lambda answer, options: answer.isdecimal() and 1 <= int(answer) <= len(options),
    "index0": lambda answer, options: answer.isdecimal() and int(answer) < len(options),
}
