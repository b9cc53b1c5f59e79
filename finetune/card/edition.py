"""Edition: which files a split of a data card means, where they lie, and which known state of them they are."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from finetune.card.columns import Texts
from finetune.card.records import BadCard
from finetune.files import cache_folder, file_digest, remember

UNPINNED = "unpinned"  # the edition of files that no listed one is equal to


class Split(BaseModel):
    """Which files, and which of their records; in a card, a list of file patterns alone will do."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    files: Texts = Field(min_length=1, description="Patterns relative to `folder`; * stays inside one folder's name")
    where: dict[str, Texts] = Field({}, description="Only records whose column has one of these values")
    half: Literal[0, 1] | None = Field(None, description="One half of the records, by the hash of the question's text")
    options: Texts = Field((), description="Options of every record, where no column holds them; answered by text")

    @field_validator("files")
    @classmethod
    def _inside(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            steps = PurePosixPath(pattern).parts
            if PurePosixPath(pattern).is_absolute() or any(step == ".." or "**" in step for step in steps):
                raise ValueError(f"{pattern}: name files below `folder`, without a leading /, .. or **")
        return patterns

    @property
    def several(self) -> bool:
        """Whether it may be more than one file: then ids begin with the file's name."""
        return len(self.files) > 1 or "*" in self.files[0]

    def has(self, name: str) -> bool:
        """Whether a file (its name relative to the card's folder, without .gz) belongs to this split."""
        steps = PurePosixPath(name).parts
        return any(
            len(steps) == len(wanted) and all(map(fnmatchcase, steps, wanted))
            for wanted in (PurePosixPath(pattern).parts for pattern in self.files)
        )

    def find(self, folder: Path) -> tuple[Path, ...]:
        """The files under `folder` in the order of their names; the plain one where there is a gzipped one too."""
        plain = {path for pattern in self.files for path in folder.glob(pattern) if path.suffix != ".gz"}
        packed = {path for pattern in self.files for path in folder.glob(f"{pattern}.gz")}
        return tuple(sorted(path for path in plain | packed if path.is_file() and _unpacked(path) not in plain))


@dataclass(frozen=True)
class Files:
    """What was found: paths by split, sha256 by name relative to `folder` (without .gz, of the text before gzip)."""

    folder: Path
    paths: dict[str, tuple[Path, ...]]
    sha256: dict[str, str]
    edition: str  # a name of the card's, or UNPINNED


def locate(folder: Path, splits: dict[str, Split], editions: dict[str, dict[str, str]]) -> Files | None:
    """The files of the splits in a folder, hashed; None where there is none for any split."""
    paths = {name: split.find(folder) for name, split in splits.items()}
    named = {name_of(path, folder): path for found in paths.values() for path in found}
    if not named:
        return None
    sha256 = {name: text_digest(path) for name, path in sorted(named.items())}
    present = [split for name, split in splits.items() if paths[name]]
    edition = next((name for name, sums in editions.items() if _within(sums, present) == sha256), UNPINNED)
    return Files(folder, paths, sha256, edition)


def differences(files: Files, splits: dict[str, Split], sums: dict[str, str]) -> list[str]:
    """Names of files that are missing from, additional to, or other than in an edition; of the splits found at all."""
    listed = _within(sums, [split for name, split in splits.items() if files.paths[name]])
    return sorted(name for name in {*listed, *files.sha256} if listed.get(name) != files.sha256.get(name))


def _within(sums: dict[str, str], splits: list[Split]) -> dict[str, str]:
    return {name: sha256 for name, sha256 in sums.items() if any(split.has(name) for split in splits)}


def name_of(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix().removesuffix(".gz")


def _unpacked(path: Path) -> Path | None:
    return path.with_suffix("") if path.suffix == ".gz" else None


def text_digest(path: Path) -> str:
    """sha256 of a file's content, after gunzip for .gz: packing a file does not change its edition."""
    if path.suffix != ".gz":
        return file_digest(path)
    note = cache_folder() / "digests" / f"{file_digest(path)}-gunzipped"
    if note.is_file():
        return note.read_text("ascii")
    summed = hashlib.sha256()
    try:
        with gzip.open(path) as source:
            while block := source.read(1 << 20):
                summed.update(block)
    except (gzip.BadGzipFile, EOFError) as fault:
        raise BadCard(f"{path}: not a whole gzip file ({fault}); get the file again") from None
    remember(note, summed.hexdigest())
    return summed.hexdigest()


def read_sums(path: Path) -> dict[str, str]:
    """A file as sha256sum writes it: `<sha256>  <name>` lines."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as fault:
        raise BadCard(f"{path}: {fault.strerror}; an edition is {{file: sha256}} or a sha256sum file") from None
    sums = {}
    for number, line in enumerate(lines, 1):
        parts = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if not parts:
            raise BadCard(f"{path}:{number}: {line[:80]!r} is no line of `sha256  file`; write it with sha256sum")
        sums[parts[2]] = parts[1]
    return sums
