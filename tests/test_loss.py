"""The loss through a frozen head, whose gradient is made where the logits stood: cross entropy's own numbers."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from finetune.train import loss as made
from finetune.train.loss import Frozen, sheet_loss
from finetune.train.packing import packed
from tests.test_beside import CPU, causal, tuned
from tests.test_packing import example


def material(dtype=torch.float32, bias=False, scale=1.0):
    draw = torch.Generator().manual_seed(0)
    states = scale * torch.randn(11, 16, generator=draw)
    head = torch.nn.Linear(16, 40, bias=bias).requires_grad_(False)
    head.weight.copy_(torch.randn(40, 16, generator=draw))
    labels = torch.randint(40, (11,), generator=draw)
    return states.to(dtype).requires_grad_(), head.to(dtype), labels


def both(loss, states):
    """The loss, and its gradient as a mean over tokens asks for it."""
    return loss.detach(), torch.autograd.grad(loss * 0.3, states)[0]


@pytest.mark.parametrize("chunk", [4, 11, 1024])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_loss_and_gradient_are_as_near_to_the_truth_as_cross_entropys(chunk, bias, scale, monkeypatch):
    monkeypatch.setattr(made, "CHUNK", chunk)
    states, head, labels = material(bias=bias, scale=scale)
    exact = states.detach().double().requires_grad_()
    truth = both(cross_entropy(head.double()(exact), labels, reduction="sum"), exact)
    plain = both(cross_entropy(head.float()(states), labels, reduction="sum"), states)
    own = both(Frozen.apply(states, head.weight, head.bias, labels), states)
    for mine, theirs, right in zip(own, plain, truth, strict=True):
        off, allowed = (float((found.double() - right).norm()) for found in (mine, theirs))
        assert off < 2 * allowed + 1e-6 * float(right.norm())


def test_in_half_precision_it_is_what_autograd_makes(monkeypatch):
    monkeypatch.setattr(made, "CHUNK", 4)
    states, head, labels = material(torch.bfloat16)
    wanted = cross_entropy(head(states).float(), labels, reduction="sum")
    found = Frozen.apply(states, head.weight, head.bias, labels)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)
    one, other = torch.autograd.grad(wanted, states)[0], torch.autograd.grad(found, states)[0]
    assert one.dtype == other.dtype == torch.bfloat16
    assert float((one - other).float().norm()) < 1e-2 * float(one.float().norm())


def test_a_state_that_is_no_number_is_told():
    states, head, labels = material()
    with torch.no_grad():
        states[3, 2] = float("nan")
    assert Frozen.apply(states, head.weight, head.bias, labels).isnan()


@pytest.mark.parametrize("trained", [False, True])
def test_a_step_takes_the_way_that_fits_its_head(tiny, trained, monkeypatch):
    """A frozen head's logits are not kept; one that is trained has a gradient of its own."""
    model, sheet = tuned(tiny("qwen2")), packed([example(1, 40), example(2, 25)])
    head, calls, apply = causal(model).get_output_embeddings(), [], Frozen.apply
    head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=trained)
    monkeypatch.setattr(Frozen, "apply", lambda *given: calls.append(1) or apply(*given))
    sheet_loss(model, sheet, CPU).backward()
    assert (head.weight.grad is not None) == trained
    assert bool(calls) != trained
    with torch.no_grad():
        again = sheet_loss(model, sheet, CPU)
    monkeypatch.setattr(made, "_frozen", lambda head: False)
    torch.testing.assert_close(again, sheet_loss(model, sheet, CPU), rtol=1e-6, atol=0)
