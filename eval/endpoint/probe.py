"""The start probe: whether a server does what it is asked, found out before the exam is.

It is asked to invent something, so that a model that draws cannot well say the same four times. What it ignores is
refused with its remedy: an exam whose answers were drawn otherwise than the recipe says would compare something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from eval.endpoint.client import Client, Refused
from eval.endpoint.wire import Prompt, Said, read, request
from finetune.chat import Chat
from finetune.mistakes import BadInput
from finetune.recipe import Contender

INVENT = (
    "Note 7Q2-4418-kestrel. Invent a person of whom nobody has ever heard, with an unusual name, and tell in one "
    "paragraph what befell them on a day in 1931 in a town of your invention. 请尽量出人意料。"
)
TOKENS = 48
Form = Literal["messages", "ids", "text"]


@dataclass(frozen=True)
class Proof:
    """What a server was found to be and to do."""

    form: Form  # in which prompts are sent
    model: str  # as it names itself
    fingerprint: str
    seeds_repeat: bool | None  # whether a seed draws the same twice (no condition); None where nothing is drawn


def probe(client: Client, contender: Contender, chat: Chat | None, samples: int) -> Proof:
    """BadInput names what the server ignores. `samples` is how many answers the exam asks of each question."""
    asked = _Asked(client, _short(contender), chat)
    form, first = asked.form()
    how, where = contender.model.decoding, client.engine.host
    _refuse_echo(where, first)
    said = [first]
    if client.engine.sampling == "asked":
        greedy = asked.several({"temperature": 0.0}, seeds=(1, 2, 3))
        said += greedy
        if not _repeats(greedy):
            raise BadInput(
                f"{where}: at temperature 0 it gives another answer each time, so it ignores temperature; correct the "
                f"server, or say engine.sampling: server"
            )
    repeat = None
    if client.engine.sampling == "server" or how.temperature:
        drawn = asked.several({}, seeds=(1, 2, 3, 4, 1))
        said += drawn
        repeat = drawn[0].text == drawn[-1].text
        if len({each.text for each in drawn[:4]}) == 1 and (client.engine.sampling == "asked" or samples > 1):
            raise BadInput(
                f"{where}: four seeds give one answer at temperature {how.temperature:g}, so it draws nothing; correct "
                f"the server (transformers serve: do_sample in generation_config.json), or score greedily, samples: 1"
            )
        asked.refuse_ignored()
    _refuse_overlong(where, said)
    return Proof(form, said[-1].model, said[-1].fingerprint, repeat)


@dataclass
class _Asked:
    """The probe's question on its way to one server."""

    client: Client
    contender: Contender
    chat: Chat | None

    def __post_init__(self) -> None:
        self.prompt: Prompt = INVENT
        if self.chat is not None:
            self.prompt = tuple(self.chat.prompt([{"role": "user", "content": INVENT}]))

    def form(self) -> tuple[Form, Said]:
        """In which form the server takes prompts, and its first answer: our rendering as ids, or as text that it must
        read as the same number of tokens (a BOS of its own would be one too many)."""
        if self.chat is None:
            return "messages", self.once({}, 1)
        ids = self.chat.prompt([{"role": "user", "content": INVENT}])
        try:
            said, form = self.once({}, 1), "ids"
        except Refused as refusal:
            if refusal.status not in (400, 422):
                raise
            self.prompt = self.chat.decode(ids)
            said, form = self.once({}, 1), "text"
        refuse_misread(self.client.engine.host, said, len(ids))
        return ("ids" if form == "ids" else "text"), said

    def once(self, changes: Mapping[str, float], seed: int) -> Said:
        model = self.contender.model
        changed = model.model_copy(update={"decoding": model.decoding.model_copy(update=dict(changes))})
        contender = self.contender.model_copy(update={"model": changed})
        body = request(contender, self.client.engine, self.prompt, seed)
        found, _ = self.client.ask(body, lambda reply: read(reply, self.chat, self.prompt))
        assert isinstance(found, Said)
        return found

    def several(self, changes: Mapping[str, float], seeds: Sequence[int]) -> list[Said]:
        return [self.once(changes, seed) for seed in seeds]

    def refuse_ignored(self) -> None:
        """Where the decoding narrows the draw: at its narrowest that must leave one answer."""
        if self.client.engine.sampling == "server":
            return
        how, where, narrowest = self.contender.model.decoding, self.client.engine.host, {"top_p": 1e-6, "top_k": 1}
        for name, plain in (("top_p", 1.0), ("top_k", 0)):
            wide = {other: value for other, value in (("top_p", 1.0), ("top_k", 0)) if other != name}
            if getattr(how, name) != plain and not _repeats(self.several({**wide, name: narrowest[name]}, (1, 2, 3))):
                raise BadInput(
                    f"{where}: ignores {name} (at {narrowest[name]:g} it still draws); leave it out of "
                    f"model.decoding, or ask a server that knows it"
                )


def refuse_misread(where: str, said: Said, tokens: int) -> None:
    """BadInput: our rendering was read as another number of tokens."""
    if said.tokens_in != tokens:
        raise BadInput(
            f"{where}: reads {said.tokens_in} tokens where our rendering has {tokens}: it adds a BOS, or has another "
            f"tokenizer; name that checkpoint's own in contenders.model.id, or say engine.api: chat"
        )


def _short(contender: Contender) -> Contender:
    """The contender with answers of the probe's length."""
    model = contender.model
    decoding = model.decoding.model_copy(update={"max_new_tokens": TOKENS})
    return contender.model_copy(update={"model": model.model_copy(update={"decoding": decoding})})


def _repeats(said: Sequence[Said]) -> bool:
    """Two alike are enough: rounding differs with what else a server computes at the time."""
    return len({each.text for each in said}) < len(said)


def _refuse_echo(where: str, said: Said) -> None:
    """The question is longer than an answer to it may be, so whoever holds it whole has not written it."""
    if INVENT in said.text:
        raise BadInput(
            f"{where}: repeats the prompt as its answer; its template or its reading of replies is broken "
            f"(transformers serve does so where a template opens the thought); use another server, or api: completions"
        )


def _refuse_overlong(where: str, said: Sequence[Said]) -> None:
    longest = max(each.tokens_out for each in said)
    if longest > TOKENS + 1:  # some count the token that ends the answer
        raise BadInput(f"{where}: wrote {longest} tokens where max_tokens allows {TOKENS}; it ignores the limit")
