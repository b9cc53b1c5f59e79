"""Draft: a data card and a task folder from a file of the user's own, to be read and corrected by a person.

What is doubtful in the guess (eval.intake.guess) is written into the card's prose.
"""

import glob
import gzip
import os
import re
import shutil
from pathlib import Path

import yaml

from eval.intake.guess import Guess, Record, guess_from
from finetune.card import BadCard, DataCard, Format, Reading, read_records, text_digest
from finetune.files import write_whole

FORMATS: dict[str, Format] = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "jsonl"}
EXAM_SPLITS = ("test", "exam", "val", "validation", "dev")
CHOSEN = """output_type: multiple_choice
doc_to_text: "{{ask}}"
doc_to_choice: "{{letters}}"
doc_to_target: gold
target_delimiter: ""
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
metadata: {version: 1, headline: acc, answer: letter, think: empty}
"""
WRITTEN = """output_type: generate_until
doc_to_text: "{{ask}}"
doc_to_target: "{{answer}}"
target_delimiter: ""
generation_kwargs: {until: [], max_gen_toks: 2048, do_sample: false}
process_results: !function eval.extract.process_results
metric_list:
  - {metric: exact, aggregation: mean, higher_is_better: true}
metadata: {version: 1, headline: exact, answer: ANSWER}
"""


def draft(file: Path, folder: Path, name: str) -> list[Path]:
    """Write `<folder>/<name>/<name>.md` and, for an exam, its task YAML beside it. Returns what was written.

    BadCard: the file cannot be understood, or something of that name is there already; then nothing is written.
    """
    if not re.fullmatch(r"[^\W\d][\w-]*", name) or yaml.safe_load(name) != name:
        raise BadCard(
            f"--name {name}: begin with a letter, go on with letters, digits, _ and -; it names folder and task"
        )
    place = folder / name
    if place.exists():
        raise BadCard(f"{place}: is there already, nothing was written; choose another --name or remove it")
    form, reading, places, records = _read(file)
    guess = guess_from(records, places, file)
    scratch = folder / f".{name}.{os.getpid()}"
    scratch.mkdir(parents=True)
    try:
        _write(scratch, name, file, form, reading, guess)
        os.replace(scratch, place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return sorted(place.iterdir())


def _read(file: Path) -> tuple[Format, dict[str, str], list[str], list[Record]]:
    """Format, reading options, places and records of a user's file."""
    ending = (file.with_suffix("") if file.suffix == ".gz" else file).suffix.lower()
    if ending not in FORMATS:
        raise BadCard(f"{file}: ends in {ending or 'nothing'}; {', '.join(FORMATS)} can be read, gzipped too")
    if not file.is_file():
        raise BadCard(f"{file}: no such file; name a file of questions or training rows")
    wanted = _ways(file, FORMATS[ending])
    found = list(read_records(file, FORMATS[ending], Reading.model_validate(wanted), file.name))
    if not found:
        raise BadCard(f"{file}: holds no record; write one question a line")
    places, records = map(list, zip(*found, strict=True))
    return FORMATS[ending], wanted, places, records


def _ways(file: Path, form: Format) -> dict[str, str]:
    """Encoding (UTF-8, else UTF-16 by its mark, else GB 18030 as Chinese Excel writes) and delimiter, where unusual."""
    try:
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        text, ways = raw.decode("utf-8-sig"), {}
    except (OSError, EOFError):
        return {}  # read_records says what is wrong
    except UnicodeDecodeError:
        encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "gb18030"
        text, ways = raw.decode(encoding, errors="replace"), {"encoding": encoding}
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    return ways | ({"delimiter": delimiter} if form == "csv" and delimiter != "," else {})


def _write(place: Path, name: str, file: Path, form: Format, reading: dict[str, str], guess: Guess) -> None:
    """The card, and the task's YAML where the card is an exam's."""
    stem = file.name.removesuffix(".gz")
    front = {
        "name": name,
        "title": f"Drafted from {file.name}",
        "licence": {"name": "private", "commercial": True},
        "published": False,
        "folder": Path(os.path.relpath(file.resolve().parent, place.resolve())).as_posix(),
        "format": form,
        **guess.front,
        "editions": {"own": {stem: text_digest(file)}},
    }
    front["reading"] = {**guess.front.get("reading", {}), **reading}
    front["splits"] = {split: {"files": glob.escape(stem), **rest} for split, rest in guess.front["splits"].items()}
    front = {key: value for key, value in front.items() if value not in ({}, "")}
    words = yaml.safe_dump(front, allow_unicode=True, sort_keys=False, default_flow_style=None, width=110)
    card = place / f"{name}.md"
    write_whole(card, f"---\n{words}---\n{_prose(file, guess.doubts)}")
    if guess.front["shape"] in ("choice", "numeric", "qa"):
        _write_tasks(place, name, DataCard.read(card))


def _prose(file: Path, doubts: list[str]) -> str:
    said = "`licence` and `published` are those of a private set. If it was ever public, say `published: true`."
    head = f"Drafted by `tuneworth data new` from {file.name}: read the keys above, correct them, delete these lines."
    return "\n".join([head, "", *(f"- {line}" for line in (*doubts, said))]) + "\n"


def _write_tasks(place: Path, name: str, card: DataCard) -> None:
    """`<name>.yaml`; for a choice by likelihood, and then `<name>_gen.yaml` too, in which the letter is generated."""
    split = next((split for split in EXAM_SPLITS if split in card.splits), next(iter(card.splits)))
    answer = {"choice": "letter", "numeric": "number", "qa": "text"}[card.shape]
    written = WRITTEN.replace("ANSWER", answer)
    rows, _ = card.sift(None, split)
    by_likelihood = card.shape == "choice" and any(len(row.answer or "") == 1 for row in rows)
    bodies = {name: CHOSEN, f"{name}_gen": written} if by_likelihood else {name: written}
    for task, body in bodies.items():
        source: dict[str, object] = {"card": name, "split": split}
        if body == CHOSEN and card.columns.multiple:
            source["single_answer"] = True  # a likelihood can choose one option only
        facts = {"dataset_kwargs": source, "test_split": split}
        head = f"task: {task}\ncustom_dataset: !function eval.benchmark.load\n"
        words = yaml.safe_dump(facts, allow_unicode=True, sort_keys=False, default_flow_style=None)
        write_whole(place / f"{task}.yaml", head + words + body)
