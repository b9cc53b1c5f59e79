"""Float32 attention in stripes with its own way back: the numbers of plain attention, and taken."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from finetune import segments, striped
from finetune.methods import PTuningV2, adapter_parameters
from finetune.methods.lora import causal
from finetune.striped import Striped
from finetune.train.beside import beside
from finetune.train.loss import sheet_loss
from finetune.train.packing import packed, padded
from tests.test_beside import checkpointed, tuned
from tests.test_packing import example
from tests.test_segments import exact

torch.set_num_threads(1)
CPU = torch.device("cpu")
HEADS = {"each its own": (4, 4), "grouped": (6, 2), "one for all": (4, 1)}


def parts(length, heads, kv, ahead=0, dtype=torch.float32, width=16):
    """Two texts' query, key and value as a row's gathered parts lie: heads inside of places."""
    draw = torch.Generator().manual_seed(length)
    return [
        torch.randn(2, size, count, width, generator=draw).to(dtype).transpose(1, 2).requires_grad_()
        for count, size in ((heads, length), (kv, ahead + length), (kv, ahead + length))
    ]


@pytest.mark.parametrize(("heads", "kv"), HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("ahead", [0, 5])
@pytest.mark.parametrize("length", [1, striped.STRIPE, 3 * striped.STRIPE - 1])
def test_output_and_gradients_are_those_of_whole_attention(length, ahead, heads, kv):
    given = parts(length, heads, kv, ahead)
    found, wanted = Striped.apply(*given, 0.25), exact(*given, ahead)
    weight = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(0))
    told = torch.autograd.grad((found * weight).sum(), given)
    right = torch.autograd.grad((wanted * weight).sum(), given)
    for one, other in ((found, wanted), *zip(told, right, strict=True)):
        assert one.shape == other.shape
        assert one.dtype == torch.float32
        assert (one.double() - other.double()).norm() <= 1e-6 * other.double().norm() + 2e-6  # one key: zero


def test_gradients_are_those_of_finite_differences(monkeypatch):
    monkeypatch.setattr(striped, "STRIPE", 3)
    given = parts(7, 4, 2, 1, torch.float64, width=3)
    assert torch.autograd.gradcheck(lambda *each: Striped.apply(*each, 0.6), given)


def test_great_scores_neither_overflow_nor_lose_their_gradients():
    given = [50 * part.detach() for part in parts(90, 4, 2)]
    given = [part.requires_grad_() for part in given]
    found, wanted = Striped.apply(*given, 0.25), exact(*given, 0)
    assert found.isfinite().all()
    torch.testing.assert_close(found.double(), wanted, rtol=1e-3, atol=1e-3)  # scores near 10,000, rounded at 1e-3
    assert all(each.isfinite().all() for each in torch.autograd.grad(found.sum(), given))


def test_nothing_of_the_square_is_kept():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda each: kept.append(each.numel()) or each, lambda each: each):
        Striped.apply(*parts(300, 4, 2), 0.25)
    assert sum(kept) <= 2 * 300 * 16 * (4 + 2 + 2 + 4 + 1)  # query, key, value, output, and less than a head of sums


@pytest.fixture
def taken(monkeypatch):
    """How often stripes went forward and back."""
    seen = []
    forward, backward = striped.Striped.forward, striped._means
    monkeypatch.setattr(striped.Striped, "forward", lambda *given: seen.append("forward") or forward(*given))
    monkeypatch.setattr(striped, "_means", lambda *given: seen.append("back") or backward(*given))
    return seen


def step(model, sheet):
    with beside(model):
        loss = sheet_loss(model, sheet, CPU)
        return loss.detach(), torch.autograd.grad(loss, list(adapter_parameters(model).values()))


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("arch", ["qwen2", "llama", "qwen3"])
def test_a_packed_step_is_that_of_rows_apart_through_sdpa(tiny, arch, checkpointing, taken):
    model = tuned(tiny(arch))
    texts = [example(1, 150), example(2, 80), example(3, 75)]
    loss, gradients = step(model, padded(texts, 0))  # rows of their own are sdpa's
    assert not taken
    if checkpointing:
        checkpointed(model)
    own_loss, own = step(model, packed(texts))
    layers = model.config.num_hidden_layers
    assert taken.count("back") == 2 * layers  # 150 alone, 80 and 75 together
    assert taken.count("forward") == 2 * layers * (1 + checkpointing)
    torch.testing.assert_close(own_loss, loss, rtol=1e-6, atol=0)
    for one, other in zip(own, gradients, strict=True):
        assert float((one - other).norm()) < 1e-5 * float(other.norm())


def test_a_prefix_stands_before_the_stripes(tiny, taken):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny("qwen2"), dtype=torch.float32)
    model = PTuningV2(virtual_tokens=5, init="random").attach(model, tokenizer=None, seed=0).train()
    segments.adopt(causal(model))
    texts = [example(1, 100), example(2, 60)]
    loss, gradients = step(model, padded(texts, 0))
    assert not taken
    own_loss, own = step(model, packed(texts))
    assert taken
    torch.testing.assert_close(own_loss, loss, rtol=1e-6, atol=0)
    for one, other in zip(own, gradients, strict=True):
        assert float((one - other).norm()) < 1e-5 * float(other.norm())


def test_other_precisions_and_dropout_take_other_ways(taken):
    from types import SimpleNamespace

    layer = SimpleNamespace(num_key_value_groups=2, is_causal=True)
    for dtype, dropout in ((torch.bfloat16, 0.0), (torch.float64, 0.0), (torch.float32, 0.1)):
        segments.softmax(layer, *parts(9, 4, 2, dtype=dtype), scaling=0.25, dropout=dropout)
    assert not taken
    with torch.autocast("cpu", dtype=torch.bfloat16):
        segments.softmax(layer, *parts(9, 4, 2), scaling=0.25, dropout=0.0)
    assert not taken
    found, _ = segments.softmax(layer, *parts(9, 4, 2), scaling=0.25, dropout=0.0)
    query, key, value = parts(9, 4, 2)
    wanted = scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True, scale=0.25)
    torch.testing.assert_close(found, wanted.transpose(1, 2))
    assert taken == ["forward"]
