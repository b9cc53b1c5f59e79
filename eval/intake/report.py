"""What `tuneworth data check` reports: written as JSON for machines, as tables for a terminal (eval.intake.table)."""

from pydantic import BaseModel, ConfigDict

from eval.audit.overlap import Overlap

FROZEN = ConfigDict(frozen=True, extra="forbid")


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
    lengths: dict[str, tuple[int, int, int]]  # asked, answered -> characters: median, 95 of 100, longest
    years: dict[str, int]  # year of the source, or "not dated" -> rows; empty where the card has no dates
    labels: dict[str, float]  # share of each answer, where they are labels
    cut: tuple[str, ...]  # ids of rows whose answer looks cut off
    encoding: dict[str, tuple[str, ...]]  # fault -> ids of rows that show it
    personal: dict[str, tuple[str, ...]]  # kind of personal data -> ids of rows that hold it


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
    against: tuple[Overlap, ...] = ()  # exams that the rows were held against
