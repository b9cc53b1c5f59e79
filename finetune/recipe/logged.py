"""Answers given elsewhere: the files that lm-eval's `--log_samples` leaves, and what pins them.

samples_<task>_<date>.jsonl   results_<date>.json      (the date ties a run's files to each other)
"""

import re
from pathlib import Path

from finetune.files import digest_of, file_digest
from finetune.mistakes import BadInput

DATE = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?"
SAMPLES = re.compile(rf"samples_(?P<task>.+?)(?:_(?P<date>{DATE}))?\.jsonl")


def sample_files(path: Path) -> dict[Path, str]:
    """Files of samples at `path`, a file or a folder of them at any depth, each with the task that it names.

    BadInput: nothing there, none that lm-eval would have named so, or a name without a file behind it.
    """
    if not path.exists():
        raise BadInput(f"items: {path}: no such file or folder; give what lm-eval --log_samples wrote")
    found = {
        each: SAMPLES.fullmatch(each.name) for each in (sorted(path.rglob("*.jsonl")) if path.is_dir() else [path])
    }
    named = {each: match["task"] for each, match in found.items() if match}
    if not named:
        raise BadInput(f"items: {path}: no samples_<task>_<date>.jsonl, as lm-eval --log_samples names them")
    for each in named:
        if not each.is_file():
            raise BadInput(f"items: {each}: no file, but a folder or a link to nothing; copy it again, or move it away")
    return named


def results_file(samples: Path) -> Path | None:
    """The results of the run that wrote a file of samples, beside it; None where they are not there."""
    match = SAMPLES.fullmatch(samples.name)
    beside = samples.with_name(f"results_{match['date']}.json") if match and match["date"] else None
    return beside if beside and beside.is_file() else None


def logged_digest(path: Path) -> str:
    """sha256 over what was logged, wherever it lies. BadInput as `sample_files`."""
    files = [file for each in sample_files(path) for file in (each, results_file(each)) if file]
    return digest_of(sorted({(file.name, file_digest(file)) for file in files}))
