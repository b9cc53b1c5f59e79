"""The report of `tuneworth data check` for a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eval import terminal
from eval.audit.overlap import Overlap
from eval.intake.report import CardReport, SplitReport

SHOWN = 20  # faults on the screen
COLUMNS = (
    "rows", "languages", "asked", "answered", "clusters", "largest", "exact", "near", "conflicting", "cut", "empty",
)  # fmt: skip


def table(report: CardReport) -> RenderableType:
    """The report for a terminal."""
    head = f"{report.card}: {report.title}\nlicence {report.licence}; edition {report.edition}; {report.files} files\n"
    parts: list[RenderableType] = [Text(head), _counts(report.splits)]
    if any(it.blind for it in report.splits):
        parts.append(_choices(report.splits))
    if any(it.labels for it in report.splits):
        parts.append(_labels(report.splits))
    for it in report.splits:
        if it.years:
            told = ", ".join(f"{year} {rows}" for year, rows in it.years.items())
            parts.append(Text(f"sources of {it.split} by year: {told}"))
    if report.against:
        parts.append(_shared(report.against))
    parts += [Text(f"known defect: {line}", style="dim") for line in report.defects]
    parts += [Text(f"note: {line}", style="yellow") for line in report.warnings]
    parts += [Text(f"fault: {line}", style="red") for line in report.faults[:SHOWN]]
    if len(report.faults) > SHOWN:
        parts.append(Text(f"and {len(report.faults) - SHOWN} faults more", style="red"))
    end = Text("not usable as it is", style="bold red") if report.faults else Text("no faults", style="bold green")
    return Group(*parts, end)


def _counts(splits: tuple[SplitReport, ...]) -> Table:
    title = "Rows (lengths: characters, median / longest)"
    shown = terminal.table(title, "split", *COLUMNS, numbers={*COLUMNS} - {"languages", "empty"})
    for it in splits:
        empty = ", ".join(f"{part} {count}" for part, count in it.empty.items())
        languages = ", ".join(f"{lang} {count}" for lang, count in it.languages.items())
        sizes = [f"{middle} / {longest}" for middle, _, longest in it.lengths.values()]
        numbers = (it.clusters, it.largest_cluster, it.exact, it.near, it.conflicting, len(it.cut))
        shown.add_row(it.split, str(it.rows), languages, *sizes, *map(str, numbers), empty)
    return shown


def _choices(splits: tuple[SplitReport, ...]) -> Table:
    heads = "several right", "letters", "most frequent", "longest", "random"
    title = "Choices: what blind rules would score"
    shown = terminal.table(title, "split", "options", *heads, numbers={*heads} - {"letters"})
    for it in splits:
        options = ", ".join(f"{rows} with {count}" for count, rows in it.options.items())
        letters = " ".join(f"{letter} {share:.0%}" for letter, share in it.letters.items())
        blind = [f"{it.blind[rule]:.1%}" for rule in ("most_frequent", "longest", "random")] if it.blind else [""] * 3
        shown.add_row(it.split, options, str(it.several), letters, *blind)
    return shown


def _labels(splits: tuple[SplitReport, ...]) -> Table:
    shown = terminal.table("Labels", "split", "share of each answer")
    for it in splits:
        if it.labels:
            shown.add_row(it.split, ", ".join(f"{label} {share:.0%}" for label, share in it.labels.items()))
    return shown


def _shared(against: tuple[Overlap, ...]) -> Table:
    title, counted = (
        "Overlap: questions of an exam that stand in the rows", ("questions", "same", "near", "runs", "source", "any")
    )  # fmt: skip
    shown = terminal.table(title, "rows", "exam", *counted, numbers=counted)
    for it in against:
        counts = (it.questions, *map(len, (it.same, it.near, it.runs, it.source, it.any)))
        shown.add_row(it.taught, it.exam, *map(str, counts))
    return shown
