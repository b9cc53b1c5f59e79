"""What the page says of flips: how many, where, why; and the words that its browser of questions needs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from eval.flips import Flips
from eval.report import words
from eval.report.words import Said, same
from eval.verdict.turns import Turned, Turns

WAYS = {"gained": Said("gained", "得"), "lost": Said("lost", "失")}
NOTES = {
    "untold": Said("It is private, or the page was made without texts.", "该题为私有，或生成本页时未含文字。"),
    "full": Said("There was no room for it; items.jsonl holds it.", "篇幅所限未收入；全文见 items.jsonl。"),
    "from": Said("From", "出自"),
    "noncommercial": Said("no commercial use", "不得商用"),
}


def shown(flips: Flips, counted: Sequence[Turns]) -> dict[str, Any]:
    """For the template: the counts are the verdict's; of the tables only its own contrast."""
    lead = counted[0]
    tables = [
        (Said("By task", "按任务"), [(row, same(row.name)) for row in lead.tasks]),
        (Said("What became of the answer that is not right", "未答对一方的情形"), _by_cause(lead.causes)),
    ]
    glossary = words.ANSWERS | words.LANGUAGES | words.SCENARIOS | WAYS | NOTES
    packed = base64.b64encode(flips.packed()).decode()
    return {"flips": flips, "turned": tables, "facets": _facets(flips), "kept": _kept(flips), "glossary": glossary,
            "packed": packed}  # fmt: skip


def option(said: Said) -> str:
    """Both languages in one line, where there are no parts to show and hide."""
    return said.en if said.en == said.zh else f"{said.en} · {said.zh}"


def _by_cause(rows: Sequence[Turned]) -> list[tuple[Turned, Said]]:
    """In the order in which outcomes are told everywhere."""
    found = {row.name: row for row in rows}
    return [(found[name], said) for name, said in words.ANSWERS.items() if name in found]


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
