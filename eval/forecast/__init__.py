"""What a recipe would cost: memory of each tuning, hours and money of tuning and exam, before anything has run."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from eval.benchmark import Benchmark
from eval.engines import forbidden
from eval.forecast.measured import measured, probed
from eval.forecast.tokens import served
from eval.foretold.hours import seconds, share
from eval.foretold.load import Load, read_load
from eval.money import defaults, device_price
from eval.terminal import table
from finetune import plan
from finetune.mistakes import BadInput
from finetune.plan import GIB, Device, Fit, Sheet
from finetune.recipe import Recipe
from finetune.recipe.engine_choice import undecided

USUAL = 1024  # tokens of a sheet at least, as finetune.train has it
Took = tuple[float | None, float | None, float | None]  # device seconds: tuning, exam, exam at the limit of its answers


@dataclass(frozen=True)
class Wish:
    """The machine that is asked about."""

    device: Device
    devices: int


def show(recipe: Recipe, benchmark: Benchmark, wish: Wish | None, out: Path) -> Iterator[RenderableType]:
    """Tables and advice, one after another. What has no plan says why in one line."""
    loads = []
    for name, contender in recipe.contenders.items():
        if contender.items:
            yield Text(f"{name}: nothing is asked, its answers are read from {contender.items}")
            continue
        if contender.served:
            yield served(recipe, benchmark, name, out)
            continue
        try:
            loads.append(read_load(recipe, benchmark, name, out))
        except BadInput as fault:
            yield Text(f"{name}: no plan of its cost: {fault}", style="yellow")
    fits = {load.name: _fit(recipe, load, wish) for load in loads if load.contender.method}
    if fits:
        yield _memory_table(recipe, loads, fits, wish)
    if wish is None:
        yield Text(f"Hours, money, launch: --device NAME [--devices N], of {', '.join(plan.shelf())}")
    else:
        yield from _cost(recipe, loads, wish)
        yield Text(_said_engine(recipe, benchmark, loads), style="dim")
        yield from _advice(recipe, loads, fits, wish)
    for each in defaults.taken(recipe, time.time()):
        yield Text(defaults.said(each, recipe.costs.currency)[0], style="yellow" if each.stale else "dim")
    for seen in (probed(recipe, out), measured(out)):
        if seen is not None:
            yield seen


def _fit(recipe: Recipe, load: Load, wish: Wish | None) -> Fit:
    """Under the wish; without one, on a device with room for anything."""
    devices = wish.devices if wish else 1
    sheet = _sheet(recipe, load, devices)
    device = wish.device if wish else Device(name="any", memory_gib=1e6)
    return plan.fit(load.shape, share(recipe, load), load.base, sheet, device, devices)


def _sheet(recipe: Recipe, load: Load, devices: int) -> Sheet:
    """The largest forward pass: as the loop makes it on an accelerator, all of it like the row with most targets."""
    knobs, longest = recipe.train, math.ceil(max(load.lengths))
    share = -(-knobs.tokens_per_step // devices)
    tokens = max(longest, min(max(USUAL, knobs.max_length), share))
    return Sheet(tokens, longest, knobs.checkpointing, knobs.packing, math.ceil(tokens * load.densest), load.labels)


def _memory_table(recipe: Recipe, loads: Iterable[Load], fits: dict[str, Fit], wish: Wish | None) -> Table:
    where = f"{wish.devices} x {wish.device.name}" if wish else "an accelerator"
    sizes = "trained", "weights", "state", "activations", "logits", "total", "longest row"
    heads = (*sizes[:-1], "fits", sizes[-1]) if wish else (*sizes[:-1], "held by one")
    shown = table(f"Memory of tuning on {where}, GiB of each", "contender", *heads, numbers=sizes)
    shown.caption = (
        "the formula meets 20 published peaks from 8 % below to 24 % above; this engine on a GPU is unmeasured: --probe"
    )
    shown.caption_justify = "left"
    for load in loads:
        if load.name in fits:
            shown.add_row(*_memory_row(recipe, load, fits[load.name], wish))
    return shown


def _memory_row(recipe: Recipe, load: Load, fit: Fit, wish: Wish | None) -> Iterator[str]:
    parts, trained = fit.memory, share(recipe, load).parameters
    yield load.name
    yield f"{trained / 1e6:.1f} M"
    for each in (parts.weights, parts.state, parts.activations, parts.logits, parts.total):
        yield f"{each / GIB:.1f}"
    if wish is None:
        yield _smallest(parts.total)
    else:
        yield f"[red]{fit.said}[/]" if fit.launch == "none" else fit.said
        yield f"{fit.largest}"


def _smallest(needed: float) -> str:
    """The device of the shelf with the least memory that is enough."""
    enough = [(d.memory_gib, name) for name, d in plan.shelf().items() if d.memory_gib * GIB >= needed]
    return f"{min(enough)[1]} or larger" if enough else "no one device"


def _cost(recipe: Recipe, loads: Sequence[Load], wish: Wish) -> Iterator[RenderableType]:
    """Two tables, since one of both would leave a terminal of 80 columns no room for names."""
    device = wish.device
    took = {load.name: seconds(recipe, load, device) for load in loads}
    tuning, exam = (sum(each[at] or 0 for each in took.values()) for at in (0, 1))
    if any(load.runs for load in loads):
        yield _tuning_table(recipe, loads, took, wish)
    yield _exam_table(recipe, loads, took, wish)
    if device.tflops is None:
        yield Text(f"{device.name}: its speed is not on the shelf; give a file with `tflops` and `bandwidth`", "yellow")
    elif exam > tuning:
        yield Text(
            "The exam costs more than the tuning: lower exam.samples, decoding.max_new_tokens or the tasks first."
        )
    if said := _said_answers(loads):
        yield Text(said, style="dim")
    yield Text(_said_price(recipe, device) + _said_lengths(loads), style="dim")


def _tuning_table(recipe: Recipe, loads: Sequence[Load], took: Mapping[str, Took], wish: Wish) -> Table:
    counted = "tokens", "hours", "price"
    shown = _money_table("tuning", counted, wish)
    price = _price(recipe, wish.device)
    for load in (load for load in loads if load.runs):
        tokens = _count(len(load.runs) * recipe.train.epochs * sum(load.lengths))
        shown.add_row(load.name, tokens, *_hours(took[load.name][0], wish, recipe, price))
    shown.add_row("all", "", *_hours(sum(each[0] or 0 for each in took.values()), wish, recipe, price))
    return shown


def _exam_table(recipe: Recipe, loads: Sequence[Load], took: Mapping[str, Took], wish: Wish) -> Table:
    counted = "tokens read", "written", "hours", "price", "at limit"
    shown = _money_table("the exam", counted, wish)
    price = _price(recipe, wish.device)
    for load in loads:
        read = _seeds(recipe, load) * sum(s.prompt_tokens for s in load.sittings)
        answers = _seeds(recipe, load) * sum(s.answers * s.written for s in load.sittings)
        _, sit, most = took[load.name]
        hours, at_limit = _hours(sit, wish, recipe, price), _hours(most, wish, recipe, price)[0]
        shown.add_row(load.name, _count(read), _most(load) + _count(answers), *hours, at_limit)
    shown.add_row("all", "", "", *_hours(sum(each[1] or 0 for each in took.values()), wish, recipe, price), "")
    return shown


def _money_table(what: str, counted: Sequence[str], wish: Wish) -> Table:
    title = f"Time and money of {what} on {wish.devices} x {wish.device.name}"
    return table(title, "contender", *counted, numbers=counted)


def _seeds(recipe: Recipe, load: Load) -> int:
    return len(recipe.seeds(load.name))


def _hours(each: float | None, wish: Wish, recipe: Recipe, price: tuple[float, str] | None) -> tuple[str, str]:
    """Of the wall clock, and the price of all devices; a dash where nothing is known or done."""
    if each is None:
        return "-", "-"
    costs = recipe.costs.model_copy(update={"gpu_hour": price[0] if price else 0})
    money = f"{device_price(each, costs):,.2f} {price[1]}" if price else "-"
    return f"{each / 3600 / wish.devices:,.2f}", money


def _price(recipe: Recipe, device: Device) -> tuple[float, str] | None:
    """Of a device hour: the recipe's own before the shelf's."""
    if recipe.costs.gpu_hour:
        return recipe.costs.gpu_hour, recipe.costs.currency
    return (device.price.hour, device.price.currency) if device.price else None


def _said_price(recipe: Recipe, device: Device) -> str:
    said = f"{plan.MFU:.0%} of the peak assumed for arithmetic: hours may be off by half. "
    if recipe.costs.quote:
        return said
    if recipe.costs.gpu_hour:
        return f"{said}Price: costs.gpu_hour of the recipe. "
    price = device.price
    return (
        f"{said}Price: {price.source}, {price.date}; give costs.gpu_hour. "
        if price
        else f"{said}No price: give costs.gpu_hour. "
    )


def _said_lengths(loads: Sequence[Load]) -> str:
    guessed = [load.name for load in loads if not load.counted]
    return f"Tokens guessed from characters (within 15 %): {', '.join(guessed)}." if guessed else "Tokens counted."


def _most(load: Load) -> str:
    """The mark of an upper bound, before what is written in the exam."""
    return "≤ " if load.answer and load.answer.told == "limit" else ""


def _said_answers(loads: Sequence[Load]) -> str:
    """How long answers are foretold to be, and from what; empty where none is written."""
    alike: dict[str, list[str]] = {}
    for load in loads:
        if load.answer:
            alike.setdefault(load.answer.said, []).append(load.name)
    each = "; ".join(f"{', '.join(names)} {said}" for said, names in alike.items())
    bound = " ≤: at most; hours and price count every answer at its limit." if any(map(_most, loads)) else ""
    return f"Tokens written: {each}.{bound}" if each else ""


def _said_engine(recipe: Recipe, benchmark: Benchmark, loads: Sequence[Load]) -> str:
    """By whose figures the exam's hours are, and what that means where another engine runs a contender."""
    said = "Exam hours are of engine hf (transformers)"
    named = ", ".join(load.name for load in loads if load.contender.vllm)
    open_yet = ", ".join(load.name for load in loads if undecided(load.contender))
    if open_yet and not forbidden(recipe, benchmark):
        unasked = f"on CUDA, where vLLM is installed, {open_yet}"
        named = f"{named}; {unasked}" if named else unasked
    if not named:
        return f"{said}."
    options = any(task.protocol == "likelihood" for task in benchmark.asked)
    slower = "; options by likelihood may take vLLM longer" if options else ""
    return f"{said}: of what vLLM runs ({named}), which has been timed on no accelerator, an upper bound{slower}."


def _count(tokens: float) -> str:
    if not tokens:
        return "-"
    return f"{tokens / 1e6:.1f} M" if tokens >= 1e5 else f"{tokens:.0f}"


def _advice(recipe: Recipe, loads: Sequence[Load], fits: dict[str, Fit], wish: Wish) -> Iterator[Text]:
    for load in loads:
        fit = fits.get(load.name)
        if fit is None:
            continue
        if fit.launch == "none":
            sheet = _sheet(recipe, load, wish.devices)
            ways = plan.remedies(load.shape, share(recipe, load), load.base, sheet, wish.device)
            remedy = "; or ".join(ways) or "no setting of this method does; take a larger device or a smaller model"
            yield Text(f"{load.name} does not fit on {wish.device.name}: {remedy}", style="red")
        elif fit.launch == "ddp":
            yield Text(f"{load.name}: the whole base fits on each device, so divide rows, not weights: {fit.said}")
        elif fit.launch == "fsdp":
            yield Text(
                f"{load.name}: the base fits on no device whole, so divide it over {wish.devices}: {fit.said}; where "
                f"machines run DeepSpeed launch/zero3.yaml divides the same weights (not for method.dora)"
            )
    for load in loads:
        single = [s for s in load.sittings if s.written and s.rows == 1 and s.answers > 1]
        if single:
            yield Text(
                f"{load.name}: exam.batch_tokens {recipe.exam.batch_tokens} leaves room for one answer at a time "
                f"(of {load.answer.said if load.answer else 'unknown length'}); this device's memory would "
                f"take {_roomiest(load, wish):,} tokens", style="yellow",
            )  # fmt: skip


def _roomiest(load: Load, wish: Wish) -> int:
    """Tokens of cache beside the weights, to a power of two below."""
    left = wish.device.memory_gib * GIB - plan.CONTEXT - plan.weight_bytes(load.shape, load.base) * 1.08
    tokens = max(0, int(left / plan.cache_bytes(load.shape, load.base) / 1.08))
    return 1 << (tokens.bit_length() - 1) if tokens else 0
