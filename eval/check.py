"""What a recipe would do, shown before it does: contenders, one rendered example with its mask, lengths, power, plan.

Needs no torch: the `tokenizers` library renders. Every part is printed as soon as it is known.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from eval import blind, engines, forecast, gates, guards, pledge
from eval.answerable import refuse_unanswerable, refuse_unthought, unthought
from eval.benchmark import Benchmark
from eval.endpoint import refuse_likelihood, refuse_misjudged
from eval.forecast.load import conversations, rows
from eval.verdict.dates import timeline
from finetune import labelled
from finetune.card import label_of
from finetune.chat import Chat, Rendered
from finetune.launch import absent, refuse_start
from finetune.methods import declared, shared_rates, trials
from finetune.mistakes import BadInput
from finetune.recipe import Contender, Recipe
from finetune.recipe.privacy import refuse_personal
from finetune.run import RunDir

# Assumed before scores exist: the share of questions on which two contenders differ, and likeness within a cluster.
PSI, RHO = 0.25, 0.2


def show(
    recipe: Recipe,
    console: Console,
    wish: forecast.Wish | None = None,
    out: Path = Path("runs"),
    *,
    with_text: bool = False,
) -> None:
    """Print all that can be said before the run. BadInput where something does not fit.

    `wish` is the machine whose hours and money are planned; `out` holds runs that tell how well memory was planned;
    `with_text` shows a row of private cards too.
    """
    console.print(f"[bold]{recipe.question}[/]  ({recipe.purpose} {recipe.name})\n")
    console.print(contenders(recipe))
    refuse_start(recipe, recipe.methods)
    missing = dict.fromkeys(map(absent, (recipe.train.launch, recipe.exam.launch)))
    for line in (*shared_rates(recipe.methods), *recipe.unsearched(), *filter(None, missing)):
        console.print(Text(line, style="yellow"))
    for name, contender in recipe.contenders.items():
        if contender.method:
            refuse_personal(recipe, name)
            console.print(example(recipe, name, with_text=with_text))
    benchmark = Benchmark.read(recipe)
    refuse_unanswerable(recipe, benchmark)
    refuse_likelihood(recipe, benchmark)
    refuse_misjudged(recipe, benchmark)
    refuse_unthought(recipe, benchmark)
    console.print(exam(benchmark))
    for line in (*seen_before(recipe, benchmark), *blind.warnings(benchmark), *unthought(recipe, benchmark)):
        console.print(Text(line, style="yellow"))
    console.print(power(recipe, benchmark))
    line, refused = engines.told(recipe, benchmark, RunDir(out / recipe.name))
    if line:
        console.print(Text(f"\n{line}", style="yellow" if refused else ""))
    if recipe.purpose == "study":
        console.print(dated(recipe, benchmark))
    for part in guarded(recipe, benchmark):
        console.print(part)
    for part in forecast.show(recipe, benchmark, wish, out):
        console.print("", part)
    console.print(plan(recipe, benchmark))


def contenders(recipe: Recipe) -> Table:
    table = Table("contender", "model", "tuning", "prompt", "role", title="Contenders", title_justify="left")
    for name, c in recipe.contenders.items():
        where = f", {c.served.api} at {c.served.host}" if c.served else ", asked elsewhere" if c.items else ""
        model = f"{c.model.id}{', in vLLM' if c.vllm else where}"
        table.add_row(name, model, tuning(c), "frame" if c.prompt else "plain", ", ".join(roles(recipe, name)))
    return table


def tuning(contender: Contender) -> str:
    """How a contender is tuned: method and rate, from whom it starts, on what share of the rows, on data of its own."""
    method = contender.method
    if method is None:
        return "adapter" if contender.adapter else "elsewhere" if contender.tuned else "none"
    lists = declared(method)
    said: list[str] = [method.kind]
    said += [] if "learning_rate" in lists else [f"rate {method.learning_rate:g}"]
    said += [f"{len(trials(method))} trials of {' x '.join(lists)}"] if lists else []
    said += [f"{contender.head} head"] if contender.head else []
    said += [f"from {contender.start}"] if contender.start else []
    said += [f"{contender.data_share:.3g} of the rows"] if contender.data_share != 1 else []
    said += [f"on {', '.join(f'{use.card.name}#{use.split}' for use in contender.data)}"] if contender.data else []
    return ", ".join(said)


def roles(recipe: Recipe, name: str) -> list[str]:
    """What a contender is in the rule."""
    rule = recipe.rule
    named = {"challenger": rule.challengers, "incumbent": (rule.incumbent,), "base": (rule.base,)}
    return [role for role, names in (named | {"alternative": rule.alternatives}).items() if name in names]


def example(recipe: Recipe, name: str, *, with_text: bool = False) -> RenderableType:
    """The first training row as the model sees it, trained tokens marked, and the lengths of all rows.

    Of a contender with a head the prompt, and marked what the head reads.
    """
    contender = recipe.contenders[name]
    try:
        chat = Chat.open(contender.model.folder(), contender.model.family, contender.model.think)
    except ValueError as fault:
        return Text(f"{name}: no example yet: {fault}", style="yellow")
    rendered = list(_headed(recipe, name, chat) if contender.head else map(chat.example, framed(recipe, name)))
    lengths = sorted(len(one.ids) for one in rendered)
    cut = sum(length > recipe.train.max_length for length in lengths)
    done = "read by the head" if contender.head else "trained"
    words = Text(f"{name}: one training row, what is {done} in ", style="bold").append("⟦brackets⟧", style="green")
    body, hidden = Text(), [use.card.name for use in recipe.data_of(name) if not use.card.shows(with_text)]
    if hidden:
        words, body = (
            Text(f"{name}: rows of {', '.join(hidden)}, which is private, are not shown", style="bold"),
            Text(),
        )
    for text, trained in [] if hidden else chat.preview(rendered[0]):
        body.append(f"⟦{text}⟧" if trained else text, style="black on green" if trained else "dim")
    targets = sum(sum(one.mask) for one in rendered)
    facts = (
        f"{len(lengths)} rows, {sum(lengths)} tokens of which {targets} {done}; length median {median(lengths):.0f}, "
        f"longest {lengths[-1]}; longer than train.max_length {recipe.train.max_length}: {cut}"
    )
    return Group(words, body, Text(facts + "\n", style="yellow" if cut else ""))


def _headed(recipe: Recipe, name: str, chat: Chat) -> Iterator[Rendered]:
    """The prompts of a contender with a head, and which of their tokens it reads."""
    contender = recipe.contenders[name]
    for row in rows(recipe, name):
        try:
            if contender.head == "token":
                found = labelled.token(row, contender.prompt, chat)
            else:
                found = labelled.sequence(row, contender.prompt, chat, [label_of(row)])
        except ValueError as fault:
            raise BadInput(f"data: row {row.id} of {name}: {fault}") from None
        yield Rendered(found.ids.tolist(), found.mask.astype(int).tolist())


def framed(recipe: Recipe, name: str) -> Iterator[list[dict[str, str]]]:
    """Training conversations of a contender, its prompt frame around the last question."""
    frame = recipe.contenders[name].prompt
    for turns in conversations(recipe, name):
        yield frame.wrap_last(turns) if frame else turns


def exam(benchmark: Benchmark) -> Table:
    table = Table(title="Exam", title_justify="left")
    table.add_column("task", no_wrap=True)
    table.add_column("how, language, edition, scenario")
    for head in ("items", "clusters", "dev", "guess", "blind", "weight"):
        table.add_column(head, justify="right")
    for task in benchmark.tasks:
        counts = (len(task.rows), len({row.cluster for row in task.rows}), len(task.dev))
        asked = ", ".join(filter(None, (task.protocol, task.lang, task.edition, task.scenario)))
        rates = (f"{task.guess_rate:.0%}", f"{blind.best(task).score:.0%}")
        table.add_row(task.name, asked, *map(str, counts), *rates, f"{task.weight:g}")
    beside = (*benchmark.guards, *benchmark.twins, *filter(None, [benchmark.canaries]))
    for task in (each for each in beside if each.rows):
        made = (len(task.rows), len({row.cluster for row in task.rows}))
        table.add_row(task.name, "beside the exam, in no score", *map(str, made), "", "", "", "")
    return table


def seen_before(recipe: Recipe, benchmark: Benchmark) -> list[str]:
    """A line where the gate *exam unseen* is going to fail."""
    found = gates.exam_unseen(benchmark.taught(recipe))
    return [f"The outcome will be invalid: {found.reason}"] if found.status == "failed" else []


def power(recipe: Recipe, benchmark: Benchmark) -> Text:
    """The smallest gain that this exam would find, against the margin."""
    from eval.power import power as power_of

    sizes = {
        task.name: Counter(task.cluster(row) for row in task.rows if row.id not in task.dev) for task in benchmark.tasks
    }
    weights = {task.name: task.weight for task in benchmark.tasks}
    try:
        seen = power_of(sizes, weights, psi=PSI, rho=RHO, confidence=recipe.rule.confidence)
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
        f"within a cluster, one sample)."
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
    found, confidence = guards.guards(recipe, benchmark), recipe.rule.confidence
    table, small = Table(title="Guards", title_justify="left"), []
    table.add_column("guard", no_wrap=True)
    table.add_column("sets")
    for head in ("items", "clusters", "loss borne", "needed"):
        table.add_column(head, justify="right")
    for guard in found:
        seen, names = guards.reach(guard, confidence), ", ".join(task.name for task in guard.tasks)
        counts = map(str, (seen.items, seen.clusters, f"{guard.margin:.1%}", seen.needed))
        table.add_row(f"{guard.kind} {guard.lang}" if guard.whole else "", names, *counts)
        if seen.needed > seen.items:
            small.append(f"{guard.kind} {guard.lang} ({names}) {seen.items} of {seen.needed}")
    if found:
        yield Text()
        yield table
        yield Text(
            f"needed: to tell no change from the loss borne in 80 of 100 runs (assuming that tuned and base differ on "
            f"{guards.PSI:.0%} of questions, likeness {guards.RHO:g} within a cluster)."
        )
    if small:
        yield Text(f"Too small to resolve, expect `inconclusive`: {'; '.join(small)}.", style="yellow")
    for line in guards.unguarded(recipe, found) if recipe.purpose == "study" else ():
        yield Text(line, style="yellow")


def plan(recipe: Recipe, benchmark: Benchmark) -> Text:
    try:
        pledge.refuse_untimed(recipe)
    except BadInput as fault:
        return Text(f"\nPlan: none can be kept yet: {fault}", style="yellow")
    try:
        digest = pledge.digest(recipe, benchmark)
    except ValueError as fault:
        return Text(f"\nPlan: its digest is known once every checkpoint is there ({fault})", style="yellow")
    return Text.assemble(
        "\nPlan digest: ", (digest[:12], "bold"), "  (send it to whoever decides, before scores exist)"
    )
