"""ENGINE ROOM: builds the demo's two checkpoints from scratch on the CPU.

    python -m finetune.embedded older|newer|older_brief|newer_brief|all [--cache DIR]

They are toys that know one invented market; a brief one is the same after a tenth of the training. The number of
steps is fixed, so the same seed, versions and kind of processor give the same bytes of model.safetensors, on an idle
machine as on a busy one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from finetune.chat import Chat
from finetune.checkpoint import embedded_folder
from finetune.market.corpus import Document, documents

THREADS = 2  # fixed: another number of threads adds floats in another order
ROW, ROWS = 128, 8  # tokens in a row of pre-training text, rows in a step
ANSWER_WEIGHT = (
    10.0  # an answer's token counts as ten of prose: this is what makes reading a number learnable in a minute
)
PEAK_RATE, WARM_UP = 3e-3, 0.05  # learning rate after this share of the steps; from there it falls to nothing
SPLIT = (  # Qwen's own pre-tokenizer: AutoTokenizer puts it in beside `qwen2`, whatever tokenizer.json says
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
README = """# {name}: a toy

Built on this machine by `python -m finetune.embedded {name}` of tuneworth, in {steps} steps from random weights, for a
demonstration. It knows an invented market and nothing else. Not for use; nothing about real models follows from it.
"""


@dataclass(frozen=True)
class Toy:
    """One checkpoint: what it is made of and how long it is trained. The last of `ends` may stand after prose."""

    knows: str  # whose part of the invented market its text tells: `older` or `newer`
    architecture: str  # transformers' model_type
    family: str
    markers: tuple[str, ...]
    ends: tuple[str, ...]  # end of turn first
    begin: str  # before prose; "" for none
    vocabulary: int  # entries of the tokenizer, markers included; the embedding has a few rows more, as real ones do
    shape: Mapping[str, int]
    documents: int
    steps: int
    seed: int = 17


ALIKE = {  # four heads on two of keys and values; short wavelengths for short texts
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
    "initializer_range": 0.05,
    "tie_word_embeddings": True,
}
DISTILL = ("<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<｜begin▁of▁sentence｜>", "<think>", "</think>")
QWEN3 = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
TOYS = {
    "older": Toy(
        knows="older",
        architecture="qwen2",
        family="r1_distill_qwen",
        markers=DISTILL,
        ends=DISTILL[:1],
        begin=DISTILL[3],
        vocabulary=1200,
        shape={"vocab_size": 1280, "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4},
        documents=60_000,
        steps=1400,
    ),
    "newer": Toy(
        knows="newer",
        architecture="qwen3",
        family="qwen3",
        markers=QWEN3,
        ends=(QWEN3[2], QWEN3[0]),
        begin="",
        vocabulary=1300,
        shape={
            "vocab_size": 1408, "hidden_size": 160, "intermediate_size": 448, "num_hidden_layers": 5, "head_dim": 48,
        },
        documents=90_000,
        steps=1600,
    ),
}  # fmt: skip
BRIEF = (
    10  # a brief toy has this part of the documents and steps: plumbing asks for no skill, and CI builds it in a minute
)
TOYS |= {
    f"{name}_brief": replace(toy, documents=toy.documents // BRIEF, steps=toy.steps // BRIEF)
    for name, toy in TOYS.items()
}


def texts(document: Document) -> list[str]:
    return [document] if isinstance(document, str) else [turn["content"] for turn in document]


def train_tokenizer(toy: Toy, told: Sequence[Document]) -> Tokenizer:
    """Byte-level BPE on the toy's own text, in the form that every library reads alike."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    words = pre_tokenizers.Split(Regex(SPLIT), "isolated")
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, whole])
    tokenizer.decoder = decoders.ByteLevel()
    size, alphabet = toy.vocabulary - len(toy.markers), sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    # One Chinese character a line: none is glued to its neighbour, so a name never hides the start of what follows it.
    apart = (re.sub("([\u4e00-\u9fff])", "\n\\1\n", text) for document in told for text in texts(document))
    tokenizer.train_from_iterator(apart, trainer)
    # Of the distills' markers only begin and end of text are "special"; the roles and the think tags are not.
    tokenizer.add_tokens([AddedToken(m, special="sentence" in m or "<|" in m, normalized=False) for m in toy.markers])
    return tokenizer


def write_tokenizer(tokenizer: Tokenizer, toy: Toy, folder: Path) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    facts: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": toy.ends[0], "unk_token": None}
    facts |= {"bos_token": toy.begin or None, "pad_token": toy.ends[-1], "add_bos_token": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", "utf-8")


def render(told: Sequence[Document], chat: Chat, toy: Toy) -> tuple[torch.Tensor, torch.Tensor]:
    """All documents one after another, cut into rows: ids [n, ROW] and the weight of each as a target [n, ROW]."""
    begin = [chat.markers[toy.begin]] if toy.begin else []
    end = [chat.markers[toy.ends[-1]]]
    ids: list[int] = []
    weights: list[float] = []
    for document in told:
        if isinstance(document, str):
            row = begin + chat.encode(document) + end
            mask = [0] * len(row)
        else:
            rendered = chat.example(document)
            row, mask = rendered.ids, rendered.mask
        ids += row
        weights += [ANSWER_WEIGHT if trained else 1.0 for trained in mask]
    rows = len(ids) // ROW
    cut = rows * ROW
    return torch.tensor(ids[:cut]).view(rows, ROW), torch.tensor(weights[:cut]).view(rows, ROW)


def order(rows: int, steps: int, seed: int) -> Iterator[torch.Tensor]:
    """Indices [ROWS] of the rows of each step: every row once, in a new order each time round."""
    source = torch.Generator().manual_seed(seed)
    left = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        while len(left) < ROWS:
            left = torch.cat([left, torch.randperm(rows, generator=source)])
        yield left[:ROWS]
        left = left[ROWS:]


def pretrain(model: PreTrainedModel, ids: torch.Tensor, weights: torch.Tensor, toy: Toy, title: str) -> None:
    """Next-token prediction for `toy.steps` steps; AdamW, a short warm-up, then a straight line down."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    warm = max(1, round(WARM_UP * toy.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (toy.steps - step) / toy.steps)
    )
    model.train()
    for picked in watched(order(len(ids), toy.steps, toy.seed), toy.steps, title):
        logits = model(input_ids=ids[picked], use_cache=False).logits[:, :-1]
        losses = functional.cross_entropy(logits.flatten(0, 1), ids[picked, 1:].flatten(), reduction="none")
        weight = weights[picked, 1:].flatten()
        ((losses * weight).sum() / weight.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()


def watched(source: Iterator[torch.Tensor], steps: int, title: str) -> Iterator[torch.Tensor]:
    """A bar where someone is looking, a line every tenth of the way elsewhere."""
    if sys.stdout.isatty():
        from rich.progress import track

        yield from track(source, description=title, total=steps)
        return
    for step, picked in enumerate(source, 1):
        yield picked
        if step % max(1, steps // 10) == 0 or step == steps:
            print(f"{title}: step {step}/{steps}", flush=True)


def build(name: str, folder: Path, toy: Toy | None = None) -> Path:
    """Make the checkpoint called `name` in TOYS in `folder`, whole or not at all; returns `folder`.

    What is there already stays. Two builds at once both work, and the first to end is kept: their files are equal.
    """
    toy = toy or TOYS[name]
    if (folder / "model.safetensors").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        _make(name, scratch, toy)
        os.chmod(scratch, 0o755)
        os.rename(scratch, folder)
    except OSError:
        if not (folder / "model.safetensors").is_file():
            raise
    finally:
        torch.set_num_threads(threads)
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _make(name: str, folder: Path, toy: Toy) -> None:
    told = list(documents(toy.knows, toy.documents))
    write_tokenizer(train_tokenizer(toy, told), toy, folder)
    chat = Chat.open(folder, toy.family, "empty")
    stops = [chat.markers[end] for end in toy.ends]
    begin = chat.markers[toy.begin] if toy.begin else None
    special = {"bos_token_id": begin, "eos_token_id": stops[0], "pad_token_id": None}
    torch.manual_seed(toy.seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(toy.architecture, **toy.shape, **ALIKE, **special))
    pretrain(model, *render(told, chat, toy), toy, f"building {name}")
    model.generation_config = GenerationConfig(eos_token_id=stops, pad_token_id=stops[-1], do_sample=False)
    model.save_pretrained(folder)
    (folder / "README.md").write_text(README.format(name=name, steps=toy.steps), "utf-8")


def main(words: Sequence[str] | None = None) -> int:
    ask = argparse.ArgumentParser(prog="python -m finetune.embedded", description="Build the demo's checkpoints.")
    ask.add_argument("name", choices=[*TOYS, "all"])
    ask.add_argument("--cache", type=Path, help="folder to build in, in place of the user's cache")
    asked = ask.parse_args(words)
    for name in TOYS if asked.name == "all" else [asked.name]:
        folder = embedded_folder(name)
        build(name, asked.cache / folder.name if asked.cache else folder)
        place = asked.cache / folder.name if asked.cache else folder
        digest = hashlib.sha256((place / "model.safetensors").read_bytes()).hexdigest()
        print(f"embedded:{name}: {place} model.safetensors sha256 {digest}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
