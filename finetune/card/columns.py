"""Columns: which column of a record holds what, as a card says it; values as text."""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

Shape = Literal["choice", "numeric", "qa", "messages", "prompt_completion", "alpaca", "sharegpt"]
EXAMS = ("choice", "numeric", "qa")
HAN = re.compile(r"[\u3400-\u9fff]")
Texts = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class Columns(BaseModel):
    """Columns by what they hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str = Field("", description="Empty: the number of the record in its file")
    question: str = Field("question", description="The question's text")
    context: Texts = Field((), description="What is shown before the question: text, lists of lines, tables")
    options: Texts = Field((), description="One column an option, or one column with a list or {letter: text}")
    answer: str = Field("answer", description="Letters of the right options, a number or a text")
    answer_form: Literal["letters", "text", "index0", "index1"] = Field(
        "letters", description="How a choice's answer is written: letters, the option's text, its number from 0 or 1"
    )
    keypoints: Texts = Field(
        (), description="shape qa: columns of one key point each, a text or {content, score}; together the answer"
    )
    answers: str = Field("", description="shape qa: column with a list of accepted answers, any of which is right")
    lettered: bool = Field(
        False, description="Options begin with their letter, as (A) or A．: taken off, options put in their order"
    )
    scale: str = Field(
        "",
        description="Column with the scale (million, percent, ...), written after a number and each listed text",
    )
    answer_after: str = Field("", description="The answer follows the last such mark; what is before it explains")
    multiple: bool | dict[str, Texts] = Field(
        False, description="Several options may be right: true everywhere, or {column: values} where they may"
    )
    explanation: str = Field("", description="Why the answer is right")
    program: str = Field(
        "", description="Steps that compute the answer, as FinQA writes them: number twins (`exam.twins`) need it"
    )
    subject: str = Field("", description="A stratum of the report")
    cluster: str = Field("", description="What questions share: a document, a table; their outcomes go together")
    source: str = Field("", description="Where a record came from; shared by training and exam: in distribution only")
    lang: str = Field("", description="zh or en; empty: the card's one language, else by the question's script")
    from_path: dict[Literal["subject", "cluster", "source", "lang"], str] = Field(
        {}, description="Taken from the file's path instead: a regular expression whose first group is the value"
    )
    optional: Texts = Field((), description="Columns that a file may be without")
    messages: str = Field("messages", description="messages, sharegpt: the list of turns")
    prompt: str = Field("prompt", description="prompt_completion: the user's turn")
    completion: str = Field("completion", description="prompt_completion: the assistant's turn")
    instruction: str = Field("instruction", description="alpaca: the task")
    input: str = Field("input", description="alpaca: what the task is about; may be absent")
    output: str = Field("output", description="alpaca: the assistant's turn")
    history: str = Field("history", description="alpaca: earlier [user, assistant] turns; may be absent")
    system: str = Field("system", description="alpaca: the system's turn; may be absent")

    @field_validator("from_path")
    @classmethod
    def _with_group(cls, patterns: dict[str, str]) -> dict[str, str]:
        for part, pattern in patterns.items():
            try:
                groups = re.compile(pattern).groups
            except re.error as fault:
                raise ValueError(f"{part}: {pattern!r} is no regular expression ({fault})") from None
            if not groups:
                raise ValueError(f"{part}: {pattern!r} has no group; put what is wanted between ( and )")
        return patterns


def language_of(text: str) -> Literal["zh", "en"]:
    """zh where a Han character occurs, else en."""
    return "zh" if HAN.search(text) else "en"


def plain(value: Any) -> str:
    """A value as text: outer blanks off, lists as lines, tables as rows of cells."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list | tuple):
        return "\n".join(" | ".join(map(plain, row)) if isinstance(row, list | tuple) else plain(row) for row in value)
    return json.dumps(value, ensure_ascii=False)
