"""What the page says of flips: how many, where, why; and the words that its browser of questions needs."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eval.flips import Flip, Flips
from eval.report import words
from eval.report.words import Said, same

WAYS = {"gained": Said("gained", "得"), "lost": Said("lost", "失")}
NOTES = {
    "untold": Said("It is private, or the page was made without texts.", "该题为私有，或生成本页时未含文字。"),
    "full": Said("There was no room for it; items.jsonl holds it.", "篇幅所限未收入；全文见 items.jsonl。"),
    "from": Said("From", "出自"),
    "noncommercial": Said("no commercial use", "不得商用"),
}


@dataclass(frozen=True)
class Turned:
    """Flips of one task or cause."""

    name: str
    said: Said
    gained: int
    lost: int


def shown(flips: Flips) -> dict[str, Any]:
    """For the template; of the tables only the verdict's own contrast."""
    lead = list(flips.found(flips.contrasts[0]))
    tables = [
        (Said("By task", "按任务"), _rows(lead, lambda flip: flip.item.task, {})),
        (
            Said("What became of the answer that is not right", "未答对一方的情形"),
            _rows(lead, lambda flip: flip.cause, words.ANSWERS),
        ),
    ]
    glossary = words.ANSWERS | words.LANGUAGES | words.SCENARIOS | WAYS | NOTES
    packed = base64.b64encode(flips.packed()).decode()
    return {"flips": flips, "turned": tables, "facets": _facets(flips), "kept": _kept(flips), "glossary": glossary,
            "packed": packed}  # fmt: skip


def option(said: Said) -> str:
    """Both languages in one line, where there are no parts to show and hide."""
    return said.en if said.en == said.zh else f"{said.en} · {said.zh}"


def _rows(found: Sequence[Flip], name: Callable[[Flip], str], known: dict[str, Said]) -> list[Turned]:
    """In the order in which they come up, or in that of the words that are known."""
    counts = Counter((name(flip), flip.gained) for flip in found)
    names = dict.fromkeys(each for each, _ in counts)
    order = [each for each in known if each in names] or list(names)
    return [Turned(each, known.get(each, same(each)), counts[each, True], counts[each, False]) for each in order]


def _facets(flips: Flips) -> list[tuple[str, Said, list[tuple[str, Said]]]]:
    """Filters: name, words, and choices; one without a choice to make is left out."""
    found = [flip for balance in flips.contrasts for flip in flips.found(balance)]
    tasks = {flip.item.task for flip in found}
    asked = [each for each in flips.tasks if each.task in tasks]
    names = [f"{each.challenger} − {each.incumbent}" for each in flips.contrasts]
    every = {
        "task": (Said("Task", "任务"), {each.task: same(each.task) for each in asked}),
        "scenario": (Said("Scenario", "场景"), _known(words.SCENARIOS, {each.scenario for each in asked})),
        "lang": (Said("Language", "语言"), _known(words.LANGUAGES, {flip.item.lang for flip in found})),
        "cause": (Said("Cause", "原因"), _known(words.ANSWERS, {flip.cause for flip in found})),
        "way": (Said("Direction", "方向"), WAYS),
    }
    contrast = ("contrast", Said("Contrast", "对比"), [(str(at), same(name)) for at, name in enumerate(names)])
    return [contrast, *((name, said, list(among.items())) for name, (said, among) in every.items() if len(among) > 1)]


def _known(among: dict[str, Said], there: set[Any]) -> dict[str, Said]:
    return {name: said for name, said in among.items() if name in there}


def _kept(flips: Flips) -> Said:
    """How much of it stands on the page."""
    items, texts, longest = len(flips.items), flips.texts, f"{flips.longest:,}"
    drawn = Said(", drawn at random for want of room", "（容量有限，随机抽取）") if 0 < texts < items else Said("", "")
    return Said(
        f"{texts:,} of {items:,} questions stand here with their texts{drawn.en}. Of a text, and of an answer with its "
        f"thought, at most {longest} characters are kept, head and tail; ⟨… n …⟩ says how many are left out between. "
        f"Whole texts stand in items.jsonl.",
        f"{items:,} 道题中的 {texts:,} 道附有文字{drawn.zh}。每段文字、每次作答连同思考最多保留首尾 {longest} 个字符，"
        f"⟨… n …⟩ 为中间略去的字符数。全文见 items.jsonl。",
    )
