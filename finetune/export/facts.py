"""What a model card speaks of: the recipe's contender, how it was trained, rendered, merged and judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from finetune.chat import Chat
from finetune.export.fusion import Fusion
from finetune.export.rendering import Rendering
from finetune.export.result import Result
from finetune.licence import Terms, terms_of
from finetune.recipe import Contender, DataUse, Recipe
from finetune.run import RunManifest


@dataclass(frozen=True)
class Facts:
    """All that a card speaks of."""

    recipe: Recipe
    name: str
    trained: RunManifest
    chat: Chat
    result: Result
    fusion: Fusion | None  # None where nothing was merged
    rendering: Rendering
    merge: bool

    @property
    def contender(self) -> Contender:
        return self.recipe.contenders[self.name]

    @property
    def method(self) -> dict[str, Any]:
        """Knobs as they were trained with, those that a search chose among them."""
        method, search = self.contender.method, self.trained.training and self.trained.training.search
        knobs = method.model_dump(mode="json", exclude={"search"}) if method else {}
        return {**knobs, **(search.knobs if search else {})}

    @property
    def whole(self) -> bool:
        return self.fusion is not None or self.method["kind"] == "full"

    @property
    def data(self) -> tuple[DataUse, ...]:
        """Of its own tuning and of all that it goes on from."""
        uses = [use for name in self.recipe.lineage(self.name) for use in self.recipe.data_of(name)]
        return tuple(use for place, use in enumerate(uses) if use not in uses[:place])

    @property
    def base_terms(self) -> tuple[Terms, ...]:
        return terms_of(self.contender.model.licence)

    @property
    def base(self) -> str:
        """As the Hub or a reader knows it."""
        return self.contender.model.named
