"""Words of a conversation, tiny tokenizers of every family, and texts that try to be control tokens."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from conftest import MARKERS, train_tokenizer
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from finetune.chat import FAMILIES, Chat, Rendered
from finetune.chat.family import ASSISTANT, BEGIN, CLOSE, END, OPEN, USER

CASES = [(family, think) for family, form in FAMILIES.items() for think in form.prefill]
SPELLED = [BEGIN, END, USER, ASSISTANT, OPEN, CLOSE, "<|im_start|>", "<|im_end|>", "<|endoftext|>"]
# Assigned characters only: the normal form of those is the same in every version of Unicode.
characters = st.characters(exclude_categories=("Cs", "Cn"))
words = st.text(characters, max_size=20)
hostile = st.lists(st.one_of(words, st.sampled_from(SPELLED)), max_size=6).map("".join)
quick = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def speech(text: str) -> str:
    """A text that can stand as thought or answer: not blank, no line breaks at its ends, no think tags."""
    text = text.replace(OPEN, "").replace(CLOSE, "").strip("\n")
    return text if text.strip() else text + "x"


spoken = hostile.map(speech)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def system(text: str) -> dict[str, str]:
    return {"role": "system", "content": text}


def assistant(answer: str, thought: str | None = None) -> dict[str, str]:
    return {"role": "assistant", "content": answer if thought is None else f"{OPEN}\n{thought}\n{CLOSE}\n\n{answer}"}


def targets(chat: Chat, row: Rendered) -> str:
    return chat.decode([token for token, trained in zip(row.ids, row.mask, strict=True) if trained])


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def save_tiny(folder: Path, family: str) -> Path:
    """A folder with the tokenizer of a tiny checkpoint, and a configuration that names an eos."""
    tokenizer = train_tokenizer(MARKERS["qwen3" if family == "qwen3" else "r1_distill_qwen"])
    tokenizer.save(str(folder / "tokenizer.json"))
    eos = tokenizer.token_to_id("<|im_end|>" if family == "qwen3" else END)
    (folder / "config.json").write_text(json.dumps({"eos_token_id": eos}))
    return folder


@pytest.fixture(scope="session")
def chats(tmp_path_factory):
    folders = {family: save_tiny(tmp_path_factory.mktemp(family), family) for family in FAMILIES}
    return {(family, think): Chat.open(folders[family], family, think) for family, think in CASES}
