"""A LoRA beside its layer in one product: PEFT's numbers for less work, and PEFT's own forward where it must stand."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from finetune import segments
from finetune.methods import LoRA, adapter_parameters
from finetune.methods.lora import causal
from finetune.train.beside import Base, Beside, beside
from finetune.train.loss import sheet_loss
from finetune.train.packing import packed
from tests.test_packing import example

torch.set_num_threads(1)
CPU = torch.device("cpu")
THEIRS = {"dora": ({"dora": True}, torch.bfloat16), "dropout": ({"dropout": 0.3}, torch.float32)}


def tuned(folder, dtype=torch.float32, **knobs):
    """A LoRA far from its start, with attention that knows packed rows."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    model = LoRA(rank=4, **knobs).attach(model, tokenizer=None, seed=0).train()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in adapter_parameters(model).values():
            tensor += 0.05 * torch.randn(tensor.shape, generator=draw)
    segments.adopt(causal(model))
    return model


def step(model):
    """(loss, gradients, bytes kept for the backward pass) of one row of two texts."""
    held, sheet = [], packed([example(1, 40), example(2, 25)])
    torch.manual_seed(0)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: held.append(tensor) or tensor, lambda tensor: tensor):
        loss = sheet_loss(model, sheet, CPU)
    found = torch.autograd.grad(loss, list(adapter_parameters(model).values()))
    kept = {storage.data_ptr(): storage.nbytes() for storage in (tensor.untyped_storage() for tensor in held)}
    return loss.detach(), found, sum(kept.values())


def checkpointed(model):
    inner = causal(model)
    enable = getattr(inner, "activation_checkpointing_enable", None) or inner.gradient_checkpointing_enable
    enable({"use_reentrant": False})


@pytest.mark.parametrize("shape", [(7, 12), (2, 5, 12)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
def test_output_and_gradients_are_those_of_the_formula(shape, bias, layers):
    draw = torch.Generator().manual_seed(0)

    def tensor(*size):
        return torch.randn(size, generator=draw, dtype=torch.float64).requires_grad_()

    x, widths = tensor(*shape), (9, 4, 6)[:layers]
    bases = [Base(tensor(out, 12).detach(), tensor(out).detach() if bias else None, 1.7 / out) for out in widths]
    a, b = (
        [tensor(rank, 12) for rank in (3, 2, 5)[:layers]],
        [tensor(*size) for size in ((9, 3), (4, 2), (6, 5))[:layers]],
    )
    assert torch.autograd.gradcheck(lambda x, *factors: Beside.apply(x, bases, *factors), (x, *a, *b))
    for own, base, one, other in zip(Beside.apply(x, bases, *a, *b), bases, a, b, strict=True):
        wanted = x @ base.weight.T + (base.bias if bias else 0) + base.scale * x @ one.T @ other.T
        torch.testing.assert_close(own, wanted)


def test_layers_of_the_same_inputs_go_together(tiny, monkeypatch):
    """Query, key and value; gate and up. What was put off is not kept beyond, whoever stays away."""
    together, apply = [], Beside.apply
    monkeypatch.setattr(
        Beside, "apply", lambda x, bases, *factors: together.append(len(bases)) or apply(x, bases, *factors)
    )
    model = tuned(tiny("qwen2"))
    count = causal(model).config.num_hidden_layers
    with beside(model):
        step(model)
        assert sorted(together) == sorted([3, 1, 2, 1] * count)
        attention = causal(model).get_decoder().layers[0].self_attn
        inputs = torch.randn(1, 4, causal(model).config.hidden_size)
        first = attention.q_proj(inputs), attention.v_proj(inputs)  # nobody asks for the key
        second = attention.q_proj(inputs), attention.k_proj(inputs), attention.v_proj(inputs)
        other = attention.k_proj(inputs + 1)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[2])
    torch.testing.assert_close(other, attention.k_proj(inputs + 1))
    torch.testing.assert_close(second[1], attention.k_proj(inputs))


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("arch", ["qwen2", "llama", "qwen3"])
def test_a_step_is_pefts_step(tiny, arch, rslora, checkpointing):
    model = tuned(tiny(arch), rslora=rslora)
    if checkpointing:
        checkpointed(model)
    loss, gradients, _ = step(model)
    with beside(model):
        own_loss, own, _ = step(model)
    torch.testing.assert_close(own_loss, loss, rtol=1e-6, atol=0)
    for one, other in zip(own, gradients, strict=True):
        assert float((one - other).norm()) < 1e-5 * float(other.norm())
    again, same, _ = step(model)  # outside PEFT's own forward stands again
    assert torch.equal(again, loss)
    assert all(map(torch.equal, same, gradients))


def test_in_half_precision_it_is_nearer_to_the_truth_and_keeps_less(tiny):
    """PEFT rounds the product, its scaled form and the sum; here they are rounded once."""
    model, exact = tuned(tiny("qwen2"), torch.bfloat16), tuned(tiny("qwen2"))
    exact.load_state_dict(model.state_dict())  # the same weights, calculated with in float32
    _, truth, _ = step(exact)
    _, plain, kept = step(model)
    with beside(model):
        _, own, less = step(model)

    def off(found):
        return sum(float((one - other).norm() ** 2) for one, other in zip(found, truth, strict=True)) ** 0.5

    assert off(own) < 1.1 * off(plain)
    assert less < kept
    assert {tensor.dtype for tensor in own} == {torch.float32}


@pytest.mark.parametrize(("knobs", "dtype"), THEIRS.values(), ids=THEIRS)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_where_pefts_own_forward_stands_no_bit_changes(tiny, knobs, dtype, checkpointing):
    model = tuned(tiny("qwen2"), dtype, **knobs)
    if checkpointing:
        checkpointed(model)
    _, gradients, kept = step(model)
    with beside(model):
        _, own, same = step(model)
    assert all(map(torch.equal, own, gradients))
    assert same == kept
