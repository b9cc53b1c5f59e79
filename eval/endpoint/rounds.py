"""Rounds: an answer whose thought has a budget, in as many requests as that takes: no field of the protocol ends a
thought alone.

The first request ends where the budget does. A thought that is open there is closed as `engine: hf` closes it, by the
same `Answer`, and the second goes on behind that; what has closed by itself goes on as it stands. A reply is text: its
ids are those that our tokenizer gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from eval.answer import Answer
from eval.endpoint.wire import Said
from finetune.chat import Chat
from finetune.recipe import Contender

Ask = Callable[[tuple[int, ...], int, int], tuple[Said, float]]  # what is written, round, most tokens -> said, seconds
MOST = 4  # rounds: a model that opens its thought again and again would be paid for without end
TORN = "\ufffd"  # for a character of which a limit cut a part off


def in_rounds(chat: Chat, contender: Contender, until: Sequence[str], ask: Ask) -> tuple[Said, float]:
    """The answer, and its share of the seconds; tokens and seconds are of all rounds, also of what was cut off."""
    most, budget = contender.model.decoding.max_new_tokens, contender.model.decoding.thinking_tokens
    answer, told, seconds = Answer(chat, until, budget), list[Said](), 0.0
    while True:
        before, given = chat.decode(answer.ids), answer.given
        said, took = ask(tuple(answer.ids), len(told), _asked(answer, most, first=not told))
        told, seconds = [*told, said], seconds + took
        ids, more = _tokens(chat, said)
        most -= more
        if len(told) < MOST and said.finish != "filter" and _goes_on(answer, ids, more, most):
            continue
        if answer.given > given:  # the limit left no room behind what closes the thought
            before, given, told[-1] = chat.decode(answer.ids), answer.given, replace(said, text="", finish="length")
        return _joined(chat, before, given, told), seconds


def _asked(answer: Answer, most: int, *, first: bool) -> int:
    """Tokens of the next round: to the end of a thought's budget, and the one after it, which may close the thought by
    itself, as may the one before it open it."""
    left = most - len(answer.ids)
    if answer.thinking is None or not (first or answer.begin is None):
        return left
    return min(left, max(0, answer.thinking - answer.thought) + 1 + (answer.begin is not None))


def _tokens(chat: Chat, said: Said) -> tuple[list[int], int]:
    """What was said as ids, the one that ended it included, and how many more the server wrote: those that it cut may
    be other ones, or part of a character."""
    cut = said.finish == "length"
    ids = chat.tokenizer.encode(said.text.rstrip(TORN) if cut else said.text, add_special_tokens=False).ids
    more = said.tokens_out - len(ids) if cut and said.counted == "server" else 0
    return ids if cut else [*ids, chat.eos], max(0, more)


def _goes_on(answer: Answer, ids: Sequence[int], more: int, most: int) -> bool:
    """Whether another round follows, what was said taken in up to where it does. `more` tokens are of the thought that
    is open; without any, the one after a budget's last is still to come, and may close it."""
    state = answer.take(ids, most)
    if state == "on" and answer.begin is None and more:
        answer.thought += more
        if answer.spent:
            state = answer.take([answer.chat.eos], most)
    return state != "ended" and len(answer.ids) < most


def _joined(chat: Chat, before: str, given: int, told: Sequence[Said]) -> Said:
    """One answer of all rounds: the last one's text behind what is kept of those before it."""
    if len(told) == 1 and not before:
        return told[0]
    text, server = before + told[-1].text, told[0].counted == "server"
    reply, wrote = chat.split(text), sum(each.tokens_out for each in told) if server else len(chat.encode(text))
    return replace(
        told[0], text=text, thinking=reply.thinking, answer=reply.answer, closed=reply.closed, finish=told[-1].finish,
        tokens_in=sum(each.tokens_in for each in told), tokens_thinking=min(reply.thinking_tokens, wrote),
        tokens_out=wrote, given=given,
    )  # fmt: skip
