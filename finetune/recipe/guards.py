"""What tuning must not harm: sets on which a challenger is held against its own untuned base (decision.md 5.6)."""

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from finetune.recipe.suites import TaskNames

GuardKind = Literal["forgetting", "language", "safety"]
KINDS: tuple[GuardKind, ...] = get_args(GuardKind)


class Guards(BaseModel):
    """Guard tasks by what they guard; asked of all contenders, and in no score unless the exam names them too."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    tasks: TaskNames = Field(
        (), description="General sets (suite:guard_zh, suite:guard_en): what tuning must not forget, a language each"
    )
    language: TaskNames = Field(
        (), description="Finance in the language that is not tuned on; tasks of the exam may stand here"
    )
    safety: TaskNames = Field((), description="Compliance, refusals: what tuning must not loosen")
    margin: float = Field(
        0.02,
        gt=0,
        lt=1,
        description="Loss against its own base that is borne, in the mean over a guard's sets (share: 0.02 is 2 "
        "points); smaller asks for more items",
    )
    single_margin: float = Field(
        0.04, gt=0, lt=1, description="The same on each single set, where a guard has several; smaller asks for more"
    )

    @model_validator(mode="after")
    def _names_once(self) -> "Guards":
        named = [Path(task).name for kind in KINDS for task in self.of(kind)]
        if not named:
            raise ValueError("no task is named; name one in tasks, language or safety, or leave guards out")
        twice = next((task for task in named if named.count(task) > 1), None)
        if twice:
            raise ValueError(f"{twice} stands twice; one guard may hold it")
        return self

    def of(self, kind: GuardKind) -> tuple[str, ...]:
        """The tasks that guard against one harm."""
        return {"forgetting": self.tasks, "language": self.language, "safety": self.safety}[kind]
