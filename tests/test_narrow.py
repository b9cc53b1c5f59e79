"""The last layer where it is asked: the same loss and gradients as everywhere, for less work."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from eval.lm.context import read
from finetune import segments
from finetune.methods.lora import causal
from finetune.narrow import narrow
from finetune.train import loss as losses
from finetune.train.packing import sheets
from tests.test_packing import apart, every_kind, gradients, some, tuned

__all__ = ["tuned"]  # the fixture
CPU = torch.device("cpu")


def checkpointed(model):
    inner = causal(model)
    enable = getattr(inner, "activation_checkpointing_enable", None) or inner.gradient_checkpointing_enable
    enable({"use_reentrant": False})


@pytest.mark.parametrize("arch", ["qwen2", "llama", "qwen3"])
@pytest.mark.parametrize("checkpointing", [False, True])
@every_kind
def test_gradients_are_those_of_the_whole_layer(tuned, arch, kind, checkpointing):
    model, examples = tuned(arch, kind), some()
    segments.adopt(causal(model))
    if checkpointing:
        checkpointed(model)
    batches = [sheets(examples, 100, packing=packing, pad=1) for packing in (True, False)]
    whole = [gradients(model, batch) for batch in batches]
    narrow(causal(model))
    for batch, (loss, gradient) in zip(batches, whole, strict=True):
        own_loss, own = gradients(model, batch)
        assert own_loss == pytest.approx(loss, rel=1e-6)
        assert gradient.abs().max() > 1e-3
        assert apart(own, gradient) < 2e-6


def test_states_are_whole_where_nothing_is_asked_and_the_asked_cost_less(tuned):
    model, examples = tuned("qwen2", "lora").eval(), some()
    (sheet,) = sheets(examples, 10_000, packing=True, pad=1)
    asked = torch.from_numpy(sheet.keep)

    def states(asked=None):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            return losses.states(model, sheet, CPU, asked=asked)[0], counter.get_total_flops()

    whole, cost = states()
    narrow(causal(model))
    found, less = states(asked)
    torch.testing.assert_close(found[asked], whole[asked])
    assert less < 0.8 * cost  # of two layers, one at a fifth of the places
    again, same = states()
    assert torch.equal(again, whole)
    assert same == cost


@pytest.mark.parametrize("arch", ["qwen2", "llama", "qwen3"])
def test_a_prompt_that_is_only_read_leaves_the_same_keys_and_values_for_less(tuned, arch):
    model, prompt = tuned(arch, "lora").eval(), list(range(40, 100))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        whole = model(input_ids=torch.tensor([prompt]), use_cache=True, logits_to_keep=1).past_key_values
    cost = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        found = read(model, [prompt], 1000)
    assert counter.get_total_flops() < 0.8 * cost
    for layer, (keys, values) in zip(whole.layers, found.layers, strict=True):
        assert torch.equal(torch.cat(keys, dim=2), layer.keys)
        assert torch.equal(torch.cat(values, dim=2), layer.values)
