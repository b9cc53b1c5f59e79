"""Deviations from plan: what a run did otherwise than was promised before the scores (decision.md 6, point 11).

Gathered from what was read and asked already: promises that were kept here, gates that failed, the sheets, the
manifests. It decides nothing; what decides is the gate that each of these has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from eval import gates
from eval.gates import Gate
from eval.money.defaults import runs_on
from eval.verdict.evidence import Evidence
from eval.verdict.wording import Words
from finetune.recipe import Contender
from finetune.run import ScoreFacts

Kind = Literal["gate", "planned again", "recipe", "scored again", "samples", "missing", "machine", "extractor"]
OF_PLAN = {each[0] for each in (gates.PLAN, gates.SAME_QUESTIONS, gates.GUARD_QUESTIONS, gates.PROMPT_CONTENT)}
LONGEST = 40  # characters of a value that is told; a longer one is only said to be another
SHOWN = 12  # changes of one plan that are told one by one


class Deviation(BaseModel):
    """One thing that was done otherwise, in both languages."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Kind = Field(
        description="gate: one that failed; recipe: changed after the plan; planned, scored again: more than once; "
        "samples: fewer than planned; missing: answers; machine: device, engine, dtype; extractor: another than planned"
    )
    text: str
    text_zh: str


def deviations(evidence: Evidence, checked: Sequence[Gate]) -> tuple[Deviation, ...]:
    """All of them, the gravest first; empty where the run did as was planned."""
    found: list[tuple[Kind, Words]] = [
        *(("gate", (gate.reason, gate.reason_zh)) for gate in checked if _broken(gate)),
        *(("recipe", words) for words in _since(evidence)),
        *(("planned again", words) for words in _again(evidence)),
        *(("scored again", words) for words in _rescored(evidence)),
        *(("samples", words) for words in _fewer(evidence)),
        *(("missing", words) for words in _missing(evidence)),
        *(("machine", words) for words in _machine(evidence)),
        *(("extractor", words) for words in _reread(evidence)),
    ]
    return tuple(Deviation(kind=kind, text=words[0], text_zh=words[1]) for kind, words in found)


def _broken(gate: Gate) -> bool:
    return gate.name in OF_PLAN and gate.status == "failed"


def _since(evidence: Evidence) -> Iterator[Words]:
    """What the recipe says otherwise than the plan that stands."""
    for words in _told(evidence.promises[-2:]):
        yield f"after the plan: {words[0]}", f"登记之后：{words[1]}"


def _again(evidence: Evidence) -> Iterator[Words]:
    """Plans beside the one that stands, and what each changed."""
    kept, times = evidence.promises[:-1], evidence.attempts.get("plan", 0)
    if times > max(len(kept), 1):
        yield (f"planned {times} times; what the first {times - len(kept)} changed is not on record",
               f"共登记 {times} 次；前 {times - len(kept)} 次的改动没有记录")  # fmt: skip
    for at in range(1, len(kept)):
        for words in _told(kept[at - 1 : at + 1]):
            yield f"plan {at + 1} of {len(kept)}: {words[0]}", f"第 {at + 1} 次登记（共 {len(kept)} 次）：{words[1]}"


def _told(pair: Sequence[dict[str, Any]]) -> Iterator[Words]:
    """What the later of two promises changed, each once; contenders that only one of them has come first."""
    if len(pair) < 2:
        return
    ours, theirs = (each["contenders"] for each in pair)
    told = [(f"contender {name} was planned and is there no more", f"方案 {name} 已登记，之后撤除")
            for name in ours if name not in theirs]  # fmt: skip
    told += [(f"contender {name} was not planned", f"方案 {name} 未曾登记") for name in theirs if name not in ours]
    shared = [name for name in ours if name in theirs]
    told += [_change(*each) for each in _unlike("", *(_of(each, shared) for each in pair))]
    yield from told[:SHOWN]
    if len(told) > SHOWN:
        yield f"{len(told) - SHOWN} more changes", f"另有 {len(told) - SHOWN} 处改动"


def _of(promise: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A promise with these contenders alone."""
    return {**promise, "contenders": {name: promise["contenders"][name] for name in names}}


def _unlike(place: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every place, `rule.margin`, at which the two differ; what only one of them has stands whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _unlike(f"{place}.{key}" if place else key, old.get(key), new.get(key))
    elif old != new:
        yield place, old, new


def _change(place: str, old: Any, new: Any) -> Words:
    if place.endswith(".training") and isinstance(old, list) and isinstance(new, list) and len(old) != len(new):
        return f"{place}: {len(old)} seeds, now {len(new)}", f"{place}：原 {len(old)} 个种子，现 {len(new)} 个"
    said = [_value(each) for each in (old, new)]
    if None in said or said[0] == said[1]:
        return f"{place}: another", f"{place}：已改动"
    return f"{place}: {said[0]}, now {said[1]}", f"{place}：原 {said[0]}，现 {said[1]}"


def _value(value: Any) -> str | None:
    """In a few characters; None where it takes more, or is a list, a section or a digest."""
    if value in (None, ""):
        return "–"
    said = f"{value:g}" if isinstance(value, float) else str(value)
    return said if len(said) <= LONGEST and not isinstance(value, list | dict) else None


def _rescored(evidence: Evidence) -> Iterator[Words]:
    judged, times = sum(map(len, evidence.scored.values())), evidence.attempts.get("score", 0)
    if times > judged:
        yield (f"scored {times} times, of which {judged} are judged here",
               f"共评分 {times} 次，此处评判其中 {judged} 次")  # fmt: skip


def _fewer(evidence: Evidence) -> Iterator[Words]:
    """Who gave fewer answers to a written question than was planned."""
    planned = evidence.recipe.exam.samples
    written = {task.name for task in evidence.benchmark.tasks if task.protocol == "generated"}
    for name, sheet in evidence.sheets.items():
        short = {task: count for task, count in sheet.samples.items() if task in written and count < planned}
        if short and not evidence.recipe.contenders[name].head:
            least = min(short.values())
            yield (f"{name}: {least} of {planned} answers a question to {', '.join(short)}",
                   f"{name}：{'、'.join(short)} 每题仅作答 {least} 次（计划 {planned} 次）")  # fmt: skip


def _missing(evidence: Evidence) -> Iterator[Words]:
    for name, sheet in evidence.sheets.items():
        if gone := sheet.count("missing"):
            yield f"{name}: answers that are missing, and score 0: {gone:,}", f"{name}：缺失 {gone:,} 个回答，计 0 分"


def _machine(evidence: Evidence) -> Iterator[Words]:
    """Who was scored otherwise than the recipe says, or than itself; and devices that no price was planned for."""
    ran: set[str] = set()
    for name, stages in evidence.scored.items():
        chosen = evidence.recipe.contenders[name]
        yield from _setting(name, chosen, [stage.scoring for stage in stages.values() if stage.scoring])
        ran |= {stage.hardware.device for stage in stages.values()} if chosen.here else set()
    all_of, named = ", ".join(sorted(ran)), evidence.recipe.costs.device
    if len(ran) > 1:
        yield f"contenders were scored on unlike devices: {all_of}", f"各方案在不同设备上评分：{all_of}"
    others = ", ".join(sorted(device for device in ran if named and not runs_on(named, device)))
    if others:
        yield f"{named} is priced, {others} scored", f"计价设备为 {named}，实际评分设备为 {others}"


def _setting(name: str, chosen: Contender, facts: Sequence[ScoreFacts]) -> Iterator[Words]:
    engines, types = (sorted({getattr(each, key) for each in facts}) for key in ("engine", "dtype"))
    wanted = f"nf4 {chosen.model.dtype}" if chosen.four_bit else chosen.model.dtype
    ours = [each if each.startswith("nf4 ") else each.rpartition(" ")[2] for each in types]  # kept so, a checkpoint is
    if len(engines) > 1:
        yield f"{name} was scored by {' and by '.join(engines)}", f"{name} 由不同引擎评分：{'、'.join(engines)}"
    if chosen.here and chosen.model.dtype not in ("auto", "nf4") and ours != [wanted]:
        yield f"{name}: {wanted} planned, {', '.join(types)} run", f"{name}：计划 {wanted}，实际 {'、'.join(types)}"


def _reread(evidence: Evidence) -> Iterator[Words]:
    found = evidence.regraded
    if found:
        yield (f"answers were read by extractor {found.extractor}, planned was {found.promised}",
               f"答案由提取器 {found.extractor} 读取，登记为 {found.promised}")  # fmt: skip
