"""A prompt frame in seven parts: role, goal, limits, known content, instruction, output rules, examples.

The frame surrounds a question inside the user's turn (the distills' card asks for no system prompt), so every family
can carry it. It belongs to a contender and so to its fingerprint.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FROZEN = ConfigDict(frozen=True, extra="forbid")
HEADINGS = {
    "zh": ("角色", "目标", "限制", "已知内容", "任务", "输出要求", "示例", "问题", "回答"),
    "en": ("Role", "Goal", "Limits", "Known", "Task", "Output", "Examples", "Question", "Answer"),
}


class Shot(BaseModel):
    """One worked example (few-shot)."""

    model_config = FROZEN
    question: str = Field(description="As the model will be asked, without the frame")
    answer: str = Field(description="The answer in the form that the exam grades")


class PromptFrame(BaseModel):
    """The seven parts; an empty part is left out of the prompt."""

    model_config = FROZEN
    lang: Literal["zh", "en"] = Field("zh", description="Language of the headings; the parts are yours")
    role: str = Field("", description="Who answers: an analyst, a compliance officer")
    goal: str = Field("", description="What the answer is for")
    limits: str = Field("", description="What must not be done")
    known: str = Field("", description="Known content: facts and definitions handed to the model")
    instruction: str = Field("", description="What to do with the question")
    output: str = Field("", description="Output rules: form, length, language")
    examples: tuple[Shot, ...] = Field((), description="Few-shot examples; each costs its tokens on every query")

    def wrap(self, question: str) -> str:
        """The user's turn: parts in order, then the examples, then the question."""
        *parts, examples, asked, answered = HEADINGS[self.lang]
        texts = (self.role, self.goal, self.limits, self.known, self.instruction, self.output)
        lines = [f"{name}: {text.strip()}" for name, text in zip(parts, texts, strict=True) if text.strip()]
        if self.examples:
            lines.append(f"{examples}:")
            lines += [f"{asked}: {shot.question}\n{answered}: {shot.answer}" for shot in self.examples]
        return "\n".join([*lines, f"{asked}: {question}"])

    def wrap_last(self, turns: list[dict[str, str]]) -> list[dict[str, str]]:
        """The conversation with its last question framed: what comes before it stays as it was asked."""
        last = max((i for i, turn in enumerate(turns) if turn["role"] == "user"), default=None)
        if last is None:
            return turns
        framed = {**turns[last], "content": self.wrap(turns[last]["content"])}
        return [*turns[:last], framed, *turns[last + 1 :]]
