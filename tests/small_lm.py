"""Tiny models for the tests of the scorer and the writer, bare or under an adapter, or by a script; and texts."""

from __future__ import annotations

import random

import torch

from finetune.chat import Chat
from finetune.methods import LoRA, PTuningV1, PTuningV2, adapter_parameters

ARCHS = ("qwen2", "llama", "qwen3")
WORDS = [
    "profit",
    "shares",
    "stock",
    "rose",
    "净利润",
    "股价",
    "利好",
    "利空",
    "中性",
    "tick",
    "0.5",
    "12",
    "A",
    "B",
    "答案",
]


def model_of(folder, tuning: str = "bare"):
    """A tiny model, bare or with an adapter that moves its logits."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    if tuning == "bare":
        return model
    chat = Chat.open(folder, "plain", "drop")
    methods = {"lora": LoRA(rank=4), "prefix": PTuningV2(virtual_tokens=5), "prompt": PTuningV1(virtual_tokens=5)}
    model = methods[tuning].attach(model, tokenizer=chat.tokenizer, seed=1)
    torch.manual_seed(5)
    with torch.no_grad():
        for tensor in adapter_parameters(model).values():
            tensor.add_(torch.randn_like(tensor) * 0.3)
    return model.eval()


def texts(count: int, *, seed: int, least: int = 1, most: int = 40) -> list[str]:
    drawn = random.Random(seed)
    return [" ".join(drawn.choices(WORDS, k=drawn.randint(least, most))) for _ in range(count)]


class Scripted(torch.nn.Module):
    """A model that writes the given ids, whatever it reads and in every row."""

    def __init__(self, inner, ids: list[int]):
        super().__init__()
        self.inner, self.ids, self.config, self.device = inner, ids, inner.config, torch.device("cpu")
        self.get_decoder = inner.get_decoder

    def forward(self, input_ids, position_ids, **kwargs):
        out = self.inner(input_ids=input_ids, position_ids=position_ids, **kwargs)
        if input_ids.shape[1] > 1:  # all of the prompt but its last token
            self.begin = position_ids[:, -1] + 1
            return out
        out.logits.fill_(-50.0)
        for row, step in enumerate((position_ids[:, -1] - self.begin).tolist()):
            out.logits[row, -1, self.ids[step]] = 50.0
        return out
