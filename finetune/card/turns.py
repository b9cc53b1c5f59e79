"""Turns: the conversation of a training record in each of the usual shapes."""

from collections.abc import Callable
from typing import Any

from finetune.card.question import Message
from finetune.card.records import BadCard

ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
Value = Callable[[str], Any]  # what the column for a part (prompt, messages, ...) holds
Text = Callable[[str], str]


def turns(shape: str, value: Value, text: Text, place: str) -> tuple[Message, ...]:
    """The conversation of one record. BadCard: no last word of the assistant, or an empty turn."""
    if shape == "prompt_completion":
        found = _exchange(text("prompt"), text("completion"))
    elif shape == "alpaca":
        found = _alpaca(value, text, place)
    else:
        who, what = ("from", "value") if shape == "sharegpt" else ("role", "content")
        found = _listed(value("messages"), who, what, place)
    if not found or found[-1].role != "assistant":
        raise BadCard(f"{place}: the last turn is not the assistant's, so nothing is to be learnt; complete it")
    empty = [turn.role for turn in found if not turn.content.strip()]
    if empty:
        raise BadCard(f"{place}: the turn of the {empty[0]} is empty; complete or remove the record")
    return tuple(found)


def _listed(given: Any, who: str, what: str, place: str) -> list[Message]:
    if not isinstance(given, list) or not all(isinstance(turn, dict) and {who, what} <= set(turn) for turn in given):
        raise BadCard(f"{place}: the conversation is no list of {{{who}, {what}}}; correct columns.messages or shape")
    for turn in given:
        if turn[who] not in ROLES or not isinstance(turn[what], str):
            raise BadCard(f"{place}: a turn with {who} {turn[who]!r} cannot be read; text by {', '.join(ROLES)} can")
    return [Message.model_validate({"role": ROLES[turn[who]], "content": turn[what]}) for turn in given]


def _alpaca(value: Value, text: Text, place: str) -> list[Message]:
    system, history = text("system"), value("history") or []
    if not isinstance(history, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in history):
        raise BadCard(f"{place}: history is no list of [user, assistant] pairs; correct columns.history")
    found = [Message(role="system", content=system)] if system else []
    for user, assistant in history:
        found += _exchange(str(user), str(assistant))
    return found + _exchange("\n".join(filter(None, (text("instruction"), text("input")))), text("output"))


def _exchange(user: str, assistant: str) -> list[Message]:
    return [Message(role="user", content=user), Message(role="assistant", content=assistant)]
