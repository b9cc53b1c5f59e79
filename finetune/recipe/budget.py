"""The search of contenders beside one another: an equal, declared number of trials, judged on rows held out.

A method whose knobs were searched may beat one whose were not by the search alone (Dodge et al. 2019, arXiv
1909.03004), so whoever searches gets as many trials as the others.
"""

from collections.abc import Mapping, Sequence

from finetune.methods import declared, trials
from finetune.recipe.sections import Contender, Train


def refuse_misfits(contenders: Mapping[str, Contender], train: Train) -> None:
    """ValueError: a search that nothing can judge, a knob that is both given and searched, or unequal budgets."""
    counts = budget(contenders)
    for name in (name for name, count in counts.items() if count):
        method = contenders[name].method
        assert method is not None, "only a method is searched"
        for key, why in (("dev", "holds out no row"), ("evaluations", "takes no dev loss")):
            if not getattr(train, key):
                raise ValueError(
                    f"contenders.{name}.method.search: train.{key} 0 {why}, and trials are judged by the dev loss; "
                    f"raise train.{key}, or leave search out"
                )
        for knob in declared(method).keys() & method.model_fields_set:
            raise ValueError(f"contenders.{name}.method: {knob} is given and searched too; leave one of the two out")
    searched = {name: count for name, count in counts.items() if count}
    if len(set(searched.values())) > 1:
        most, least = (pick(searched, key=lambda name: searched[name]) for pick in (max, min))
        raise ValueError(
            f"contenders.{most}.method.search: {searched[most]} trials, but {least} has {searched[least]}; a search is "
            f"fair at an equal budget: give both as many combinations"
        )


def budget(contenders: Mapping[str, Contender]) -> dict[str, int]:
    """Trials of each contender that is tuned here; 0 where its knobs are as declared."""
    return {name: len(trials(chosen.method)) for name, chosen in contenders.items() if chosen.method}


def unsearched(contenders: Mapping[str, Contender], challengers: Sequence[str]) -> list[str]:
    """A line where challengers are tuned by knobs as declared beside one whose knobs are searched."""
    counts = {name: count for name, count in budget(contenders).items() if name in challengers}
    bare, searched = ([name for name, count in counts.items() if bool(count) is wanted] for wanted in (False, True))
    if not bare or not searched:
        return []
    return [
        f"{', '.join(searched)} is searched with {counts[searched[0]]} trials, {', '.join(bare)} is not: what is "
        f"measured may be the search; give method.search with as many trials to each challenger"
    ]
