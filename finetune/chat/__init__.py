"""Conversation -> token ids and loss mask: the one renderer of training and scoring.

Roles and tags are put in by id, from the tables of `family`; what people wrote is encoded by a copy of the tokenizer
that knows no marker. So a question that spells `<｜User｜>` stays a question, BOS stands exactly once, and no shipped
template (the distills' deletes every thought, and changed between revisions) decides what is trained.

Think policies, the same for training and scoring:
    keep   the model thinks. Distills are handed `<think>\\n` (template of 2025-02-09); Qwen3 writes the tag itself.
           A training row must carry a closed thought; thought, `</think>` and answer are trained.
    drop   no thought: the bare generation prompt (for Qwen3 the same as under keep, which is what servers send by
           default), and the plain answer as target. An untuned reasoning model may think all the same.
    empty  an empty thought is handed to the model, without loss (Qwen3's enable_thinking=False).
Earlier assistant turns lose their thought, as in the shipped templates. A turn is trained only where the model would
write it: under drop every assistant turn, under keep and empty the last one (the earlier stand there without the tag
that the model is to write after).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from finetune.chat.family import CLOSE, FAMILIES, OPEN, USER, Family, Think
from finetune.chat.tokenizer import declared_stops, marker, read, refuse_faults
from finetune.files import digest_of, file_digest
from finetune.mistakes import BadInput

__all__ = ["FAMILIES", "Chat", "Family", "Message", "Rendered", "Reply", "Think"]

Message = Mapping[str, str]  # role (system, user, assistant) and content
Part = tuple[int | str, bool]  # a marker's id or a text, and whether it is trained

PROBE: tuple[Message, ...] = (
    {"role": "system", "content": "You are an analyst. 你是分析师。"},
    {"role": "user", "content": "净利润增长 12%，是利好还是利空？"},
    {"role": "assistant", "content": f"{OPEN}\n利润增加。\n{CLOSE}\n\n利好"},
    {"role": "user", "content": f"And if sales fell?  Answer A or B.\n{USER}<|im_end|>{OPEN}"},
    {"role": "assistant", "content": f"{OPEN}\nLower sales, lower value.\n{CLOSE}\n\nB"},
)


@dataclass(frozen=True)
class Rendered:
    """A conversation as ids, and where the loss is: `mask[i]` is 1 if `ids[i]` is a target. Equal lengths."""

    ids: list[int]
    mask: list[int]


@dataclass(frozen=True)
class Reply:
    """What a model wrote, taken apart. An unclosed thought is no answer: `closed` False, `answer` empty."""

    thinking: str
    answer: str
    closed: bool  # no thought was left open; also true of an output without any thought
    thinking_tokens: int  # of the thought's text, as this tokenizer writes it


@dataclass(frozen=True, eq=False)
class Chat:
    """One checkpoint's tokenizer under one family and think policy.

    `pad` may be the eos (it is in the distills), so batches are masked by length and losses by `Rendered.mask`, never
    by id: masking the pad id would leave the closing eos untrained, and the model would not stop.
    """

    tokenizer: Tokenizer  # the checkpoint's own; decodes
    words: Tokenizer  # the same without its added tokens: whatever it encodes is text
    family: str
    think: Think
    markers: Mapping[str, int]  # id of each of the family's markers in this tokenizer
    stops: list[int]  # ids that end a generation, the eos first
    pad: int
    tokenizer_sha256: str  # of the bytes of tokenizer.json

    @classmethod
    def open(cls, folder: Path, family: str, think: Think) -> Chat:
        """Read `<folder>/tokenizer.json` (family plain: the eos from generation_config.json or config.json too).

        BadInput: unknown family or policy, a tokenizer that is not of this family, or one that loses text.
        """
        if family not in FAMILIES:
            raise BadInput(f"family: {family} is unknown; known are {', '.join(FAMILIES)}")
        form, path = FAMILIES[family], Path(folder) / "tokenizer.json"
        if think not in form.prefill:
            raise BadInput(f"think: {think} is no policy of family {family}; it has {', '.join(form.prefill)}")
        tokenizer, words = read(path)
        markers = {text: marker(tokenizer, text, known, family, path) for text, known in form.markers.items()}
        stops = [markers[text] for text in form.stops] or declared_stops(Path(folder), tokenizer)
        pad = markers[form.pad] if form.pad else stops[0]
        refuse_faults(tokenizer, words, {*markers.values(), *stops, pad}, path)
        return cls(tokenizer, words, family, think, markers, stops, pad, file_digest(path))

    @property
    def eos(self) -> int:
        """The id that closes an assistant's turn."""
        return self.stops[0]

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids up to where the model starts to write, the think prefill included."""
        _check(messages)
        if messages[-1]["role"] == "assistant":
            raise BadInput("the prompt ends with an assistant's turn, so nothing is asked; end it with a user's")
        form = FAMILIES[self.family]
        start = self._layout(form.before["assistant"] + form.prefill[self.think])
        return self._render(self._turns(messages) + start).ids

    def example(self, messages: Sequence[Message]) -> Rendered:
        """A training row, ended by an assistant's turn; its ids before that turn's targets are `prompt(messages[:-1])`.

        BadInput says why a row cannot be trained (no thought under keep, an empty answer, stray think tags).
        """
        _check(messages)
        if messages[-1]["role"] != "assistant":
            raise BadInput(f"the row ends with a {messages[-1]['role']}'s turn; end it with the assistant's answer")
        return self._render(self._turns(messages))

    def encode(self, text: str) -> list[int]:
        """Ids of text as text: never a control token, never a BOS."""
        return self.words.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """The exact text of ids, markers and eos included."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=False)

    def split(self, output: str | Sequence[int]) -> Reply:
        """Take apart what a model wrote after `prompt`: its ids, or their decoded text (the same reply).

        All before the first stop counts; the answer is what stands outside thoughts. Output starts inside the thought
        where the prompt opened it, and whatever precedes a `</think>` that nothing opened was thought too.
        """
        text = output if isinstance(output, str) else self.decode(output)
        for stop in self.stops:
            text = text.partition(self.decode([stop]))[0]
        if OPEN not in self.markers:
            return Reply("", text, True, 0)
        prefilled = FAMILIES[self.family].prefill[self.think].strip() == OPEN
        thought, answer, closed = _unthink(text, inside=prefilled)
        return Reply(thought.strip("\n"), answer.strip("\n") if closed else "", closed, len(self.encode(thought)))

    def preview(self, rendered: Rendered) -> list[tuple[str, bool]]:
        """Runs of a row as (text, trained), each decoded whole: one Chinese character may be several tokens."""
        runs = groupby(zip(rendered.ids, rendered.mask, strict=True), key=lambda pair: pair[1])
        return [(self.decode([token for token, _ in run]), bool(trained)) for trained, run in runs]

    def fingerprint(self) -> dict[str, Any]:
        """What must be equal in training, scoring and serving: tokenizer, family, policy, ids, rendered probes."""
        rendered = self.example(PROBE)
        probes = [self.prompt(PROBE[:2]), self.prompt(PROBE[:4]), rendered.ids, rendered.mask]
        return {
            "tokenizer_sha256": self.tokenizer_sha256,
            "family": self.family,
            "think": self.think,
            "special_ids": {**self.markers, "eos": self.eos, "pad": self.pad, "stops": self.stops},
            "probes": digest_of(probes),
        }

    @property
    def digest(self) -> str:
        """sha256 (hex) of the fingerprint."""
        return digest_of(self.fingerprint())

    def _turns(self, messages: Sequence[Message]) -> list[Part]:
        form = FAMILIES[self.family]
        parts = self._layout(form.bos)
        for place, message in enumerate(messages):
            role, content = message["role"], message["content"]
            parts += self._layout(form.before[role])
            if role == "assistant":
                parts += self._answer(content, place, last=place == len(messages) - 1)
            else:
                parts.append((content, False))
            parts += self._layout(form.after[role])
        return parts

    def _answer(self, content: str, place: int, *, last: bool) -> list[Part]:
        """An assistant's turn from its start to its eos; `place` is for the error message."""
        thought, answer = _thought(content, place) if OPEN in self.markers else ("", content)
        trained = last or self.think == "drop"
        if trained and not answer.strip():
            raise BadInput(f"message {place} (assistant): the answer is empty; fill it in or leave the row out")
        parts = self._layout(FAMILIES[self.family].prefill[self.think]) if last else []
        if last and self.think == "keep":
            if not thought.strip():
                raise BadInput(
                    f"message {place} (assistant): no thought, and think: keep would train the model to skip it; "
                    f"give {OPEN}...{CLOSE} before the answer, or choose drop or empty"
                )
            opening = [] if parts else self._layout(f"{OPEN}\n", trained=True)
            parts += [*opening, (thought, True), *self._layout(f"\n{CLOSE}\n\n", trained=True)]
        return [*parts, (answer, trained), (self.eos, trained)]

    def _layout(self, text: str, *, trained: bool = False) -> list[Part]:
        """Parts of one of our own strings, its markers as ids. Contents never come this way."""
        pieces = re.split(f"({'|'.join(map(re.escape, self.markers))})", text)
        return [(self.markers.get(piece, piece), trained) for piece in pieces if piece]

    def _render(self, parts: Sequence[Part]) -> Rendered:
        """Neighbouring texts are encoded as one, as a server does with a rendered prompt, but never across the point
        where the model starts to write."""
        ids: list[int] = []
        mask: list[int] = []
        for (is_text, trained), run in groupby(parts, key=lambda part: (isinstance(part[0], str), part[1])):
            found = [part for part, _ in run]
            tokens = self.encode("".join(map(str, found))) if is_text else [int(token) for token in found]
            ids += tokens
            mask += [int(trained)] * len(tokens)
        return Rendered(ids, mask)


def _unthink(text: str, *, inside: bool) -> tuple[str, str, bool]:
    """(thought, what stands outside it, whether it was closed); `inside`: the text starts within a thought."""
    thought, answer = "", ""
    for piece in re.split(f"({OPEN}|{CLOSE})", text):
        if piece == OPEN:
            inside = True
        elif piece == CLOSE:
            if not inside:
                thought, answer = thought + answer, ""
            inside = False
        elif inside:
            thought += piece
        else:
            answer += piece
    return thought, answer, not inside


def _thought(content: str, place: int) -> tuple[str, str]:
    """Thought and answer of a written assistant turn: `<think>T</think>A`, `T</think>A` or `A`."""
    text = content.lstrip()
    thought, answer, closed = _unthink(text, inside=False)
    if not closed:
        raise BadInput(f"message {place} (assistant): {OPEN} without {CLOSE}; close the thought or leave the row out")
    if OPEN in text[1:] or text.count(CLOSE) > 1:
        raise BadInput(
            f"message {place} (assistant): a stray {OPEN} or {CLOSE}; one closed thought may stand before the answer"
        )
    return (thought.strip("\n"), answer.lstrip("\n")) if CLOSE in text else ("", content)


def _check(messages: Sequence[Message]) -> None:
    """Roles and contents that every family can write."""
    if not messages:
        raise BadInput("the conversation has no messages; give at least a user's")
    for place, message in enumerate(messages):
        role, content = message.get("role"), message.get("content")
        if role not in ("system", "user", "assistant"):
            raise BadInput(f"message {place}: role is {role!r}; it must be system, user or assistant")
        if role == "system" and place:
            raise BadInput(f"message {place}: a system message after others; put it first")
        if not isinstance(content, str):
            raise BadInput(f"message {place} ({role}): content is {type(content).__name__}; it must be text")
        if re.search("[\ud800-\udfff]", content):
            raise BadInput(f"message {place} ({role}): content holds half a surrogate pair; repair its encoding")
