"""Suites: named lists of tasks, `recipes/suites/<name>.yaml`, put in place of `suite:<name>` when a recipe is read.

`suite:<name>_gen` takes the written form of its choices, for contenders that think or are served.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from finetune.checkpoint import is_local
from finetune.mistakes import BadInput, explain
from finetune.recipe.source import beside, read_yaml

SHELF = Path(__file__).parents[2] / "recipes" / "suites"
MARK, GEN = "suite:", "_gen"


class Suite(BaseModel):
    """What stands in a suite's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    title: str = Field(description="One line for people")
    choices: tuple[str, ...] = Field((), description="Tasks with options, of which there is a written form, <name>_gen")
    written: tuple[str, ...] = Field((), description="Tasks with written answers alone")

    @classmethod
    def read(cls, path: Path) -> "Suite":
        """One file. BadInput names the key at fault."""
        try:
            return cls.model_validate(read_yaml(path))
        except ValidationError as fault:
            raise BadInput(explain(fault, cls, str(path))) from None

    def tasks(self, *, gen: bool) -> list[str]:
        """The tasks in their order, the choices first; `gen`: these in their written form."""
        return [*(f"{name}{GEN}" if gen else name for name in self.choices), *self.written]


def expanded(tasks: Any) -> Any:
    """`exam.tasks` as written, with the tasks of a suite in place of its name. ValueError: there is no such suite."""
    if not isinstance(tasks, list | tuple):
        return tasks
    return [task for named in tasks for task in (_of(named) if _is_suite(named) else [named])]


def _is_suite(named: Any) -> bool:
    return isinstance(named, str) and named.startswith(MARK)


def _of(named: str) -> list[str]:
    name = named.removeprefix(MARK)
    known = sorted(path.stem for path in SHELF.glob("*.yaml"))
    plain = name if name in known else name.removesuffix(GEN)
    if plain not in known:
        raise ValueError(f"no suite {name}; there are {', '.join(known)}")
    return Suite.read(SHELF / f"{plain}.yaml").tasks(gen=plain != name)


def _task(value: Any, info: ValidationInfo) -> Any:
    """A name on the shelf stays a name; a folder of the user's own is beside the recipe."""
    return beside(value, info) if isinstance(value, str) and is_local(value) else value


TaskNames = Annotated[tuple[Annotated[str, BeforeValidator(_task)], ...], BeforeValidator(expanded)]
