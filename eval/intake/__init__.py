"""Intake of data: what `tuneworth data check` finds out about a card, and `tuneworth data new` (eval.intake.draft).

A fault means that the card cannot be used as it is; a warning is something to know before judging by it.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eval.intake.draft import draft
from finetune.card import BadCard, DataCard, Row

__all__ = ["CardReport", "SplitReport", "check", "draft", "table"]
FROZEN = ConfigDict(frozen=True, extra="forbid")
FEW_CLUSTERS = 40  # below so many, intervals rest on a bootstrap and stay wide
SHOWN = 20  # faults on the screen
UNEVEN = 0.05  # a blind rule that beats guessing by more than this share of points is worth a warning


class SplitReport(BaseModel):
    """Counts of one split. Shares are of the rows with exactly one right option."""

    model_config = FROZEN
    split: str
    rows: int
    languages: dict[str, int]
    clusters: int
    largest_cluster: int
    exact: int  # rows whose question, context and options stand in the split already
    conflicting: int  # of those, how many have another answer
    near: int  # rows that are nearly like an earlier one, exact ones not counted
    repeated_options: int  # rows with the same option text twice
    empty: dict[str, int]  # parts the card has a column for -> rows without a value
    options: dict[int, int]  # number of options -> rows
    several: int  # rows with several right options
    letters: dict[str, float]
    blind: dict[str, float]  # what would be scored by most_frequent, longest, random


class CardReport(BaseModel):
    """What `tuneworth data check` found."""

    model_config = FROZEN
    card: str
    title: str
    licence: str
    defects: tuple[str, ...]  # known ones, as the card says
    edition: str
    files: int
    splits: tuple[SplitReport, ...]
    overlaps: dict[str, int]  # "a & b" -> rows of b that are nearly like a row of a
    warnings: tuple[str, ...]
    faults: tuple[str, ...]


def check(path: Path, root: Path | None) -> CardReport:
    """Verify a card and its files. BadCard where the card cannot be read or no file is found at all."""
    card = DataCard.read(path)
    files = card.locate(root)
    rows: dict[str, list[Row]] = {}
    faults = (
        [] if card.name == path.stem else [f"name is {card.name}, the file {path.name}; a task finds it by its name"]
    )
    for split in card.splits:
        try:
            rows[split], found = card.sift(root, split)
            faults += [f"{split}: {fault}" for fault in found or ([] if rows[split] else ["no row is left"])]
        except BadCard as fault:
            faults.append(str(fault))
    splits = tuple(describe(card, split, found) for split, found in rows.items() if found)
    overlaps = dict(_overlaps(card, rows))
    return CardReport(
        card=card.name,
        title=card.title,
        licence=f"{card.licence.name} {card.licence.url}".strip(),
        defects=card.defects,
        edition=files.edition,
        files=len(files.sha256),
        splits=splits,
        overlaps=overlaps,
        warnings=(*_about_card(card, card.differences(files)), *_about_rows(splits, overlaps)),
        faults=tuple(faults),
    )


def describe(card: DataCard, split: str, rows: list[Row]) -> SplitReport:
    """Counts of one split's rows (at least one)."""
    clusters = Counter(row.cluster for row in card.cluster(rows))
    asked = [(row.context, row.asked, row.options) for row in rows]
    answers: dict[object, set[str | None]] = {}
    for key, row in zip(asked, rows, strict=True):
        answers.setdefault(key, set()).add(row.answer)
    exact = len(rows) - len(answers)
    alike = card.alike([f"{row.context}\n{row.asked}\n" + "\n".join(row.options) for row in rows])
    single = [row for row in rows if row.options and row.answer and len(row.answer) == 1]
    return SplitReport(
        split=split,
        rows=len(rows),
        languages=dict(Counter(row.lang for row in rows)),
        clusters=len(clusters),
        largest_cluster=max(clusters.values()),
        exact=exact,
        conflicting=sum(len(found) - 1 for found in answers.values()),
        near=len(rows) - len(set(alike)) - exact,
        repeated_options=sum(len(set(row.options)) < len(row.options) for row in rows),
        empty=_empty(card, rows),
        options=dict(sorted(Counter(len(row.options) for row in rows if row.options).items())),
        several=sum(row.options != () and len(row.answer or "") > 1 for row in rows),
        letters={letter: n / len(single) for letter, n in sorted(Counter(row.answer or "" for row in single).items())},
        blind=_blind(single),
    )


def _empty(card: DataCard, rows: list[Row]) -> dict[str, int]:
    named = [part for part in ("context", "explanation", "subject", "cluster", "source") if _named(card, part)]
    counts = {part: sum(not getattr(row, part) for row in rows) for part in named}
    return {part: count for part, count in counts.items() if count}


def _named(card: DataCard, part: str) -> bool:
    return bool(getattr(card.columns, part)) or part in {str(key) for key in card.columns.from_path}


def _blind(rows: list[Row]) -> dict[str, float]:
    """Scores of rules that do not read the question; a tie of longest options is shared."""
    if not rows:
        return {}
    longest = [[len(text) == max(map(len, row.options)) for text in row.options] for row in rows]
    hits = [at["ABCDEFGHIJ".index(row.answer or "")] / sum(at) for row, at in zip(rows, longest, strict=True)]
    return {
        "most_frequent": max(Counter(row.answer for row in rows).values()) / len(rows),
        "longest": sum(hits) / len(rows),
        "random": sum(1 / len(row.options) for row in rows) / len(rows),
    }


def _overlaps(card: DataCard, rows: dict[str, list[Row]]) -> Iterator[tuple[str, int]]:
    """Rows of one split that are nearly like a row of another; splits that share rows by design are left out."""
    ids = {split: {(row.id, row.digest) for row in found} for split, found in rows.items()}
    pairs = [pair for pair in combinations(rows, 2) if not ids[pair[0]] & ids[pair[1]]]
    if not pairs:
        return
    groups = iter(card.alike([f"{row.context}\n{row.asked}" for found in rows.values() for row in found]))
    alike = {split: [next(groups) for _ in found] for split, found in rows.items()}
    for one, other in pairs:
        seen = set(alike[one])
        count = sum(group in seen for group in alike[other])
        if count:
            yield f"{one} & {other}", count


def _about_card(card: DataCard, differences: dict[str, list[str]]) -> Iterator[str]:
    if not card.licence.commercial:
        yield f"licence {card.licence.name}: no commercial use, of a contender tuned on it either"
    if card.published:
        yield "published: a newer base may have seen it, a tuned older one too; a private exam settles what this cannot"
    if differences and all(differences.values()):
        name, files = min(differences.items(), key=lambda each: len(each[1]))
        shown = ", ".join(files[:3]) + (", ..." if len(files) > 3 else "")
        yield f"unpinned: no listed edition; nearest is {name}, which differs in {len(files)} of its files: {shown}"
    elif not differences:
        yield "unpinned: the card lists no edition; list the files' sha256, so that a change is noticed"


def _about_rows(splits: tuple[SplitReport, ...], overlaps: dict[str, int]) -> Iterator[str]:
    for it in splits:
        if it.conflicting:
            yield f"{it.split}: the same question with different answers: {it.conflicting}"
        if it.exact or it.near:
            yield f"{it.split}: duplicates: {it.exact} exact, {it.near} near"
        if it.repeated_options:
            yield f"{it.split}: questions that offer an option twice: {it.repeated_options}"
        if it.clusters < FEW_CLUSTERS:
            yield f"{it.split}: clusters: {it.clusters}; below {FEW_CLUSTERS} expect wide intervals"
        for rule in ("most_frequent", "longest"):
            if it.blind and it.blind[rule] > it.blind["random"] + UNEVEN:
                words = {"most_frequent": "the most frequent letter", "longest": "the longest option"}[rule]
                yield f"{it.split}: {words} alone scores {it.blind[rule]:.1%}, guessing {it.blind['random']:.1%}"
    for pair, count in overlaps.items():
        yield f"{pair}: nearly equal questions: {count}; do not tune on one split and examine on the other"


def table(report: CardReport) -> RenderableType:
    """The report for a terminal."""
    head = f"{report.card}: {report.title}\nlicence {report.licence}; edition {report.edition}; {report.files} files\n"
    parts: list[RenderableType] = [Text(head), _counts(report.splits)]
    if any(it.blind for it in report.splits):
        parts.append(_choices(report.splits))
    parts += [Text(f"known defect: {line}", style="dim") for line in report.defects]
    parts += [Text(f"note: {line}", style="yellow") for line in report.warnings]
    parts += [Text(f"fault: {line}", style="red") for line in report.faults[:SHOWN]]
    if len(report.faults) > SHOWN:
        parts.append(Text(f"and {len(report.faults) - SHOWN} faults more", style="red"))
    end = Text("not usable as it is", style="bold red") if report.faults else Text("no faults", style="bold green")
    return Group(*parts, end)


def _counts(splits: tuple[SplitReport, ...]) -> Table:
    shown = Table("split", title="Rows", title_justify="left")
    for head in ("rows", "languages", "clusters", "largest", "exact", "near", "conflicting", "empty"):
        shown.add_column(head, justify="left" if head in ("languages", "empty") else "right")
    for it in splits:
        empty = ", ".join(f"{part} {count}" for part, count in it.empty.items())
        languages = ", ".join(f"{lang} {count}" for lang, count in it.languages.items())
        numbers = (it.clusters, it.largest_cluster, it.exact, it.near, it.conflicting)
        shown.add_row(it.split, str(it.rows), languages, *map(str, numbers), empty)
    return shown


def _choices(splits: tuple[SplitReport, ...]) -> Table:
    shown = Table("split", "options", title="Choices: what blind rules would score", title_justify="left")
    for head in ("several right", "letters", "most frequent", "longest", "random"):
        shown.add_column(head, justify="left" if head == "letters" else "right")
    for it in splits:
        options = ", ".join(f"{rows} with {count}" for count, rows in it.options.items())
        letters = " ".join(f"{letter} {share:.0%}" for letter, share in it.letters.items())
        blind = [f"{it.blind[rule]:.1%}" for rule in ("most_frequent", "longest", "random")] if it.blind else [""] * 3
        shown.add_row(it.split, options, str(it.several), letters, *blind)
    return shown
