"""Contenders that start from another one: a prompt trained over several cards, then adapted to one (P-Tuning v2, 3.3 of
Liu et al. 2021, arXiv 2110.07602), or any method that goes on from its own earlier adapter."""

from collections.abc import Mapping

from finetune.methods import AnyMethod, declared
from finetune.recipe.sections import Contender

# Knobs of a method that shape how it begins or learns, not what it leaves: a contender that goes on may have others.
OWN = {"learning_rate", "init", "init_text", "reencoder", "encoder", "encoder_hidden", "master", "search"}


def lineage(contenders: Mapping[str, Contender], name: str) -> tuple[str, ...]:
    """Who is trained before whom, from the one that starts from its base to `name`. ValueError: they go in a circle."""
    line: list[str] = []
    here: str | None = name
    while here is not None:
        if here in line:
            raise ValueError(f"contenders.{name}.start: {' from '.join([*line, here])} goes in a circle")
        line.append(here)
        here = contenders[here].start
    return tuple(reversed(line))


def refuse_misfits(contenders: Mapping[str, Contender]) -> None:
    """ValueError: a start that is no contender, was not tuned here, or is another model or method."""
    for name, chosen in contenders.items():
        if chosen.start is None:
            continue
        said, known = f"contenders.{name}.start: {chosen.start}", [n for n, c in contenders.items() if c.method]
        if chosen.start not in known:
            raise ValueError(
                f"{said} is not tuned here, so there is nothing to go on from; tuned are {', '.join(known)}"
            )
        lineage(contenders, name)
        if contenders[chosen.start].model != chosen.model:
            raise ValueError(f"{said} tunes another model; both must be the same in every key")
        _refuse_unlike(said, {each: contenders[each].method for each in (name, chosen.start)})


def _refuse_unlike(said: str, methods: Mapping[str, AnyMethod | None]) -> None:
    """ValueError: a knob that both must share is searched, or not the same. First who goes on, then its start."""
    for who, method in methods.items():
        assert method is not None, "both are tuned here"
        for knob in declared(method).keys() - OWN:
            raise ValueError(
                f"{said}: {who} searches method.{knob}, which both must share; give it one value there, and search "
                f"learning_rate"
            )
    ours, theirs = (method.model_dump(exclude=OWN) for method in methods.values() if method)
    unlike = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
    if unlike:
        key = "kind" if "kind" in unlike else min(unlike)
        raise ValueError(f"{said} has method.{key} {theirs.get(key)}, here it is {ours.get(key)}; make them the same")
