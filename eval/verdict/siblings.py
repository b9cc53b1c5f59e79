"""Rows of the table of sensitivity that other contenders of the same run tell: those which are the same but for their
prompt, or but for how their answers are drawn (decision.md 5.12). Nothing is asked for them that was not asked anyway.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from eval.pairing import Pair, mismatch
from eval.sheet import Sheet
from eval.verdict.variants import Variant
from finetune.recipe import Contender

DRAWN = 3  # prompts from which on they tell how prompts differ: of two, nobody could say anything


def prompts(
    names: Sequence[str], contenders: Mapping[str, Contender], sheets: Mapping[str, Sheet]
) -> Iterator[Variant]:
    """Each contender's mean over the prompts that it was asked with, where one was asked with several; three and
    more are a random factor. A frame that hands over other knowledge (`known`) is no other wording."""
    handed = {name: chosen.prompt.known if chosen.prompt else "" for name, chosen in contenders.items()}
    kin = {name: _paired(sheets, name, _alike(contenders, name, {"prompt"})) for name in names}
    kin = {name: [each for each in found if handed[each] == handed[name]] for name, found in kin.items()}
    several = {name: found for name, found in kin.items() if len(found) > 1}
    if several:
        told = list(dict.fromkeys(", ".join(sorted(found)) for found in several.values()))
        words = f"mean over prompts ({'; '.join(told)})", f"各提示词取平均（{'；'.join(told)}）"
        asked = {name: chosen.model_dump_json(include={"prompt"}) for name, chosen in contenders.items()}
        yield Variant("prompt", words, lambda pair: _varied(pair, kin, sheets, asked))


def decodings(
    names: Sequence[str], contenders: Mapping[str, Contender], sheets: Mapping[str, Sheet]
) -> Iterator[Variant]:
    """All contenders drawn alike, for each way of drawing in which all were asked; none where they are already."""
    every = {name: _paired(sheets, name, _alike(contenders, name, {"model": {"decoding"}})) for name in names}
    drawn = {name: contenders[name].model.decoding for kin in every.values() for name in kin}
    if len({drawn[name].model_dump_json() for name in names}) < 2:
        return
    for way in {each.model_dump_json(): each for each in drawn.values()}.values():
        kin = {name: [each for each in found if drawn[each] == way][:1] for name, found in every.items()}
        if all(kin.values()):
            told = ", ".join(dict.fromkeys(each for found in kin.values() for each in found))
            words = f"common decoding (temperature {way.temperature:g}: {told})"
            yield _drawn((words, f"统一解码（温度 {way.temperature:g}：{told}）"), kin, sheets)


def _drawn(words: tuple[str, str], kin: Mapping[str, list[str]], sheets: Mapping[str, Sheet]) -> Variant:
    return Variant("decoding", words, lambda pair: _meant(pair, kin, sheets))


def _alike(contenders: Mapping[str, Contender], name: str, but: set[str] | dict[str, set[str]]) -> list[str]:
    """Contenders alike in every key but one, itself first."""
    own = contenders[name].model_dump(exclude=but)
    others = [each for each, chosen in contenders.items() if each != name and chosen.model_dump(exclude=but) == own]
    return [name, *others]


def _paired(sheets: Mapping[str, Sheet], name: str, kin: Iterable[str]) -> list[str]:
    """Those that answered the same questions, with as many training seeds."""
    own = sheets[name]
    fit = (each for each in kin if each in sheets and mismatch(own, sheets[each]) is None)
    return [each for each in fit if sheets[each].scores.shape == own.scores.shape]


def _varied(
    pair: Pair, kin: Mapping[str, list[str]], sheets: Mapping[str, Sheet], asked: Mapping[str, str]
) -> Pair:  # fmt: skip
    """Prompts as a random factor, as training seeds are one: a row each, so that what lies between them stands in the
    interval. Of fewer than three, or where seeds are drawn already, or where both sides have several prompts that are
    not the same ones, the mean alone."""
    sides = _by_prompt(kin[pair.challenger.name], kin[pair.incumbent.name], sheets, asked)
    if len(sides) < DRAWN or len(pair.differences) > 1:
        return _meant(pair, kin, sheets)
    scores = np.concatenate([one.scores - other.scores for one, other in sides])
    wrong = np.concatenate([one.share("wrong") - other.share("wrong") for one, other in sides])
    return replace(pair, differences=scores, wrongs=wrong, told={})


def _by_prompt(
    ours: list[str], theirs: list[str], sheets: Mapping[str, Sheet], asked: Mapping[str, str]
) -> list[tuple[Sheet, Sheet]]:
    """One pair a prompt: a side with a single one stands against each of the other's, and where both have several, each
    prompt against itself, in whatever order the recipe names them. Empty where they have not the same ones."""
    if min(len(ours), len(theirs)) == 1:
        return [(sheets[one], sheets[other]) for one in ours for other in theirs]
    at = {asked[other]: other for other in theirs}
    same = len(at) == len(theirs) == len(ours) and {asked[one] for one in ours} == set(at)
    return [(sheets[one], sheets[at[asked[one]]]) for one in ours] if same else []


def _meant(pair: Pair, kin: Mapping[str, list[str]], sheets: Mapping[str, Sheet]) -> Pair:
    ours, theirs = ([sheets[each] for each in kin[side.name]] for side in (pair.challenger, pair.incumbent))
    scores = [np.mean([sheet.scores for sheet in side], axis=0) for side in (ours, theirs)]
    wrong = [np.mean([sheet.share("wrong") for sheet in side], axis=0) for side in (ours, theirs)]
    return replace(pair, differences=scores[0] - scores[1], wrongs=wrong[0] - wrong[1], told={})
