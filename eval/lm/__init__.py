"""The scorer behind lm-eval's model interface: options after a prompt that is run once, answers drawn row by row.

What prompts share is run once for all of them (`eval.lm.context`), a prompt once for all its options and samples, and
the output head (the larger part of a small model with a large vocabulary) at answer positions only. Works with unmerged
LoRA, the in-layer prefix and P-Tuning v1. Equal to lm-eval's own HF model within 1e-5 + 1e-6 |ll| in float32, and in
bfloat16, where either is off by rounding, within 0.1 + 0.01 |ll| on the tiny models of tests/test_lm.py.
"""

from __future__ import annotations

from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from eval.items import cut, draw_seed
from eval.lm.draw import Sampling
from eval.lm.generate import write
from eval.lm.options import Choice, Likelihood, likelihoods
from finetune.chat import Chat
from finetune.product import adopt

__all__ = ["Choice", "Likelihood", "SharedPromptLM", "encode", "likelihoods"]


class SharedPromptLM(LM):
    """lm-eval's model interface over a local transformers model (bare, LoRA or prefix) and its chat.

    For a family with a chat a context is the user's turn; family `plain` continues the context as it stands.
    """

    def __init__(self, model: Any, chat: Chat, *, batch_tokens: int = 8192) -> None:
        super().__init__()
        adopt(model)
        self.model, self.chat, self.batch_tokens = model.eval(), chat, batch_tokens

    def loglikelihood(self, requests: list[Instance]) -> list[Likelihood]:
        """(log-likelihood, greedy) of each request's (context, continuation)."""
        pairs = [encode(self.chat, *request.args) for request in requests]
        places: dict[tuple[int, ...], list[int]] = {}
        for place, (prompt, _) in enumerate(pairs):
            places.setdefault(prompt, []).append(place)
        choices = [Choice(prompt, tuple(pairs[place][1] for place in at)) for prompt, at in places.items()]
        scores = [one for scores in likelihoods(self.model, choices, self.batch_tokens) for one in scores]
        found = dict(zip([place for at in places.values() for place in at], scores, strict=True))
        return [found[place] for place in range(len(requests))]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Log-likelihood of whole texts, each token once, in windows of the model's length or `batch_tokens`."""
        longest = min(self.model.config.max_position_embeddings, self.batch_tokens)
        totals = []
        for request in requests:
            ids = self.chat.encode(request.args[0])
            windows = map(make_disjoint_window, get_rolling_token_windows(ids, self.chat.eos, longest, 1))
            choices = [Choice(tuple(prompt), (tuple(rest),)) for prompt, rest in windows]
            scores = likelihoods(self.model, choices, self.batch_tokens)
            totals.append(sum(total for ((total, _),) in scores))
        return totals

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """The answer to each request's (context, generation settings), without thought and stop strings."""
        alike: dict[tuple[Sampling, tuple[str, ...]], list[int]] = {}
        for place, request in enumerate(requests):
            alike.setdefault(_asked(request.args[1]), []).append(place)
        answers: dict[int, str] = {}
        for (how, until), places in alike.items():
            contexts = [requests[place].args[0] for place in places]
            prompts = [self.chat.prompt([{"role": "user", "content": context}]) for context in contexts]
            seeds = [draw_seed(0, context, place) for context, place in zip(contexts, places, strict=True)]
            found = write(self.model, self.chat, prompts, seeds, how, until, self.batch_tokens)
            for place, written in zip(places, found, strict=True):
                answers[place] = cut(self.chat.split(written.ids).answer, until)
        return [answers[place] for place in range(len(requests))]


def _asked(settings: dict[str, Any]) -> tuple[Sampling, tuple[str, ...]]:
    """lm-eval's generation settings: how to draw, and the strings that end an answer."""
    until = settings.get("until") or []
    how = Sampling(
        temperature=settings.get("temperature", 1.0) if settings.get("do_sample") else 0.0,
        top_p=settings.get("top_p", 1.0),
        top_k=settings.get("top_k", 0),
        max_new_tokens=settings.get("max_gen_toks", 256),
    )
    return how, (until,) if isinstance(until, str) else tuple(until)


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
