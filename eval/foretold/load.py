"""A contender in tokens: its training rows, and every task as it will take it.

Lengths are guessed from characters, and set right on a sample of rows where the checkpoint's tokenizer is there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.benchmark import Benchmark
from eval.foretold.lengths import Length, written
from finetune import plan
from finetune.card import Row, ask, labels_of
from finetune.card.likeness import normalise
from finetune.chat import Chat
from finetune.methods import AnyMethod
from finetune.methods.tagging import BIO
from finetune.mistakes import BadInput
from finetune.plan import Base, Shape, Sitting
from finetune.recipe import Contender, Recipe, data_root
from finetune.recipe.shares import within

SAMPLE = 100  # rows whose tokens are counted, to set the guess of all right
FRAME = 12  # tokens of markers around a conversation


@dataclass(frozen=True)
class Load:
    """One contender in tokens."""

    name: str
    contender: Contender  # of a search, with the knobs of its largest trial
    runs: tuple[AnyMethod, ...]  # every training: a search's trials, then the seeds that take none over
    shape: Shape
    lengths: tuple[float, ...]  # of its training rows; empty where it is not tuned here
    targets: float  # share of those tokens with a loss
    densest: float  # the same of the row that has most: what a whole sheet may be like
    sittings: tuple[Sitting, ...]
    answer: Length | None  # of what is written; None where nothing is
    counted: bool  # lengths were set right by the tokenizer
    labels: int = 0  # of its classification head; 0 where it has none

    @property
    def base(self) -> Base:
        """How the frozen weights stand on an accelerator."""
        if self.contender.four_bit:
            return "nf4_double"
        return "float32" if self.contender.model.dtype == "float32" else "bfloat16"


def conversations(recipe: Recipe, name: str) -> Iterator[list[dict[str, str]]]:
    """Training conversations of a contender as its cards give them. BadInput where there are none."""
    for row in rows(recipe, name):
        yield [{"role": turn.role, "content": turn.content} for turn in row.conversation()]


def rows(recipe: Recipe, name: str) -> Iterator[Row]:
    """Training rows of a contender as its cards give them. BadInput where there are none."""
    found, share = False, recipe.contenders[name].data_share
    for row in _every(recipe, name):
        if within(normalise(row.asked), share):
            found = True
            yield row
    if not found:
        raise BadInput(f"data: the cards of {name} hold no training row{'' if share == 1 else ' in its data_share'}")


def read_load(recipe: Recipe, benchmark: Benchmark, name: str, out: Path) -> Load:
    shape, runs = recipe.contenders[name].model.sizes(), _runs(recipe, name)
    contender = recipe.contenders[name].model_copy(update={"method": runs[-1] if runs else None})
    frame, texts = contender.prompt, conversations(recipe, name) if contender.method else ()
    rows = [frame.wrap_last(turns) if frame else turns for turns in texts]
    guessed = [FRAME + sum(plan.guess_tokens(turn["content"]) for turn in turns) for turns in rows]
    answers = [plan.guess_tokens(turns[-1]["content"]) for turns in rows]
    if contender.head:  # the answer is no part of a row, and one state is scored
        guessed = [row - answer for row, answer in zip(guessed, answers, strict=True)]
        answers = guessed if contender.head == "token" else [1.0] * len(rows)
    right, counted = _correction(contender, rows, guessed)
    lengths = tuple(min(each * right, recipe.train.max_length) for each in guessed)
    targets = min(1.0, sum(answers) / max(sum(guessed), 1))
    densest = max((min(1.0, answer / row) for answer, row in zip(answers, guessed, strict=True)), default=0.0)
    answer = written(recipe, benchmark, name, out)
    sittings = tuple(_sittings(recipe, benchmark, contender, shape, right, answer))
    labels = 0 if contender.head is None else len(BIO if contender.head == "token" else labels_of(_every(recipe, name)))
    wrote = answer if any(sitting.written for sitting in sittings) else None
    return Load(name, contender, runs, shape, lengths, targets, densest, sittings, wrote, counted, labels)


def _every(recipe: Recipe, name: str) -> list[Row]:
    return [row for use in recipe.data_of(name) for row in use.card.rows(data_root(), use.split)]


def _runs(recipe: Recipe, name: str) -> tuple[AnyMethod, ...]:
    """Every training of a contender, the largest last: which trial wins is not known, so each seed counts as that."""
    chosen, seeds = recipe.contenders[name], len(recipe.seeds(name))
    if chosen.method is None:
        return ()
    tried = [recipe.settled(name, knobs).methods[name] for knobs in recipe.trials(name)]
    if not tried:
        return (chosen.method,) * seeds
    most = plan.largest(chosen.model.sizes(), tried)
    return (*(each for each in tried if each is not most), most, *[most] * (seeds - 1))


def _correction(
    contender: Contender, rows: Sequence[list[dict[str, str]]], guessed: Sequence[float]
) -> tuple[float, bool]:
    """Counted over guessed tokens on a sample of rows; 1 where the tokenizer is not there, or there are no rows."""
    step = max(1, len(rows) // SAMPLE)
    try:
        chat = Chat.open(contender.model.folder(), contender.model.family, contender.model.think)
        headed = contender.head is not None
        real = sum(len(chat.prompt(turns[:-1]) if headed else chat.example(turns).ids) for turns in rows[::step])
    except BadInput:
        return 1.0, False
    return (real / sum(guessed[::step]), True) if rows else (1.0, True)


def _sittings(
    recipe: Recipe, benchmark: Benchmark, contender: Contender, shape: Shape, right: float, answer: Length,
) -> Iterator[Sitting]:  # fmt: skip
    room = recipe.exam.batch_tokens * shape.held
    for task in benchmark.asked:
        asked = [contender.prompt.wrap(ask(row)) if contender.prompt else ask(row) for row in task.rows]
        tokens = right * sum(FRAME + plan.guess_tokens(text) for text in asked)
        if task.protocol == "likelihood" or contender.head:
            yield Sitting(len(asked), tokens, 0, 1)
            continue
        samples, each = recipe.exam.samples, answer.tokens
        rows = max(1, int(room // (tokens / len(asked) + each)))  # rows come in as others leave
        yield Sitting(samples * len(asked), tokens, each, rows)  # the samples of a question share its prompt
