"""What a recipe names and does not hold: models, frames, cards, launch files, and the folders that it makes.

Paths are relative to the file that holds them, which validators learn from the context key `folder`.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationInfo, WithJsonSchema

from finetune.card import DataCard
from finetune.checkpoint import ModelSpec, is_local
from finetune.frame import PromptFrame
from finetune.mistakes import near
from finetune.recipe.source import PATH, beside, read_yaml

FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _mapping(value: Any, info: ValidationInfo) -> Any:
    """A mapping given in place, or the path of a YAML file that holds it; a model's folder is relative to that file."""
    folder = (info.context or {}).get("folder")
    if isinstance(value, str):
        path = Path(beside(value, info))
        value, folder = read_yaml(path), path.parent
    if isinstance(value, dict) and is_local(str(value.get("id", ""))) and folder:
        value = {**value, "id": str((folder / value["id"]).resolve())}
    return value


def _data_use(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    path, _, split = value.partition("#")
    return {"card": DataCard.read(Path(beside(path, info))), "split": split or "train"}


class _PathToo:
    """In the JSON schema: the mapping, or the path of a file that holds it."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [PATH, handler(schema)]}


def _folder_name(name: str) -> str:
    """Contenders and runs have a folder each, which must lie where it is looked for."""
    if not name.strip() or name.startswith(".") or any(each in "/\\" or ord(each) < 32 for each in name):
        raise ValueError(f"{name!r} cannot name a folder; leave out / and \\, and a dot at the beginning")
    return name


def _launch_file(path: str) -> str:
    """It is read when a stage starts; one that is not there is better known before."""
    place = Path(path)
    if not place.is_file():
        raise ValueError(f"{path}: no such file{near(place.name, sorted(p.name for p in place.parent.glob('*.yaml')))}")
    return path


FolderName = Annotated[str, AfterValidator(_folder_name)]
ModelFile = Annotated[ModelSpec, BeforeValidator(_mapping), _PathToo()]
FrameFile = Annotated[PromptFrame | None, BeforeValidator(_mapping), _PathToo()]
HerePath = Annotated[str, BeforeValidator(beside), WithJsonSchema(PATH)]
LaunchFile = Annotated[str, BeforeValidator(beside), AfterValidator(_launch_file), WithJsonSchema(PATH)]


class DataUse(BaseModel):
    """A card and one of its splits, written `cards/x.md#split` (`train` where none is named)."""

    model_config = FROZEN
    card: DataCard
    split: str


CardSplit = Annotated[DataUse, BeforeValidator(_data_use), WithJsonSchema(PATH)]
