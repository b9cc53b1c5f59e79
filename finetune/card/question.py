"""Row: one question of an exam or one example for training; and how a question is put to a model.

`ask` is the only rendering of a question: training and generated exams use it, so a tuned contender meets in the exam
the form it was tuned on. It never looks at the answer.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from finetune.card.dates import Interval
from finetune.files import digest_of
from finetune.mistakes import BadInput

LETTERS = "ABCDEFGHIJ"
LETTER_ONLY = {"zh": "只回答选项字母。", "en": "Answer with the letter only."}
LETTERS_ONLY = {
    "zh": "可能有多项正确，只回答所有正确选项的字母。",
    "en": "More than one may be right; answer with the letters of all that are.",
}
ANSWER_LINE = {"zh": "答案：", "en": "Answer: "}


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    role: Literal["system", "user", "assistant"]
    content: str


class Row(BaseModel):
    """One item of a data card. `answer` holds the letters of a choice ("B", "ABD"), else text; None: not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    split: str
    lang: Literal["zh", "en"]
    question: str = ""
    options: tuple[str, ...] = ()
    multiple: bool = False  # more than one option may be right: said by the data set's own column, not by the answer
    answer: str | None = None
    instruction: str = ""  # what its card says before every question
    labels: tuple[str, ...] = ()  # the closed set that its answer is one of; the instruction tells it
    context: str = ""
    explanation: str = ""
    target: str = ""  # what the assistant writes in training; empty: the answer alone
    subject: str = ""
    cluster: str | None = None
    source: str = ""
    groups: dict[str, str] = {}  # what else it shares with others: page, filing, company
    program: str = ""  # what computes the answer; number twins are made by it
    messages: tuple[Message, ...] = ()
    public: Interval | None = None  # when its source became public; None: the card does not tell

    @property
    def digest(self) -> str:
        """sha256 of the content: two items with one digest are one item, whatever their ids."""
        turns = [[turn.role, turn.content] for turn in self.messages]
        told = [self.instruction] if self.instruction else []
        return digest_of([self.question, self.context, self.options, self.answer, turns, *told])

    @property
    def known(self) -> tuple[str, ...]:
        """What an answer may be where that is told: the options, else the labels."""
        return self.options or self.labels

    @property
    def asked(self) -> str:
        """The question's own words: what near-duplicates and leaks are looked for in."""
        return self.question or "\n".join(turn.content for turn in self.messages if turn.role == "user")

    def conversation(self) -> tuple[Message, ...]:
        """The training example: the given messages, else the question asked and answered. BadInput: no answer."""
        if self.messages:
            return self.messages
        if not self.answer:
            raise BadInput(f"{self.id}: no answer is known, so it cannot be trained on; choose an answered split")
        return Message(role="user", content=ask(self)), Message(role="assistant", content=self.target or self.answer)


def ask(row: Row) -> str:
    """The user's turn: the card's instruction, context, question, lettered options and what to answer with."""
    asked = "\n\n".join(part for part in (row.instruction, row.context, row.question) if part)
    if not row.options:
        return asked
    lines = [f"{letter}. {text}" for letter, text in zip(LETTERS, row.options, strict=False)]
    return "\n".join([asked, *lines, (LETTERS_ONLY if row.multiple else LETTER_ONLY)[row.lang]])
