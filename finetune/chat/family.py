"""Families of checkpoints: which control tokens they know, by id, and how they lay out a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Think = Literal["keep", "drop", "empty"]
BEGIN, END = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"  # the bars are U+FF5C, the blanks U+2581
USER, ASSISTANT = "<｜User｜>", "<｜Assistant｜>"
OPEN, CLOSE = "<think>", "</think>"
NO_THOUGHT = f"{OPEN}\n\n{CLOSE}\n\n"


@dataclass(frozen=True)
class Family:
    """How one family of checkpoints writes a conversation. Layout strings may hold markers, by their text."""

    markers: Mapping[str, int | None]  # every control token written or read, with its documented id (None: not known)
    bos: str  # what every conversation starts with
    before: Mapping[str, str]  # role -> what stands before its content
    after: Mapping[str, str]  # role -> what stands after it (an assistant's closing eos comes before that)
    prefill: Mapping[Think, str]  # policies known -> what is handed to the model at the start of its turn
    stops: tuple[str, ...]  # markers that end a generation, eos first; none: those that the checkpoint declares
    pad: str | None  # None: the eos


def _distill(
    begin: int | None, end: int, user: int | None, assistant: int | None, think: int | None, unthink: int | None
) -> Family:
    """The R1 distills: one template text, three vocabularies. The system text stands bare after BOS; pad is eos."""
    return Family(
        markers={BEGIN: begin, END: end, USER: user, ASSISTANT: assistant, OPEN: think, CLOSE: unthink},
        bos=BEGIN,
        before={"system": "", "user": USER, "assistant": ASSISTANT},
        after={"system": "", "user": "", "assistant": ""},
        prefill={"keep": f"{OPEN}\n", "drop": "", "empty": NO_THOUGHT},
        stops=(END,),
        pad=None,
    )


FAMILIES: dict[str, Family] = {
    # Read from deepseek-ai/DeepSeek-R1-Distill-Qwen-32B tokenizer.json (sha256 88145e3c...).
    "r1_distill_qwen": _distill(151646, 151643, 151644, 151645, 151648, 151649),
    # No stored file read: 128000 and 128001 are Llama 3's, 128013 is cited by others' tokenizer_config;
    # 128011, 128012 and 128014 are recalled. A checkpoint with other ids is refused by `Chat.open`, never misread.
    "r1_distill_llama": _distill(128000, 128001, 128011, 128012, 128013, 128014),
    # DeepSeek-R1-0528-Qwen3-8B writes the same markers on Qwen3's vocabulary. Only its eos id is documented (in its
    # config); its tokenizer was not at hand, so the other markers are looked up by name and need only be single tokens.
    "r1_0528_qwen3": _distill(None, 151645, None, None, None, None),
    # Read from Qwen/Qwen3-4B tokenizer.json (sha256 aeb13307...), chat_template and generation_config.
    "qwen3": Family(
        markers={"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645, OPEN: 151667, CLOSE: 151668},
        bos="",
        before={role: f"<|im_start|>{role}\n" for role in ("system", "user", "assistant")},
        after={"system": "<|im_end|>\n", "user": "<|im_end|>\n", "assistant": "\n"},
        prefill={"keep": "", "drop": "", "empty": NO_THOUGHT},
        stops=("<|im_end|>", "<|endoftext|>"),
        pad="<|endoftext|>",
    ),
    # Base models: the contents, one after another, and the eos of the checkpoint's own configuration. No BOS.
    "plain": Family(
        markers={},
        bos="",
        before={"system": "", "user": "", "assistant": ""},
        after={"system": "", "user": "", "assistant": ""},
        prefill={"drop": ""},
        stops=(),
        pad=None,
    ),
}
