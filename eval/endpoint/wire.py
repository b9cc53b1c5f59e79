"""The wire: a question as a request of OpenAI's protocol, and its reply as what was said.

Each sample is a request of its own with its own seed: what `n` means differs between servers, and some ignore it.
Stop strings end an answer, never a thought, and a server cannot tell the two apart: they are sent only where the model
has no thoughts, and applied here in every case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from eval.extract.thought import CLOSE, OPEN, split
from finetune.chat import FAMILIES, Chat
from finetune.recipe import Contender, OpenAI

MOST_TOKENS = 2**40  # of a reply; a count beyond is none, and no column holds it
MOST_STOPS = 4  # that OpenAI's protocol allows
FINISHES: dict[str, Literal["stop", "length", "filter"]] = {
    "stop": "stop", "eos": "stop", "tool_calls": "stop", "length": "length", "content_filter": "filter",
}  # fmt: skip
Prompt = str | tuple[int, ...]  # the user's turn for messages; our rendering as text or as ids


@dataclass(frozen=True)
class Said:
    """What a server answered."""

    text: str  # as it came; a thought that came apart is put before it, in its tags
    thinking: str
    answer: str  # empty where the thought was left open
    closed: bool  # no thought was left open
    finish: Literal["stop", "length", "filter"]
    tokens_in: int
    tokens_thinking: int  # as the server counts them; without its count by our tokenizer, else by share of characters
    tokens_out: int  # thought included
    counted: Literal["text", "server"]  # tokens_out: by our tokenizer, of the text; or by the server, as it is paid
    model: str  # as the server names it
    fingerprint: str  # of the server's system
    given: int = 0  # tokens that were handed to the model, to close its thought


def request(
    contender: Contender, engine: OpenAI, prompt: Prompt, seed: int, until: Sequence[str] = (), most: int | None = None
) -> dict[str, Any]:
    """The body of one request, after the contender's decoding; for `most` tokens, where that is less."""
    body: dict[str, Any] = {"model": engine.model, "max_tokens": most or contender.model.decoding.max_new_tokens}
    body |= _drawing(contender, engine, seed) | engine.body
    if until and _thoughtless(contender):
        body["stop"] = list(until)[:MOST_STOPS]
    if engine.api == "chat":
        return body | {"messages": [{"role": "user", "content": prompt}]}
    return body | {"prompt": list(prompt) if isinstance(prompt, tuple) else prompt}


def _drawing(contender: Contender, engine: OpenAI, seed: int) -> dict[str, Any]:
    """How the answer is to be drawn; nothing that says no more than the protocol's default."""
    how = contender.model.decoding
    if engine.sampling == "server":
        return {}
    body: dict[str, Any] = {"temperature": how.temperature, "seed": seed}
    if how.temperature:
        body |= {"top_p": how.top_p} if how.top_p < 1 else {}
        body |= {"top_k": how.top_k} if how.top_k else {}
    return body


def read(found: Any, chat: Chat | None, prompt: Prompt) -> Said:
    """What a reply says. ValueError: it is not whole, or counts no tokens.

    `chat` is our rendering where it was sent, `prompt` what was sent.
    """
    choice, usage = _choice(found), _mapping(found.get("usage"))
    finish = FINISHES.get(str(choice.get("finish_reason")))
    if finish is None:
        raise ValueError(f"finish_reason {choice.get('finish_reason')!r}: not ended by the model")
    text, thinking, answer, closed = _spoken(choice, chat)
    tokens_in = usage.get("prompt_tokens", len(prompt) if isinstance(prompt, tuple) else None)
    tokens_out = usage.get("completion_tokens", len(chat.encode(text)) if chat else None)
    by: Literal["text", "server"] = "server" if "completion_tokens" in usage else "text"
    if not _count(tokens_in) or not _count(tokens_out):
        raise ValueError("the reply counts no tokens (usage)")
    thought = _mapping(usage.get("completion_tokens_details")).get("reasoning_tokens")
    if not _count(thought) or not thought:
        thought = len(chat.encode(thinking)) if chat else _share(thinking, answer, tokens_out)
    said, system = (_text(str(found.get(key) or ""))[:100] for key in ("model", "system_fingerprint"))
    thought = min(thought, tokens_out)
    return Said(text, thinking, answer, closed, finish, tokens_in, thought, tokens_out, by, said, system)


def filtered(refusal: str) -> Said | None:
    """The answer that a refusal stands for, where the server's filter took offence at a question; None otherwise."""
    if not re.search("content[ _](exists risk|filter|policy|management)|data_inspection", refusal, re.I):
        return None
    return Said("", "", "", True, "filter", 0, 0, 0, "text", "", "")


def _choice(found: Any) -> Mapping[str, Any]:
    choices = found.get("choices") if isinstance(found, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        told = found.get("error") if isinstance(found, dict) else None
        raise ValueError(f"no choice in the reply{f' ({told})' if told else ''}")
    return dict(choices[0])


def _spoken(choice: Mapping[str, Any], chat: Chat | None) -> tuple[str, str, str, bool]:
    """(text, thought, answer, closed)."""
    if chat is not None:
        text = _text(choice.get("text"))
        reply = chat.split(text)
        return text, reply.thinking, reply.answer, reply.closed
    message = choice.get("message")
    if not isinstance(message, dict):
        raise ValueError("no message in the reply")
    content = _text(message.get("content") or "")
    thought = _text(message.get("reasoning_content") or message.get("reasoning") or "")
    if not thought:
        return content, *split(content)
    _, answer, closed = split(content)
    closed = closed and bool(answer.strip())
    text = f"{OPEN}\n{thought}\n{CLOSE}\n\n{content}" if closed else f"{OPEN}\n{thought}{content}"
    return text, thought, answer if closed else "", closed


def _text(found: Any) -> str:
    """Half a surrogate pair, which JSON can spell and no file can hold, becomes the sign for what cannot be read."""
    if not isinstance(found, str):
        raise ValueError("no text in the reply")
    return re.sub("[\ud800-\udfff]", "\ufffd", found)


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _count(found: Any) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and 0 <= found < MOST_TOKENS


def _share(thinking: str, answer: str, tokens: int) -> int:
    whole = len(thinking) + len(answer)
    return round(tokens * len(thinking) / whole) if whole else 0


def _thoughtless(contender: Contender) -> bool:
    family = FAMILIES.get(contender.model.family)
    return family is not None and OPEN not in family.markers
