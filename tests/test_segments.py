"""Attention of packed rows, piece by piece: what a processor multiplies out, and what an accelerator is handed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM

from finetune import segments
from finetune.methods import LoRA, PTuningV2, adapter_parameters
from finetune.methods.lora import causal
from finetune.train.loss import sheet_loss
from finetune.train.packing import packed
from tests.test_packing import example

torch.set_num_threads(1)
CPU = torch.device("cpu")
LENGTHS = (31, 30, 7)


def exact(query, key, value, ahead):
    """Causal attention of [texts, heads, L, width] behind `ahead` keys, in float64 and all at once."""
    groups, length = query.shape[1] // key.shape[1], query.shape[2]
    key, value = (part.double().repeat_interleave(groups, dim=1) for part in (key, value))
    scores = query.double() @ key.transpose(2, 3) * query.shape[-1] ** -0.5
    seen = torch.ones(length, ahead + length, dtype=torch.bool).tril(ahead)
    return (scores.masked_fill(~seen, float("-inf")).softmax(-1) @ value).transpose(1, 2)


@pytest.mark.parametrize("length", [1, 255, 600])
@pytest.mark.parametrize("ahead", [0, 5])
def test_stripes_of_queries_are_whole_attention(length, ahead):
    draw = torch.Generator().manual_seed(length)
    parts = [
        torch.randn(2, heads, size, 16, generator=draw).bfloat16().requires_grad_()
        for heads, size in ((4, length), (2, ahead + length), (2, ahead + length))
    ]
    layer = SimpleNamespace(num_key_value_groups=2)
    found, _ = segments.softmax(layer, *parts, ahead=ahead, scaling=0.25, dropout=0.0)
    wanted = exact(*parts, ahead)
    weight = torch.randn(wanted.shape, generator=draw)
    told = torch.autograd.grad((found.float() * weight).sum(), parts)
    right = torch.autograd.grad((wanted * weight).sum(), parts)
    for one, other in ((found, wanted), *zip(told, right, strict=True)):
        one, other = one.detach().double(), other.detach().double()
        assert (one - other).norm() <= 1e-2 * other.norm() + 1e-6  # bfloat16 has 8 bits: 4e-3 each


def test_no_flash_kernel_is_asked_for_on_a_processor():
    assert segments.in_place(torch.ones(1, 4, 9, 16, dtype=torch.bfloat16), scaling=0.25) is None


def handed(query, key, value, lengths, ahead=0):
    """What `in_place` gives where there is an accelerator, text by text."""
    found, texts = [], segments.bounds(lengths, 0, CPU).tolist()
    keys = segments.bounds(lengths, ahead, CPU).tolist()
    assert (texts[-1], keys[-1]) == (len(query), len(key))
    for index in range(len(lengths)):
        mine = query[texts[index] : texts[index + 1]]
        theirs = (part[keys[index] : keys[index + 1]] for part in (key, value))
        found.append(exact(*(part.transpose(0, 1)[None] for part in (mine, *theirs)), ahead)[0])
    return torch.cat(found)[None].to(query.dtype), None


@pytest.mark.parametrize("arch", ["qwen2", "qwen3"])
@pytest.mark.parametrize("method", [LoRA(rank=4), PTuningV2(virtual_tokens=5, init="random")], ids=lambda one: one.kind)
def test_a_row_as_it_lies_is_the_row_gathered(tiny, monkeypatch, arch, method):
    """The row, its bounds and its prefixes as flash kernels get them; the kernel itself is tested on an accelerator."""
    model = AutoModelForCausalLM.from_pretrained(tiny(arch), dtype=torch.float32)
    model = method.attach(model, tokenizer=None, seed=0)
    segments.adopt(causal(model))
    sheet, calls = packed([example(number, length) for number, length in enumerate(LENGTHS)]), []

    def step():
        loss = sheet_loss(model, sheet, CPU)
        return loss.detach(), torch.autograd.grad(loss, list(adapter_parameters(model).values()))

    loss, gradient = step()
    monkeypatch.setattr(segments, "in_place", lambda query, **_: lambda *a: calls.append(a) or handed(*a))
    own_loss, own = step()
    assert len(calls) == 2  # one for each layer
    torch.testing.assert_close(own_loss, loss, rtol=1e-5, atol=1e-5)
    for one, other in zip(own, gradient, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
