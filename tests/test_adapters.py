"""What holds for LoRA and for a trained prompt of any form: checkpointing, packing, generating, training, restoring."""

from __future__ import annotations

import pytest
import torch
from small_prompts import (
    ADAPTERS,
    every_adapter,
    every_arch,
    fresh,
    gap,
    gradients,
    left_padded,
    prompted,
    rows,
    tokenizer_of,
)

from finetune.methods import METHODS, LoRA, adapter_parameters, load, restore

torch.set_num_threads(1)


@every_adapter
@every_arch
def test_checkpointing_gives_the_same_gradients(tiny, form, arch):
    ids = rows()
    loss, plain = gradients(prompted(tiny(arch), form), ids, None)
    assert set(plain) == set(adapter_parameters(prompted(tiny(arch), form)))
    assert min(g.abs().max().item() for g in plain.values()) > 0
    for mode in ("non-reentrant", *(["reentrant"] if form == "lora" else [])):  # test_prefix: where a prompt has it
        again, found = gradients(prompted(tiny(arch), form), ids, mode)
        assert again == loss
        assert max(gap(found[name], plain[name]) for name in plain) <= 1e-7


@every_adapter
@every_arch
@torch.no_grad()
def test_packed_rows_do_not_see_each_other(tiny, form, arch):
    model, ids = prompted(tiny(arch), form), rows(1)
    positions = torch.cat([torch.arange(9), torch.arange(11)])[None]
    other = ids.clone()
    other[0, :9] = (other[0, :9] + 3) % 470
    one, two = (model(input_ids=x, position_ids=positions, use_cache=False).logits for x in (ids, other))
    assert gap(one[:, :9], two[:, :9]) > 1e-2
    assert gap(one[:, 9:], two[:, 9:]) == 0
    assert gap(one[:, 9:], model(input_ids=ids[:, 9:]).logits) <= 1e-6
    assert gap(one[:, :9], model(input_ids=ids[:, :9]).logits) <= 1e-6


@every_adapter
@every_arch
@torch.no_grad()
def test_every_way_of_generating_agrees(tiny, form, arch):
    model, (ids, mask) = prompted(tiny(arch), form), left_padded()

    def write(ids, mask=None, **options):
        options = {"max_new_tokens": 10, "do_sample": False, "pad_token_id": 0, "eos_token_id": None, **options}
        return model.generate(input_ids=ids, attention_mask=mask, **options)[:, ids.shape[1] :]

    together = write(ids, mask)
    uncached = write(ids, mask, use_cache=False)
    beams = write(ids, mask, num_beams=3)
    preset = write(ids, mask, cache_implementation="static", disable_compile=True)
    for row, pad in enumerate((7, 3, 0)):
        alone = ids[row : row + 1, pad:]
        truth = alone
        for _ in range(10):
            truth = torch.cat([truth, model(input_ids=truth, use_cache=False).logits[:, -1:].argmax(-1)], dim=1)
        truth = truth[0, alone.shape[1] :]
        for found in (write(alone, torch.ones_like(alone))[0], together[row], uncached[row], preset[row]):
            assert torch.equal(found, truth)
        assert torch.equal(beams[row], write(alone, torch.ones_like(alone), num_beams=3)[0])


@every_adapter
def test_attaching_leaves_the_random_state_and_mode_alone(tiny, form):
    state = torch.get_rng_state()
    for training in (True, False):
        model = fresh(tiny("qwen2")).train(training)
        ADAPTERS[form].attach(model, tokenizer=tokenizer_of(tiny("qwen2")), seed=0)
        assert all(part.training == training for part in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


@every_adapter
@every_arch
def test_training_moves_the_adapter_alone_and_lowers_the_loss(tiny, form, arch):
    folder, ids = tiny(arch), rows(2, 24)
    method = LoRA(rank=8, dropout=0.1) if form == "lora" else ADAPTERS[form]
    model = method.attach(fresh(folder), tokenizer=tokenizer_of(folder), seed=0).train()
    own = adapter_parameters(model)
    base = {name: p.clone() for name, p in model.named_parameters() if name not in own}
    rate = {"lora": 5e-3, "direct": 0.05}.get(form, 0.01)
    optimizer = torch.optim.AdamW(own.values(), lr=rate)
    torch.manual_seed(0)
    losses = []
    for _ in range(12 if form == "lora" else 16):
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        assert {n for n, p in model.named_parameters() if p.grad is not None} == set(own)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3
    assert all(torch.equal(p, base[name]) for name, p in model.named_parameters() if name in base)


@every_adapter
def test_restore_takes_back_exactly_what_was_there(tiny, form):
    model = prompted(tiny("qwen2"), form)
    own = adapter_parameters(model)
    kept = {name: p.detach().clone() for name, p in own.items()}
    with torch.no_grad():
        for p in own.values():
            p.add_(1)
    restore(model, kept)
    assert all(torch.equal(p, kept[name]) for name, p in own.items())
    first = next(iter(kept))
    with pytest.raises(ValueError, match=f"{first}: not saved"):
        restore(model, {name: p for name, p in kept.items() if name != first})
    with pytest.raises(ValueError, match="stranger: not in this model"):
        restore(model, {**kept, "stranger": kept[first]})
    with pytest.raises(ValueError, match=rf"{first}: saved as \[.*\], is \["):
        restore(model, {**kept, first: kept[first][..., :3]})


@every_adapter
def test_a_second_adapter_is_refused(tiny, form, tmp_path):
    model = prompted(tiny("qwen2"), form)
    ADAPTERS[form].save(model, tmp_path, base="b")
    for method in METHODS:
        with pytest.raises(ValueError, match="already carries an adapter"):
            method().attach(model, tokenizer=tokenizer_of(tiny("qwen2")), seed=0)
    with pytest.raises(ValueError, match="already carries an adapter"):
        load(model, tmp_path)
