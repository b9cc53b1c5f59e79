"""One checkpoint on two engines, greedily: what the same contender answers on either, answer by answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.items import ItemScore
from eval.repeatability import Kind, Parity, apart, changes, prefix
from finetune.chat import Chat
from finetune.recipe import HF, Contender, Recipe


def greedy(contender: Contender) -> Contender:
    """The contender without draws, which no two engines share."""
    decoding = contender.model.decoding.model_copy(update={"temperature": 0.0, "top_p": 1.0, "top_k": 0})
    return contender.model_copy(update={"model": contender.model.model_copy(update={"decoding": decoding})})


def in_transformers(recipe: Recipe, name: str, contender: Contender) -> Recipe:
    """The recipe where transformers runs `name`, as `contender` has it, and each question is answered once."""
    chosen = contender.model_copy(update={"engine": HF()})
    exam = recipe.exam.model_copy(update={"samples": 1})
    return recipe.model_copy(update={"contenders": {**recipe.contenders, name: chosen}, "exam": exam})


def compared(
    here: Kind, there: Kind, chat: Chat, ours: Sequence[ItemScore], theirs: Sequence[ItemScore],
    weights: Mapping[str, float],
) -> Parity:  # fmt: skip
    """Token by token as our tokenizer reads both texts."""
    known = {(row.task, row.id): row for row in theirs}
    pairs = [(row, known[row.task, row.id]) for row in ours]
    spelled = [(chat.encode(a.text), chat.encode(b.text)) for a, b in pairs]
    common = [prefix(a, b) for a, b in spelled]
    shares = [same / max(1, len(a), len(b)) if a != b else 1.0 for same, (a, b) in zip(common, spelled, strict=True)]
    return Parity(
        here=here, there=there, apart=apart(ours, theirs, weights), changes=changes(ours, theirs),
        prefix=sum(shares) / len(shares), prefix_tokens=sum(common) / len(common),
        same_prompts=sum(_alike(a, b) for a, b in pairs) / len(pairs),
    )  # fmt: skip


def _alike(one: ItemScore, other: ItemScore) -> bool:
    """Whether both read the same prompt: the same ids, or as many tokens where messages were sent. Of ids that were
    sent twice (a thought's budget) tokens_in counts both times."""
    return one.prompt == other.prompt or one.tokens_in == other.tokens_in
