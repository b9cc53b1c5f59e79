"""Options after a prompt: the prompt is run once, and behind its keys and values all options as branches of one line.

A line is the prompt's last token and, side by side, each option without its last token; a branch sees the prompt and
itself. So every column of a line is an answer position, and the output head is applied there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eval.lm.budget import Budget
from eval.lm.context import Context, Grid, behind, one_row_of, read, shared_header
from finetune.mistakes import BadInput

HEAD_POSITIONS = 512  # answer positions in one forward: with 152k tokens their float32 logits take 0.3 GB
Likelihood = tuple[float, bool]  # log-likelihood in nats, and whether greedy decoding would write the option


@dataclass(frozen=True)
class Choice:
    """A prompt and the options that may follow it, all as ids (at least one each)."""

    prompt: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not self.prompt or not all(self.options):
            raise BadInput("a prompt or an option has no token; an empty option cannot be scored")

    @property
    def tokens(self) -> int:
        return len(self.prompt) + sum(map(len, self.options))


@dataclass(frozen=True)
class _Line:
    """Some options of a choice, which is the batch's `row`-th."""

    row: int
    prompt: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]

    @property
    def width(self) -> int:
        return 1 + sum(len(option) - 1 for option in self.options)


def likelihoods(model: Any, choices: Sequence[Choice], tokens: int) -> list[list[Likelihood]]:
    """(log-likelihood, greedy) of every option of every choice, `tokens` in one forward."""
    found: dict[int, list[Likelihood]] = {}
    for batch, scores in scored(model, choices, Budget(tokens)):
        found |= dict(zip(batch, scores, strict=True))
    return [found[place] for place in range(len(choices))]


def scored(model: Any, choices: Sequence[Choice], budget: Budget) -> Iterator[tuple[list[int], list[list[Likelihood]]]]:
    """The same batch by batch: (indices, what their options come to). What all prompts begin with is run once."""
    prompts = [choice.prompt for choice in choices]
    length, header = shared_header(prompts), None
    while length and header is None:
        header = budget.within(lambda: read(model, [prompts[0][:length]], budget.tokens))
    lengths = [choice.tokens - length - len(choice.options) for choice in choices]
    most = one_row_of(length) if header else None

    def work(batch: Sequence[int]) -> list[list[Likelihood]]:
        return _batch(model, [choices[place] for place in batch], budget.tokens, header)

    yield from budget.batches(lengths, most, work)


@torch.inference_mode()
def _batch(model: Any, choices: Sequence[Choice], tokens: int, header: Context | None) -> list[list[Likelihood]]:
    skip = header.seen.shape[1] if header else 0
    context = read(model, [choice.prompt[skip:-1] for choice in choices], tokens, header)
    found: list[list[Likelihood]] = [[] for _ in choices]
    for group in _groups(choices, min(HEAD_POSITIONS, tokens)):
        part = context.part(group[0].row, group[-1].row + 1)
        for line, scores in zip(group, _branches(model, part, group, min(HEAD_POSITIONS, tokens)), strict=True):
            found[line.row] += scores
    return found


def _groups(choices: Sequence[Choice], positions: int) -> Iterator[list[_Line]]:
    """Lines of neighbouring choices of which together no more than `positions` are answered, unless it is a single
    option; a choice too wide for that stands alone, some of its options in each line."""
    group: list[_Line] = []
    for row, choice in enumerate(choices):
        line = _Line(row, choice.prompt, choice.options)
        if group and max(line.width, *(one.width for one in group)) * (len(group) + 1) > positions:
            yield group
            group = []
        if line.width <= positions:
            group.append(line)
        else:
            yield from ([part] for part in _split(line, positions))
    if group:
        yield group


def _split(line: _Line, positions: int) -> Iterator[_Line]:
    options: list[tuple[int, ...]] = []
    for option in line.options:
        if options and _Line(line.row, line.prompt, (*options, option)).width > positions:
            yield _Line(line.row, line.prompt, tuple(options))
            options = []
        options.append(option)
    yield _Line(line.row, line.prompt, tuple(options))


def _branches(model: Any, context: Context, lines: Sequence[_Line], positions: int) -> list[list[Likelihood]]:
    if lines[0].width > positions:  # a single option, longer than its logits have room for
        return [[_piecewise(model, context, lines[0], positions)]]
    logits = behind(model, context, _grid(lines, model.device))
    return [_read_off(line, row.float()) for line, row in zip(lines, logits, strict=True)]


def _grid(lines: Sequence[_Line], device: Any) -> Grid:
    """The prompt's last token (branch 0), the options' (1, 2, ...), and padding, a branch a token."""
    width = max(line.width for line in lines)
    ids, places, branches = [], [], []
    for line in lines:
        bodies, pad = [option[:-1] for option in line.options], width - line.width
        start = len(line.prompt)
        ids.append([line.prompt[-1], *(token for body in bodies for token in body), *[0] * pad])
        places.append([start - 1, *(start + i for body in bodies for i in range(len(body))), *[0] * pad])
        marks = [number for number, body in enumerate(bodies, 1) for _ in body]
        branches.append([0, *marks, *range(len(bodies) + 1, len(bodies) + 1 + pad)])
    branch = torch.tensor(branches, device=device)
    same = branch[:, :, None] == branch[:, None]
    below = torch.ones(width, width, dtype=torch.bool, device=device).tril()
    return Grid(
        torch.tensor(ids, device=device),
        torch.tensor(places, device=device),
        (same | (branch == 0)[:, None]) & below,
    )


def _read_off(line: _Line, logits: Tensor) -> list[Likelihood]:
    """What each option of a line comes to; its first token is judged behind the prompt's last one."""
    norm, best = logits.logsumexp(dim=-1), logits.argmax(dim=-1)
    columns: list[int] = []
    wanted: list[int] = []
    start = 1
    for option in line.options:
        columns += [0, *range(start, start + len(option) - 1)]
        wanted += option
        start += len(option) - 1
    logprobs = (logits[columns, wanted] - norm[columns]).tolist()
    greedy = [said == token for said, token in zip(best[columns].tolist(), wanted, strict=True)]
    found, begin = [], 0
    for option in line.options:
        end = begin + len(option)
        found.append((sum(logprobs[begin:end]), all(greedy[begin:end])))
        begin = end
    return found


def _piecewise(model: Any, context: Context, line: _Line, positions: int) -> Likelihood:
    """One long option, so many of its tokens at a time, each piece behind those before it."""
    (option,), prompt, context = line.options, line.prompt, context.alone(0)
    whole, greedy = 0.0, True
    for begin in range(0, len(option), positions):
        piece = option[begin : begin + positions]
        ((part, agrees),) = _branches(model, context, [_Line(0, prompt, (piece,))], positions)[0]
        whole, greedy = whole + part, greedy and agrees
        context = read(model, [(prompt[-1], *piece[:-1])], positions, context)
        prompt = (*prompt, *piece)
    return whole, greedy
