"""A recipe: one question, its contenders, the exam and the rule, fixed before anything has run.

Unknown keys are refused with their full path and the nearest known key; paths are relative to the recipe's file.
Each stage has a fingerprint over exactly what it depends on: `train_fingerprint`, `score_fingerprint`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, ValidationError, ValidationInfo, model_validator

from finetune.files import digest_of
from finetune.methods import AnyMethod, Knobs, adapter_digest, declared, settled, trials
from finetune.mistakes import BadInput, explain
from finetune.recipe import budget, engine_fit, margin, prices, shares
from finetune.recipe.costs import Costs
from finetune.recipe.engine import HF, VLLM, Auto, OpenAI, is_loopback
from finetune.recipe.judging import Judge
from finetune.recipe.lineage import lineage, refuse_misfits
from finetune.recipe.named import FROZEN, CardSplit, DataUse, FolderName
from finetune.recipe.sections import Contender, DecisionRule, Exam, Train
from finetune.recipe.source import apply_change, data_root, read_yaml, switches
from finetune.recipe.timing import Timing
from finetune.recipe.window import Window

__all__ = [
    "HF",
    "VLLM",
    "Auto",
    "Contender",
    "Costs",
    "DataUse",
    "DecisionRule",
    "Exam",
    "Judge",
    "OpenAI",
    "Recipe",
    "Timing",
    "Train",
    "Window",
    "data_root",
    "is_loopback",
    "read_yaml",
]

TRAIN_CODE = 6  # raised when a change of the code changes what training makes
SCORE_CODE = 2  # raised when a change of the code changes what a score means
# Keys of train that change when and where, not what comes out; `exclude` counts by the content of its cards, below.
UNCHANGING = {"launch", "tracker", "seeds", "save_every", "exclude", "window", "explode", "hang_minutes", "prove"}
# Keys younger than TRAIN_CODE: at these values they change nothing.
YOUNGER = {"rslora": False, "dora": False, "optimizer": "adamw", "reencoder": None, "canaries": 0, "compile": False}


class Recipe(BaseModel):
    """One question and all that is needed to answer it."""

    model_config = FROZEN
    name: FolderName = Field(description="Of the run's folder; the file's name unless given")
    question: str = Field(min_length=1, description="In words, as it stands on the report")
    question_zh: str = Field("", description="The question in Chinese, for the page; the same words without it")
    purpose: Literal["study", "smoke"] = Field("study", description="smoke: plumbing pass or fail, never a verdict")
    note: str = Field("", description="A caveat printed on the report")
    note_zh: str = Field("", description="The caveat in Chinese; the same words without it")
    data: tuple[CardSplit, ...] = Field((), description="Data cards to tune on: card.md or card.md#split")
    allow_personal_data: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] | None = Field(
        None,
        description="Why rows with personal data may be trained on; without it they are refused; `data check --mask` "
        "puts placeholders in their stead",
    )
    contenders: dict[FolderName, Contender] = Field(min_length=2)
    train: Train = Field(default_factory=Train)
    exam: Exam
    rule: DecisionRule
    costs: Costs = Field(default_factory=Costs)

    @classmethod
    def read(cls, path: Path, changes: tuple[str, ...] = ()) -> "Recipe":
        """Read and resolve a recipe file; `changes` are `key.path=value` (YAML values). BadInput on any fault."""
        raw = read_yaml(path)
        for change in changes:
            apply_change(raw, change)
        raw.setdefault("name", path.stem)
        try:
            found = cls.model_validate(raw, context={"folder": path.parent.resolve()})
        except ValidationError as fault:
            raise BadInput(explain(fault, cls, str(path))) from None
        if lines := [f"{path}: {line}" for line in switches(raw, found)]:
            raise BadInput("\n".join(lines))
        return found

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, raw: Any, info: ValidationInfo) -> Any:
        """Shares first, then prices, of which a margin may be made."""
        folder = (info.context or {}).get("folder") or Path()
        return margin.settled(prices.settled(shares.apart(raw)), folder)

    @model_validator(mode="after")
    def _names_fit(self) -> "Recipe":
        engine_fit.refuse_misfits(self.contenders)
        self._refuse_misruled()
        _refuse_twice("exam.tasks", tuple(Path(task).name for task in self.exam.tasks))
        _refuse_twice("exam.twins", self.exam.twins)
        _refuse_twice("train.seeds", self.train.seeds)
        refuse_misfits(self.contenders)
        budget.refuse_misfits(self.contenders, self.train)
        self._refuse_unanswerable()
        if self.data == () and any(c.method and not c.data for c in self.contenders.values()):
            raise ValueError("data: empty, but a contender has a method; name a data card to tune on")
        for task in self.exam.weights:
            if task not in {Path(t).name for t in self.exam.tasks}:
                raise ValueError(f"exam.weights: {task} is not among exam.tasks ({', '.join(self.exam.tasks)})")
        self._refuse_misjudged()
        return self

    def _refuse_misruled(self) -> None:
        """A rule of contenders that are not there, or not what it takes them for."""
        rule, known = self.rule, list(self.contenders)
        named = {"challengers": rule.challengers, "alternatives": rule.alternatives}
        named |= {"incumbent": (rule.incumbent,), "base": (rule.base,)}
        for key, names in named.items():
            for name in names:
                if name not in self.contenders:
                    raise ValueError(f"rule.{key}: {name} is no contender; there are {', '.join(known)}")
        for name in rule.challengers:
            if not self.contenders[name].tuned:
                raise ValueError(f"rule.challengers: {name} has no method and no adapter, so nothing to judge")
        for name in (rule.incumbent, rule.base, *rule.alternatives):
            if self.contenders[name].tuned:
                raise ValueError(f"rule: {name} is tuned; incumbent, base and alternatives are untuned")
        for name in rule.challengers:
            model, base = self.contenders[name].model.id, self.contenders[rule.base].model.id
            if model != base:
                raise ValueError(f"rule.base: {rule.base} is {base}, but {name} was {model} before it was tuned")
        _refuse_twice("rule.challengers", rule.challengers)
        _refuse_twice("rule.alternatives and incumbent", (*rule.alternatives, rule.incumbent))

    def _refuse_unanswerable(self) -> None:
        """Questions made here of contenders that are asked nothing here, or write nothing."""
        logged = next((name for name, chosen in self.contenders.items() if chosen.items), None)
        beside = {"exam.twins": self.exam.twins, "train.canaries": self.train.canaries}
        for key in (key for key, asked in beside.items() if asked and logged):
            raise ValueError(f"{key}: {logged} has items, and a log holds no answers to these; leave one of them out")
        headed = [name for name, chosen in self.contenders.items() if chosen.head]
        if self.train.canaries and headed:
            raise ValueError(f"train.canaries: {headed[0]} has a head, which can say no secret; leave one of them out")

    def _refuse_misjudged(self) -> None:
        """A judge of tasks that are not there, or of its own kin."""
        judge, rule = self.exam.judge, self.rule
        if judge is None:
            return
        _refuse_twice("exam.judge.tasks", judge.tasks)
        for task in judge.tasks:
            if task not in {Path(t).name for t in self.exam.tasks}:
                raise ValueError(f"exam.judge.tasks: {task} is not among exam.tasks ({', '.join(self.exam.tasks)})")
        for name in (*rule.challengers, rule.incumbent):
            model, served = self.contenders[name].model, self.contenders[name].served
            if kin := judge.kin(model.family, model.id, served.model if served else ""):
                raise ValueError(f"exam.judge.family: {kin} is {name}'s too ({model.id}); ask another judge")

    def refuse_unknown(self, contender: str) -> None:
        """BadInput: `--contender` names none of the recipe's."""
        if contender not in self.contenders:
            raise BadInput(f"--contender {contender}: unknown; the recipe has {', '.join(self.contenders)}")

    def named(self, contender: str | None) -> list[str]:
        """The one that `--contender` names, or all without it. BadInput as `refuse_unknown`."""
        if not contender:
            return list(self.contenders)
        self.refuse_unknown(contender)
        return [contender]

    def seeds(self, contender: str) -> tuple[int, ...]:
        """Training seeds of a contender; one not tuned here has the single folder seed-0."""
        return self.train.seeds if self.contenders[contender].method else (0,)

    def data_of(self, contender: str) -> tuple[DataUse, ...]:
        """What a contender is tuned on."""
        return self.contenders[contender].data or self.data

    def taught_openly(self, contender: str) -> bool:
        """Whether what a contender is tuned on may be printed, and so its labels."""
        return all(use.card.shows(asked=False) for use in self.data_of(contender))

    def lineage(self, contender: str) -> tuple[str, ...]:
        """The contenders that must be trained for this one, in their order; itself the last."""
        return lineage(self.contenders, contender)

    @property
    def data_used(self) -> tuple[DataUse, ...]:
        """Every card and split that a contender is tuned on, once."""
        uses = [*self.data, *(use for name in self.methods for use in self.data_of(name))]
        return tuple(use for place, use in enumerate(uses) if use not in uses[:place])

    @property
    def methods(self) -> dict[str, AnyMethod]:
        """The methods of the contenders that are tuned here, by contender."""
        return {name: chosen.method for name, chosen in self.contenders.items() if chosen.method}

    def trials(self, contender: str) -> tuple[Knobs, ...]:
        """Knobs that are tried for a contender before its seeds are trained; none where it is not searched."""
        method = self.contenders[contender].method
        return trials(method) if method else ()

    def unsearched(self) -> list[str]:
        """A line where the challengers' knobs are not chosen alike, some by a search and some not."""
        return budget.unsearched(self.contenders, self.rule.challengers)

    def settled(self, contender: str, knobs: Knobs) -> "Recipe":
        """The recipe of a contender's trial: these knobs in place of its search."""
        chosen = self.contenders[contender]
        assert chosen.method is not None, "only a method is searched"
        changed = chosen.model_copy(update={"method": settled(chosen.method, knobs)})
        return self.model_copy(update={"contenders": {**self.contenders, contender: changed}})

    def train_fingerprint(self, contender: str, seed: int) -> str:
        """What training of this contender depends on: model, method, frame, data, schedule, seed; not the machine."""
        chosen, root = self.contenders[contender], data_root()
        knobs = self.train.model_dump(exclude=UNCHANGING)
        uses = [
            [[u.card.digest(root), u.split] for u in group] for group in (self.data_of(contender), self.train.exclude)
        ]
        method = _settled(chosen.method.model_dump(mode="json", exclude={"search"}) if chosen.method else {})
        parts = [TRAIN_CODE, _model_state(chosen), method, _dump(chosen.prompt), uses, _settled(knobs), seed]
        if chosen.data_share != 1:
            parts.append({"data_share": chosen.data_share})
        if chosen.head:
            parts.append({"head": chosen.head})
        if chosen.method and self.trials(contender):  # which are trained under the first seed
            parts.append({"search": declared(chosen.method), "under": self.train.seeds[0]})
        if chosen.start:
            parts.append({"start": self.train_fingerprint(chosen.start, seed)})
        return digest_of(parts)

    def score_fingerprint(self, contender: str, seed: int, tasks: dict[str, str]) -> str:
        """What scores depend on: weights, adapter, prompt, sampling and each task's digest; not the machine."""
        chosen = self.contenders[contender]
        tuning = self.train_fingerprint(contender, seed) if chosen.method else None
        brought = adapter_digest(Path(chosen.adapter)) if chosen.adapter else None
        draws = [self.exam.samples, self.exam.seed]
        parts = [SCORE_CODE, _model_state(chosen), tuning, brought, _dump(chosen.prompt), draws, tasks]
        return digest_of([*parts, {"engine": "vllm"}] if chosen.vllm else parts)


def _model_state(contender: Contender) -> list[Any]:
    model = contender.model
    return [contender.weights(), model.family, model.think, model.decoding.model_dump(), model.dtype]


def _refuse_twice(key: str, named: tuple[Any, ...]) -> None:
    twice = next((each for each in named if named.count(each) > 1), None)
    if twice is not None:
        raise ValueError(f"{key}: {twice} stands twice; name it once")


def _dump(part: BaseModel | None) -> Any:
    return part.model_dump(mode="json") if part is not None else None


def _settled(knobs: dict[str, Any]) -> dict[str, Any]:
    """Without the younger keys that change nothing: what was trained before they were there stays done."""
    return {key: value for key, value in knobs.items() if key not in YOUNGER or value != YOUNGER[key]}
