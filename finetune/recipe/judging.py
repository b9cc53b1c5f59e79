"""The judge of free answers: a served model that says which of two answers is better, blind and in both orders.

What it says decides nothing: without people's labels it is advisory, with them it is corrected and stands beside.
"""

import re
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, field_validator

from finetune.recipe.engine import OpenAI
from finetune.recipe.source import PATH, beside

FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
HOUSES = {  # whose a model is, as its names show; an R1 distill is DeepSeek's by its teacher, whatever it grew from
    "qwen": r"qwen|qwq|tongyi|通义|千问", "llama": r"(?<!o)llama", "deepseek": r"deep[-_ ]?seek|r1[-_]distill",
    "mistral": r"mi[sx]tral|ministral|magistral", "glm": r"glm", "gemma": r"gemma", "internlm": r"intern[-_]?lm",
    "baichuan": r"baichuan|百川",
}  # fmt: skip
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Judge(BaseModel):
    """Who is asked about each pair of challenger and incumbent."""

    model_config = FROZEN
    tasks: tuple[str, ...] = Field(min_length=1, description="Tasks of the exam with free answers to be compared")
    engine: OpenAI = Field(
        description="The server, asked by messages: this machine, or a host that the tasks' cards name in `hosts`"
    )
    revision: Word = Field(
        description="The weights that it runs (commit or digest), as its operator pinned them; another asks all anew"
    )
    family: Word = Field(
        description="Whose model it is (qwen, llama, ...); a contender's is refused, since models prefer their own"
    )
    max_new_tokens: int = Field(
        1024, ge=8, description="Of one opinion, thought included; too few and it is cut before its last line: a tie"
    )
    labels: Annotated[str, BeforeValidator(beside), WithJsonSchema(PATH)] | None = Field(
        None, description="JSONL of people's labels, from to_label.jsonl; 100 or more correct the judge, fewer do not"
    )

    @field_validator("engine")
    @classmethod
    def _messages(cls, engine: OpenAI) -> OpenAI:
        if engine.api != "chat":
            raise ValueError("api: a judge is asked by messages, in its server's own template; leave api out")
        return engine

    def identity(self) -> dict[str, Any]:
        """What an opinion depends on: not the labels, which come after it."""
        asked = self.model_dump(mode="json", include={"revision", "family", "max_new_tokens"})
        return asked | {"tasks": list(self.tasks), "engine": self.engine.identity()}

    def kin(self, family: str, *models: str) -> str | None:
        """The family that a contender's rendering or its models' names share with the judge; None: a stranger."""
        theirs = [family, *(PurePath(model).name for model in models)]
        ours = "".join(filter(str.isalpha, self.family)).casefold()  # qwen of qwen3; too short a rest is no name
        if any(ours in "".join(filter(str.isalpha, each)).casefold() for each in theirs if len(ours) > 2):
            return self.family
        served = self.engine.model
        seen = _houses(self.family, PurePath(served).name if PurePath(served).is_absolute() else served)
        return next((house for house in HOUSES if house in seen & _houses(*theirs)), None)


def _houses(*names: str) -> set[str]:
    return {house for house, mark in HOUSES.items() for name in names if re.search(mark, name, re.I)}
