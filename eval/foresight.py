"""What an exam and its guards could tell before anything has run, by their sizes, clusters and dates."""

from collections import Counter
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from eval import guards
from eval.benchmark import Benchmark
from eval.power import power as power_of
from eval.terminal import table
from eval.verdict.dates import timeline
from eval.verdict.outlook import surely
from finetune.recipe import Recipe

# Assumed before scores exist: the share of questions on which two contenders differ, and likeness within a cluster.
PSI, RHO = 0.25, 0.2


def power(recipe: Recipe, benchmark: Benchmark) -> Text:
    """The smallest gain that this exam would find, against the margin."""
    sizes = {
        task.name: Counter(task.cluster(row) for row in task.rows if row.id not in task.dev) for task in benchmark.tasks
    }
    weights = {task.name: task.weight for task in benchmark.tasks}
    confidence, several = surely(recipe, benchmark)
    try:
        seen = power_of(sizes, weights, psi=PSI, rho=RHO, confidence=confidence)
    except ValueError as fault:
        return Text(f"\nPower: {fault}; as it is this exam cannot be judged", style="yellow")
    margin = recipe.rule.margin
    if margin + seen.mde80 > 1:  # the whole exam, got right by one and wrong by the other, would not be enough
        text = (
            f"\nPower: {seen.n} questions in {seen.clusters} clusters are too few to find any gain above the margin of "
            f"{margin:.1%} in 80 of 100 exams; add questions from other documents."
        )
        return Text(text, style="yellow")
    text = (
        f"\nPower: {seen.n} questions in {seen.clusters} clusters find a gain of {seen.mde80:.1%} above the margin of "
        f"{margin:.1%} in 80 of 100 exams (assuming the contenders differ on {PSI:.0%} of questions, likeness {RHO:g} "
        f"within a cluster, one sample{several})."
    )
    if seen.mde80 <= margin:
        return Text(text)
    return Text(text + " That is more than the margin: expect `inconclusive` unless the gain is large.", style="yellow")


def dated(recipe: Recipe, benchmark: Benchmark) -> Text:
    """How many questions are surely younger than every model that decides."""
    rule = recipe.rule
    line = timeline(recipe, benchmark, list(dict.fromkeys([*rule.challengers, rule.incumbent, *rule.alternatives])))
    if not line.spans:
        return Text(
            "\nDates: no card dates its questions (`dates`), so none can be shown to be younger than the models."
        )
    if line.unknown:
        who = ", ".join(line.unknown)
        return Text(
            f"\nDates: {len(line.spans):,} questions have one; until when {who} learned is not known (`cutoff`)."
        )
    return Text(
        f"\nDates: {len(line.spans):,} questions have one; {len(line.young):,} of them became public after "
        f"{line.newest}, when the last of the deciding models could still learn, {len(line.old):,} before."
    )


def guarded(recipe: Recipe, benchmark: Benchmark) -> Iterator[RenderableType]:
    """How many questions each guard has and would need; what no guard sees, and which guard is too small."""
    found, (confidence, several) = guards.guards(recipe, benchmark), surely(recipe, benchmark)
    counted, small = ("items", "clusters", "loss borne", "needed"), []
    shown = table("Guards", "guard", "sets", *counted, numbers=counted)
    for guard in found:
        seen, names = guards.reach(guard, confidence), ", ".join(task.name for task in guard.tasks)
        counts = map(str, (seen.items, seen.clusters, f"{guard.margin:.1%}", seen.needed))
        shown.add_row(f"{guard.kind} {guard.lang}" if guard.whole else "", names, *counts)
        if seen.needed > seen.items:
            small.append(f"{guard.kind} {guard.lang} ({names}) {seen.items} of {seen.needed}")
    if found:
        yield Text()
        yield shown
        yield Text(
            f"needed: to tell no change from the loss borne in 80 of 100 runs (assuming that tuned and base differ on "
            f"{guards.PSI:.0%} of questions, likeness {guards.RHO:g} within a cluster{several})."
        )
    if small:
        yield Text(f"Too small to resolve, expect `inconclusive`: {'; '.join(small)}.", style="yellow")
    for line in guards.unguarded(recipe, found) if recipe.purpose == "study" else ():
        yield Text(line, style="yellow")
