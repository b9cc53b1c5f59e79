"""What licences say of a tuned contender, in words of both languages: a verdict of worth is no leave to use."""

from collections.abc import Iterable

from eval.verdict.wording import Words
from finetune.card import DataCard
from finetune.licence import Rider, terms_of
from finetune.recipe import Recipe


def riders(recipe: Recipe, exam: Iterable[DataCard]) -> list[Words]:
    """One for each licence that bars or binds: of the tuned contenders' data and bases, and of the exam's cards."""
    return [*_data(recipe), *_bases(recipe), *_exam(exam)]


def _data(recipe: Recipe) -> list[Words]:
    """Contenders by the non-commercial cards that they, or those they go on from, are tuned on."""
    found: dict[str, list[str]] = {}
    licences: dict[str, str] = {}
    for name in recipe.methods:
        cards = [use.card for before in recipe.lineage(name) for use in recipe.data_of(before)]
        for card in dict.fromkeys(card.name for card in cards if not card.licence.commercial):
            found.setdefault(card, []).append(name)
        licences |= {card.name: card.licence.name for card in cards}
    return [
        (
            f"No commercial use of {', '.join(names)}: the training data {card} ({licences[card]}) allows none.",
            f"{'、'.join(names)} 不得商用：训练数据 {card}（{licences[card]}）不允许商业用途。",
        )
        for card, names in found.items()
    ]


def _bases(recipe: Recipe) -> list[Words]:
    """Tuned contenders by what the licence of their base binds them to."""
    bound: dict[str, list[str]] = {}
    terms: dict[str, Rider] = {}
    for name, chosen in recipe.contenders.items():
        for each in terms_of(chosen.model.licence):
            if chosen.tuned and each.rider:
                bound.setdefault(each.name, []).append(name)
                terms[each.name] = each.rider
    return [
        (
            f"The base of {', '.join(names)} is under the {licence}: {terms[licence].en}.",
            f"{'、'.join(names)} 的底座适用 {licence}：{terms[licence].zh}。",
        )
        for licence, names in bound.items()
    ]


def _exam(cards: Iterable[DataCard]) -> list[Words]:
    barred = [f"{card.name} ({card.licence.name})" for card in cards if not card.licence.commercial]
    names = list(dict.fromkeys(barred))
    if not names:
        return []
    return [
        (
            f"The exam holds data without commercial use: {', '.join(names)}.",
            f"考试含不允许商业用途的数据：{'、'.join(names)}。",
        )
    ]
