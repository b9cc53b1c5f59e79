"""How a question must be put to what is handed on, and whether the template that comes with it does so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from finetune.chat import Chat
from finetune.frame import PromptFrame

ASKED = "净利润增长 12%，是利好还是利空？"


@dataclass(frozen=True)
class Rendering:
    """One question as it was rendered in training and scoring, up to where the model writes."""

    text: str
    template: Literal["same", "other", "none"]  # what the folder's own chat template makes of it


def rendering(folder: Path, chat: Chat, frame: PromptFrame | None) -> Rendering:
    """Of a question (in its frame), beside what the tokenizer in `folder` makes of it."""
    turns = [{"role": "user", "content": frame.wrap(ASKED) if frame else ASKED}]
    text = chat.decode(chat.prompt(turns))
    shipped = _shipped(folder, turns, thinks=chat.think != "empty")
    return Rendering(text, "none" if shipped is None else "same" if shipped == text else "other")


def _shipped(folder: Path, turns: list[dict[str, str]], *, thinks: bool) -> str | None:
    """None without a template; empty where it fails."""
    if not _has_template(folder):
        return None
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        return str(
            tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, enable_thinking=thinks)
        )
    except Exception:  # whatever a template, which is a program of its vendor's, may raise
        return ""


def _has_template(folder: Path) -> bool:
    said = folder / "tokenizer_config.json"
    inside = said.is_file() and bool(json.loads(said.read_text("utf-8")).get("chat_template"))
    return inside or (folder / "chat_template.jinja").is_file()
