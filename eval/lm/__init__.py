"""The scorer behind lm-eval's model interface: options after a prompt that is run once, answers drawn row by row.

The prompt's keys and values are computed once for all its options, and the output head (the larger part of a small
model with a large vocabulary) is applied at answer positions only. Works with unmerged LoRA and the in-layer prefix;
equal to lm-eval's own HF model within 1e-5 + 1e-6 |ll| in float32 (tests/test_lm.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from eval.items import cut, draw_seed
from eval.lm.generate import Sampling, write
from eval.lm.prefill import Prefill, batches, prefill, right_padded
from finetune.chat import Chat
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


class SharedPromptLM(LM):
    """lm-eval's model interface over a local transformers model (bare, LoRA or prefix) and its chat.

    For a family with a chat a context is the user's turn; family `plain` continues the context as it stands.
    """

    def __init__(self, model: Any, chat: Chat, *, batch_tokens: int = 8192) -> None:
        super().__init__()
        self.model, self.chat, self.batch_tokens = model.eval(), chat, batch_tokens

    def loglikelihood(self, requests: list[Instance]) -> list[Likelihood]:
        """(log-likelihood, greedy) of each request's (context, continuation)."""
        pairs = [encode(self.chat, *request.args) for request in requests]
        places: dict[tuple[int, ...], list[int]] = {}
        for place, (prompt, _) in enumerate(pairs):
            places.setdefault(prompt, []).append(place)
        choices = [Choice(prompt, tuple(pairs[place][1] for place in at)) for prompt, at in places.items()]
        found = dict(zip([place for at in places.values() for place in at], self._scored(choices), strict=True))
        return [found[place] for place in range(len(requests))]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Log-likelihood of whole texts, each token once, in windows of the model's length or `batch_tokens`."""
        longest = min(self.model.config.max_position_embeddings, self.batch_tokens)
        totals = []
        for request in requests:
            ids = self.chat.encode(request.args[0])
            windows = map(make_disjoint_window, get_rolling_token_windows(ids, self.chat.eos, longest, 1))
            choices = [Choice(tuple(prompt), (tuple(rest),)) for prompt, rest in windows]
            totals.append(sum(total for total, _ in self._scored(choices)))
        return totals

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """The answer to each request's (context, generation settings), without thought and stop strings."""
        answers = []
        for number, request in enumerate(requests):
            context, asked = request.args
            until = [asked["until"]] if isinstance(asked.get("until"), str) else list(asked.get("until") or [])
            how = Sampling(
                temperature=asked.get("temperature", 1.0) if asked.get("do_sample") else 0.0,
                top_p=asked.get("top_p", 1.0),
                top_k=asked.get("top_k", 0),
                max_new_tokens=asked.get("max_gen_toks", 256),
            )
            prompt = self.chat.prompt([{"role": "user", "content": context}])
            (written,) = write(self.model, self.chat, [prompt], [draw_seed(0, context, number)], how, until)
            answers.append(cut(self.chat.split(written.ids).answer, until))
        return answers

    def _scored(self, choices: Sequence[Choice]) -> Iterator[Likelihood]:
        """Likelihoods of all options, choice after choice."""
        found: dict[int, list[Likelihood]] = {}
        for batch in batches([len(choice.prompt) for choice in choices], self.batch_tokens):
            scores = likelihoods(self.model, [choices[place] for place in batch], self.batch_tokens)
            found |= dict(zip(batch, scores, strict=True))
        for place in range(len(choices)):
            yield from found[place]


def encode(chat: Chat, context: str, continuation: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids of a prompt and of an option behind it.

    Family plain: encoded as one text and split where the context ends, its trailing space given to the option,
    as lm-eval does. Chat families: the option is what the model writes after the rendered prompt.
    """
    if chat.family != "plain":
        return tuple(chat.prompt([{"role": "user", "content": context}])), tuple(chat.encode(continuation))
    head, whole = chat.encode(context.rstrip()), chat.encode(context + continuation)
    if not head:
        head, whole = [chat.eos], [chat.eos, *whole]
    return tuple(head), tuple(whole[len(head) :])


@dataclass
class _Tally:
    """One option as it is scored: its first token is judged by the prompt's logits, the rest behind the cache."""

    row: int
    ids: tuple[int, ...]
    total: float = 0.0
    greedy: bool = True

    def add(self, logprobs: Sequence[float], greedy: bool) -> None:
        self.total += sum(logprobs)
        self.greedy &= greedy


@torch.inference_mode()
def likelihoods(model: Any, choices: Sequence[Choice], batch_tokens: int) -> list[list[Likelihood]]:
    """(log-likelihood, greedy) of every option of every choice. The prompts make one batch (see `batches`)."""
    start = prefill(model, [choice.prompt for choice in choices])
    tallies = [[_Tally(row, ids) for ids in choice.options] for row, choice in enumerate(choices)]
    flat = [tally for options in tallies for tally in options]
    first = start.logits.log_softmax(dim=-1)
    best = first.argmax(dim=-1).tolist()
    for tally, logprob in zip(flat, first[[t.row for t in flat], [t.ids[0] for t in flat]].tolist(), strict=True):
        tally.add([logprob], best[tally.row] == tally.ids[0])
    for part in _chunks([tally for tally in flat if len(tally.ids) > 1], start.mask.shape[1], batch_tokens):
        _behind_the_cache(model, start, part)
    return [[(tally.total, tally.greedy) for tally in options] for options in tallies]


def _chunks(tallies: Sequence[_Tally], cached: int, batch_tokens: int) -> Iterator[list[_Tally]]:
    """Options of like length together, within the token budget and the head's own."""
    for part in batches([cached + len(tally.ids) for tally in tallies], batch_tokens):
        width = max(len(tallies[i].ids) for i in part)
        rows = max(1, HEAD_POSITIONS // width)
        for begin in range(0, len(part), rows):
            yield [tallies[i] for i in part[begin : begin + rows]]


def _behind_the_cache(model: Any, start: Prefill, part: Sequence[_Tally]) -> None:
    """Score the options' later tokens: all but the last go in, all but the first are judged."""
    ids, real = right_padded([tally.ids[:-1] for tally in part], model.device)
    wanted, _ = right_padded([tally.ids[1:] for tally in part], model.device)
    logits = start.take([tally.row for tally in part]).advance(model, ids, real).float()
    logprobs = logits.gather(-1, wanted[..., None])[..., 0] - logits.logsumexp(dim=-1)
    agrees = (logits.argmax(dim=-1) == wanted) | (real == 0)
    for tally, row, greedy in zip(part, logprobs.tolist(), agrees.all(dim=1).tolist(), strict=True):
        tally.add(row[: len(tally.ids) - 1], greedy)
