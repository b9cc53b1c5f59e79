"""What a recipe would do, shown before it does: contenders, one rendered example with its mask, lengths, power, plan.

Needs no torch: the `tokenizers` library renders. Every part is printed as soon as it is known.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from eval import blind, engines, forecast, gates, pledge
from eval.answerable import headed, refuse_unanswerable, refuse_unthought, unthought
from eval.benchmark import Benchmark
from eval.endpoint import refuse_likelihood, refuse_misjudged
from eval.foresight import dated, guarded, power
from eval.foretold.load import conversations, rows
from eval.terminal import table
from finetune import labelled
from finetune.card import label_of
from finetune.chat import Chat, Rendered
from finetune.launch import absent, refuse_start
from finetune.methods import declared, shared_rates, trials
from finetune.mistakes import BadInput
from finetune.recipe import Contender, Recipe
from finetune.recipe.privacy import refuse_personal
from finetune.run import RunDir


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
    _show_contenders(recipe, console, with_text=with_text)
    benchmark = Benchmark.read(recipe)
    _show_exam(recipe, benchmark, console)
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


def _show_contenders(recipe: Recipe, console: Console, *, with_text: bool) -> None:
    """Who they are, what is unlike or missing, and a training row of each that is tuned here."""
    console.print(contenders(recipe))
    refuse_start(recipe, recipe.methods)
    missing = dict.fromkeys(map(absent, (recipe.train.launch, recipe.exam.launch)))
    for line in (*shared_rates(recipe.methods), *recipe.unsearched(), *filter(None, missing)):
        console.print(Text(line, style="yellow"))
    for name, contender in recipe.contenders.items():
        if contender.method:
            refuse_personal(recipe, name)
            console.print(example(recipe, name, with_text=with_text))


def _show_exam(recipe: Recipe, benchmark: Benchmark, console: Console) -> None:
    """What is asked of whom, what of it is doubtful, and how small a gain it would see."""
    refuse_unanswerable(recipe, benchmark)
    refuse_likelihood(recipe, benchmark)
    refuse_misjudged(recipe, benchmark)
    refuse_unthought(recipe, benchmark)
    blind.refuse_blind(recipe, benchmark)
    console.print(exam(benchmark))
    for line in (
        *seen_before(recipe, benchmark),
        *blind.warnings(benchmark),
        *unthought(recipe, benchmark),
        *budgets(recipe, benchmark),
    ):
        console.print(Text(line, style="yellow"))
    console.print(power(recipe, benchmark))


def contenders(recipe: Recipe) -> Table:
    shown = table("Contenders", "contender", "model", "tuning", "prompt", "role")
    for name, c in recipe.contenders.items():
        where = f", {c.served.api} at {c.served.host}" if c.served else ", asked elsewhere" if c.items else ""
        model = f"{c.model.id}{', in vLLM' if c.vllm else where}"
        shown.add_row(name, model, tuning(c), "frame" if c.prompt else "plain", ", ".join(roles(recipe, name)))
    return shown


def budgets(recipe: Recipe, benchmark: Benchmark) -> list[str]:
    """A line where the contenders that write here, or at a server, may do so at unlike length."""
    limits: dict[tuple[int, int], list[str]] = {}
    for name, chosen in recipe.contenders.items():
        if not (chosen.items or headed(chosen)):
            how = chosen.model.decoding
            limits.setdefault((how.max_new_tokens, how.thinking_tokens or 0), []).append(name)
    if len(limits) < 2 or not benchmark.written:
        return []
    said = "; ".join(
        f"{limit:,}{f' ({thought:,} in thought)' if thought else ''} of {', '.join(names)}"
        for (limit, thought), names in sorted(limits.items())
    )
    return [
        f"Tokens for thought and answer differ (model.decoding.max_new_tokens, thinking_tokens): {said}. Declare the "
        f"same for all where the others could use them; the page tells the share that each had cut off"
    ]


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
    hidden = [use.card.name for use in recipe.data_of(name) if not use.card.shows(with_text)]
    if hidden:
        words = Text(f"{name}: rows of {', '.join(hidden)}, which is private, are not shown", style="bold")
    body = Text() if hidden else _marked(chat.preview(rendered[0]))
    targets = sum(sum(one.mask) for one in rendered)
    facts = (
        f"{len(lengths)} rows, {sum(lengths)} tokens of which {targets} {done}; length median {median(lengths):.0f}, "
        f"longest {lengths[-1]}; longer than train.max_length {recipe.train.max_length}: {cut}"
    )
    return Group(words, body, Text(facts + "\n", style="yellow" if cut else ""))


def _marked(runs: Sequence[tuple[str, bool]]) -> Text:
    """A row with what is trained in brackets."""
    row = Text()
    for text, trained in runs:
        row.append(f"⟦{text}⟧" if trained else text, style="black on green" if trained else "dim")
    return row


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
            raise BadInput(
                f"data: row {row.id} of {name}: {fault if recipe.taught_openly(name) else labelled.HIDDEN}"
            ) from None
        yield Rendered(found.ids.tolist(), found.mask.astype(int).tolist())


def framed(recipe: Recipe, name: str) -> Iterator[list[dict[str, str]]]:
    """Training conversations of a contender, its prompt frame around the last question."""
    frame = recipe.contenders[name].prompt
    for turns in conversations(recipe, name):
        yield frame.wrap_last(turns) if frame else turns


def exam(benchmark: Benchmark) -> Table:
    counted = "items", "clusters", "dev", "guess", "blind", "weight"
    shown = table("Exam", "task", "how, language, edition, scenario", *counted, numbers=counted)
    for task in benchmark.tasks:
        counts = (len(task.rows), len({row.cluster for row in task.rows}), len(task.dev))
        asked = ", ".join(filter(None, (task.protocol, task.lang, task.edition, task.scenario)))
        rates = (f"{task.guess_rate:.0%}", f"{blind.best(task).score:.0%}")
        shown.add_row(task.name, asked, *map(str, counts), *rates, f"{task.weight:g}")
    beside = (*benchmark.guards, *benchmark.twins, *filter(None, [benchmark.canaries]))
    for task in (each for each in beside if each.rows):
        made = (len(task.rows), len({row.cluster for row in task.rows}))
        shown.add_row(task.name, "beside the exam, in no score", *map(str, made), "", "", "", "")
    return shown


def seen_before(recipe: Recipe, benchmark: Benchmark) -> list[str]:
    """A line where the gate *exam unseen* is going to fail."""
    found = gates.exam_unseen(benchmark.taught(recipe))
    return [f"The outcome will be invalid: {found.reason}"] if found.status == "failed" else []


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
