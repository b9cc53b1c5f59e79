"""Key points of a free answer: what must be said, what must not, and the source that must be named; deterministic.

    score = max(0, (weights of what is said and of the source, if named - weights of what must not be said but is)
                   / weights of all that must be said and of the source)

as in HealthBench (Arora et al. 2025, arXiv:2505.08775, section 3: points met over the points that can be had, clipped
to [0, 1]). A statement is said where a sentence of the answer, or two in a row, holds all its numbers (1.2亿 is 120
million), a share `ENOUGH` of its words (pairs of characters in Chinese) and neither denies, forbids nor reverses it,
nor names another code or side (`opposites`). That is a lower bound: a free paraphrase can say more than its words show,
so scores compare contenders and are no grades.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from eval.extract import falls, truth
from eval.extract.numerals import Number, numbers, same
from eval.extract.opposites import asserted, contradicts, denials
from eval.extract.passages import HAN, clean
from finetune.mistakes import BadInput

ENOUGH = 0.6  # of a statement's words; on OpenFinData's rubrics see tests/test_keypoints.py for what it lets through
MOST = 60  # figures of an answer: what quotes more is a copy of the pages
FROZEN = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
STOP_HAN = set("的了是在和与及等对为将会也都这该较其之而且并于以从可能够")
STOP = frozenset(
    re.findall(
        "[a-z]+",
        "a an the of to in on at by for with and or as is are was were be been it its this that these those from has "
        "have had will would can could may might which who whose than then so such there their they we our",
    )
)
DENIED = re.compile(  # a figure, right before it
    r"(?:(?<![a-z])(?:not|never|rather than|instead of)|n't|不是|并非|而非)(?: [a-z]+){0,2}[ $~]*$"
)
UP = re.compile(
    "上升|上涨|上调|调高|回升|攀升|增长|增加|提高|提升|扩大|走强|改善|高于|优于|强于|利好|看涨|积极|净流入|盈利|更强|更高|更优|较强|较高|增持|买入"
    r"|(?<![a-z])(?:up|ros?e|rises?|rising|increas\w*|grow\w*|grew|higher|improv\w*|gain\w*|positive|strong\w*|profit|above|exceed\w*)(?![a-z])"
)
DOWN = re.compile(
    "下降|下跌|下调|调低|回落|走低|下滑|减少|降低|收缩|缩小|走弱|恶化|低于|劣于|弱于|利空|看跌|消极|净流出|亏损|更弱|更低|更差|较弱|较低|减持|卖出"
    r"|(?<![a-z])(?:down|fell|falls?|falling|decreas\w*|declin\w*|drop\w*|lower|worse\w*|los[st]\w*|negative|weak\w*|below)(?![a-z])"
)
CLAUSE = re.compile(r"[,;:。!?\n]|\.(?=\s|$)")
SENTENCE = re.compile(r"[。!?\n;]|\.(?=\s|$)")
WORD = re.compile(rf"[a-z][a-z'-]*|[{HAN}]+")


class Point(BaseModel):
    """One statement and its weight. OpenFinData's `content` and `score` are taken for these."""

    model_config = FROZEN
    says: str = Field(min_length=1, validation_alias="content", description="The statement, in words")
    weight: float = Field(1.0, gt=0, validation_alias="score", description="Its share beside the other points'")
    phrases: tuple[str, ...] = Field(
        (), description="Wordings of which one is enough, in place of the statement's words"
    )
    reads: Literal["statement", "figure", "yes_no"] = Field(
        "statement",
        description="figure: `says` is one number, said by any number that is the same at its precision; yes_no: "
        "`says` is yes or no, said where the answer commits to it",
    )

    @model_validator(mode="after")
    def _can_be_read(self) -> "Point":
        if self.reads == "figure" and not numbers(clean(self.says).casefold()):
            raise ValueError(f"{self.says!r} holds no number, and `reads: figure` needs one")
        if self.reads == "yes_no" and self.says not in ("yes", "no"):
            raise ValueError(f"{self.says!r} is neither yes nor no, and `reads: yes_no` needs one")
        return self


class Rubric(BaseModel):
    """The gold of a free answer."""

    model_config = FROZEN
    say: tuple[Point, ...] = Field(min_length=1, description="What must be said")
    not_say: tuple[Point, ...] = Field((), description="What must not; its weight is taken off")
    source: Point | None = Field(None, description="The source that must be named, by any of its `phrases`")

    @field_validator("say", "not_say", "source", mode="before")
    @classmethod
    def _words_alone(cls, raw: Any) -> Any:
        """A statement may stand without its weight."""
        if isinstance(raw, str):
            return {"says": raw}
        return [{"says": one} if isinstance(one, str) else one for one in raw] if isinstance(raw, list | tuple) else raw

    @model_validator(mode="before")
    @classmethod
    def _list_alone(cls, raw: Any) -> Any:
        return {"say": raw} if isinstance(raw, list) else raw

    @classmethod
    def read(cls, gold: str) -> "Rubric":
        """From JSON: a mapping {say, not_say, source}, a list of points or texts, or points one a line; else one text
        a line. BadInput: none of these."""
        lines = [line.strip() for line in gold.splitlines() if line.strip()]
        try:
            raw = json.loads(gold) if gold.lstrip()[:1] in "[{" and not _points(lines) else _points(lines) or lines
            return cls.model_validate(raw)
        except (ValueError, ValidationError, RecursionError) as fault:
            said = _first(fault) if isinstance(fault, ValidationError) else str(fault).splitlines()[0]
            raise BadInput(
                f"key points {gold[:60]!r}: {said}; write {{say: [...], not_say: [...], source: ...}}"
            ) from None


def _first(fault: ValidationError) -> str:
    """Where and why a rubric is none: its first fault."""
    first = fault.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _points(lines: Sequence[str]) -> list[Any]:
    """Points of which each is a line of JSON; empty where they are not."""
    if not lines or not all(line.startswith("{") and line.endswith("}") for line in lines):
        return []
    try:
        found = [json.loads(line) for line in lines]
    except ValueError:
        return []
    return found if all("says" in one or "content" in one for one in found) else []


@dataclass(frozen=True)
class Weighed:
    """Which points an answer makes, by their number from 1."""

    said: tuple[int, ...]
    of: int
    forbidden: tuple[int, ...]
    sourced: bool | None  # None: no source is asked for
    score: float

    def __str__(self) -> str:
        parts = [f"said {','.join(map(str, self.said)) or 'none'} of {self.of}"]
        parts += [f"must not: {','.join(map(str, self.forbidden))}"] if self.forbidden else []
        parts += [] if self.sourced is None else ["source named" if self.sourced else "no source"]
        return "; ".join(parts)


@dataclass(frozen=True)
class Passage:
    """A sentence or two as what is compared: words, numbers, clauses."""

    text: str
    units: frozenset[str]
    values: tuple[Number, ...]

    @classmethod
    def of(cls, text: str) -> "Passage":
        return cls(text, frozenset(_units(text)), tuple(one for one in numbers(text)))


def weigh(answer: str, rubric: Rubric) -> Weighed:
    """Hold an answer against its rubric: the formula at the head of this file."""
    text = clean(answer).casefold()
    passages = _windows(asserted(text))
    said = tuple(place for place, point in enumerate(rubric.say, 1) if says(point, text, passages))
    forbidden = tuple(place for place, point in enumerate(rubric.not_say, 1) if says(point, text, passages))
    named = None if rubric.source is None else _names(rubric.source, text)
    extra = rubric.source.weight if rubric.source else 0.0
    earned = sum(rubric.say[place - 1].weight for place in said) + (extra if named else 0.0)
    lost = sum(rubric.not_say[place - 1].weight for place in forbidden)
    score = (earned - lost) / (sum(point.weight for point in rubric.say) + extra)
    return Weighed(said, len(rubric.say), forbidden, named, min(1.0, max(0.0, round(score, 9))))


def says(point: Point, text: str, passages: Sequence[Passage]) -> bool:
    """Whether one of the passages says the point, by a phrase of its own or by the statement's words; or the whole
    text a figure, or yes or no."""
    if point.reads == "figure":
        return _states(point.says, text)
    if point.reads == "yes_no":
        side, rule = truth.read(text)
        return side == point.says and rule != "affirmed"  # "it is true that" says no yes to the question
    if point.phrases:
        return any(_holds(phrase, passages) for phrase in point.phrases)
    wanted = Passage.of(clean(point.says).casefold())
    return any(_covers(passage, wanted) for passage in passages)


def _states(figure: str, text: str) -> bool:
    """Whether the text states a figure, and does not just deny it; what quotes more than `MOST` commits to none."""
    wanted = numbers(clean(figure).casefold())[0]
    text = falls.signed(text) if wanted.value < 0 else text
    found = numbers(text)
    if len(found) > MOST:
        return False
    return any(same(one, wanted) and not DENIED.search(text[: one.start][-24:]) for one in found)


def _names(source: Point, text: str) -> bool:
    """Whether the source is named: its title marks and blanks do not count."""
    bare = re.sub(r"[\s《》\"'<>]", "", text)
    return any(
        re.sub(r"[\s《》\"'<>]", "", clean(name).casefold()) in bare for name in source.phrases or (source.says,)
    )


def _windows(text: str) -> list[Passage]:
    parts = [part for part in SENTENCE.split(text) if part.strip()]
    pairs = [f"{one}。{two}" for one, two in zip(parts, parts[1:], strict=False)]
    return [Passage.of(part) for part in (*parts, *pairs)]


def _holds(phrase: str, passages: Sequence[Passage]) -> bool:
    """Whether a passage holds a wording, its numbers taken as numbers, and does not deny it."""
    wanted = _canonical(clean(phrase).casefold())
    for passage in passages:
        for clause in (
            CLAUSE.split(_canonical(passage.text)) if not CLAUSE.search(wanted) else [_canonical(passage.text)]
        ):
            if wanted in clause and denials(clause.replace(wanted, " ")) % 2 == 0:
                return True
    return False


def _canonical(text: str) -> str:
    """A text with each number as its value, and blanks only between words."""
    parts, place = [], 0
    for number in numbers(text):
        parts += [text[place : number.start], f"⟨{number.value.normalize():f}{'%' if number.percent else ''}⟩"]
        place = number.end
    joined = re.sub(r"\s+", " ", "".join([*parts, text[place:]]))
    return re.sub(r"(?<![a-z0-9⟩]) | (?![a-z0-9⟨])", "", joined)


def _covers(passage: Passage, wanted: Passage) -> bool:
    if len(passage.units & wanted.units) < ENOUGH * len(wanted.units):
        return False
    values = {(one.value, one.percent) for one in passage.values}
    if not all((one.value, one.percent) in values for one in wanted.values):
        return False
    if not (wanted.units or wanted.values) or contradicts(passage.text, wanted.text):
        return False
    return not _reverses(passage.text, wanted.text)


def _reverses(text: str, wanted: str) -> bool:
    """Whether the clauses that speak of the same deny what the statement affirms, or turn its direction."""
    clauses = [(clause, frozenset(_units(clause))) for clause in CLAUSE.split(text) if clause.strip()]
    for clause in filter(str.strip, CLAUSE.split(wanted)):
        units = frozenset(_units(clause))
        shared = [len(units & theirs) for _, theirs in clauses]
        if not units or not shared or 2 * max(shared) < len(units):
            continue
        best = [one for (one, _), share in zip(clauses, shared, strict=True) if share == max(shared)]
        if all(_turned(one, clause) for one in best):
            return True
    return False


def _turned(one: str, other: str) -> bool:
    ways = [(bool(UP.search(text)), bool(DOWN.search(text))) for text in (one, other)]
    denied = denials(one) % 2 != denials(other) % 2
    opposed = ways[0] in ((True, False), (False, True)) and ways[1] == ways[0][::-1]
    return denied != opposed  # not rising where it falls says the same


def _units(text: str) -> set[str]:
    """Content words in English, stripped of endings; pairs of characters in Chinese."""
    found: set[str] = set()
    for run in WORD.findall(text):
        if run[0].isascii():
            if run not in STOP:
                found.add(re.sub(r"(?<=\w{3})(?:ing|ies|ed|es|s|y)$", "", run))
            continue
        kept = "".join(" " if c in STOP_HAN else c for c in run)
        for part in kept.split():
            found |= {part[i : i + 2] for i in range(len(part) - 1)} or {part}
    return found
