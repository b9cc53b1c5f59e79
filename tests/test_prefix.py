"""A trained prompt of any form: exact under padding, packing, checkpointing, every way of generating, and 4-bit bases.

Forms: a prefix trained directly or through its re-encoder (P-Tuning v2), virtual tokens from an MLP or LSTM (v1).
"""

from __future__ import annotations

import math

import pytest
import torch
from small_prompts import (
    FORMS,
    LENGTH,
    every_arch,
    every_form,
    fresh,
    gap,
    gradients,
    left_padded,
    moved,
    prompted,
    rows,
)

from finetune.methods import adapter_parameters, load
from finetune.world import open_base

torch.set_num_threads(1)


@every_form
@every_arch
@torch.no_grad()
def test_left_padded_rows_equal_the_row_alone(tiny, form, arch):
    model, (ids, mask) = prompted(tiny(arch), form), left_padded()
    together = model(input_ids=ids, attention_mask=mask).logits
    for row, pad in enumerate((7, 3, 0)):
        alone = model(input_ids=ids[row : row + 1, pad:]).logits[0]
        assert gap(together[row, pad:], alone) <= 1e-6
    last = model(input_ids=ids, attention_mask=mask, logits_to_keep=1).logits
    assert gap(last[:, 0], together[:, -1]) <= 1e-6


@every_form
@every_arch
@torch.no_grad()
def test_right_padding_and_the_attention_loaded_first_change_nothing(tiny, form, arch):
    model, ids = prompted(tiny(arch), form), rows()
    mask = torch.ones_like(ids)
    mask[0, 13:] = 0
    alone = model(input_ids=ids[:1, :13]).logits[0]
    assert gap(model(input_ids=ids, attention_mask=mask).logits[0, :13], alone) <= 1e-6
    eager = prompted(tiny(arch), form, attn_implementation="eager")
    assert gap(eager(input_ids=ids[:1, :13]).logits[0], alone) <= 1e-6


@every_form
@torch.no_grad()
def test_a_callers_own_mask_joins_the_prefix(tiny, form):
    model, ids = prompted(tiny("qwen2"), form), rows(1)
    want = model(input_ids=ids).logits
    allowed = torch.ones(20, 20).tril().bool()[None, None]
    assert gap(model(input_ids=ids, attention_mask=allowed).logits, want) <= 1e-6
    additive = torch.where(allowed, 0.0, torch.finfo(torch.float32).min)
    assert gap(model(input_ids=ids, attention_mask=additive).logits, want) <= 1e-6


def test_reentrant_checkpointing_is_right_or_an_error(tiny):
    ids = rows()
    loss, plain = gradients(prompted(tiny("qwen2"), "direct"), ids, None)
    again, found = gradients(prompted(tiny("qwen2"), "direct"), ids, "reentrant")
    assert again == loss
    assert max(gap(found[name], plain[name]) for name in plain) <= 1e-7
    for form in ("reencoded", "mlp"):
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            gradients(prompted(tiny("qwen2"), form), ids, "reentrant")


@every_form
@every_arch
@torch.no_grad()
def test_a_prompt_in_the_cache_continues_as_one_forward(tiny, form, arch):
    model, ids = prompted(tiny(arch), form), rows(1)
    whole = model(input_ids=ids).logits
    cache = model(input_ids=ids[:, :12], use_cache=True).past_key_values
    assert cache.get_seq_length() == 12
    assert gap(model(input_ids=ids[:, 12:], past_key_values=cache).logits, whole[:, 12:]) <= 1e-6


@every_form
@every_arch
def test_saved_and_loaded_is_bit_equal(tiny, form, arch, tmp_path):
    model, ids = prompted(tiny(arch), form), rows()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        FORMS[form].save(model, tmp_path / name, base="b")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    with torch.no_grad():
        want = model(input_ids=ids).logits
        assert gap(load(fresh(tiny(arch)), tmp_path / "one")(input_ids=ids).logits, want) == 0
    again = load(fresh(tiny(arch)), tmp_path / "one", trainable=True)
    assert again.training
    own = adapter_parameters(again)
    assert [n for n, p in again.named_parameters() if p.requires_grad] == list(own)
    _, found = gradients(again, ids, None)
    assert set(found) == set(own)
    with torch.no_grad():
        assert gap(again.eval()(input_ids=ids).logits, want) == 0


@every_form
def test_half_precision_base_keeps_a_full_precision_prompt(tiny, form):
    folder, (ids, mask) = tiny("qwen3"), left_padded()
    model = prompted(folder, form, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):  # as the loop trains
        loss, grads = gradients(model, ids, "non-reentrant")
    assert math.isfinite(loss)
    assert {p.dtype for p in adapter_parameters(model).values()} == {torch.float32}
    assert {g.dtype for g in grads.values()} == {torch.float32}
    with torch.no_grad():
        near = prompted(folder, form)(input_ids=ids, attention_mask=mask).logits
        assert (model.eval()(input_ids=ids, attention_mask=mask).logits.float() - near).std() < 0.05 * near.std()
        with torch.autocast("cpu", torch.bfloat16):
            mixed = prompted(folder, form)(input_ids=ids, attention_mask=mask).logits
        assert (mixed.float() - near).std() < 0.05 * near.std()


@every_form
def test_a_four_bit_base_trains_it_after_any_evaluation(tiny, form):
    """bitsandbytes would repack the weights in an evaluation on some processors, and gradients would then be zero."""
    pytest.importorskip("bitsandbytes")
    base, ids = open_base(tiny("llama"), torch.float32, four_bit=True), rows()
    assert sum(part.__class__.__name__ == "Linear4bit" for part in base.modules()) == 14
    model = moved(base, tiny("llama"), form)
    loss, plain = gradients(model, ids, None)
    assert set(plain) == set(adapter_parameters(model))
    assert min(g.abs().max().item() for g in plain.values()) > 0
    with torch.no_grad():
        model.eval()(input_ids=ids)
    model.zero_grad()
    again, found = gradients(model, ids, "non-reentrant")
    assert again == loss
    assert max(gap(found[name], plain[name]) for name in plain) <= 1e-7


@every_form
def test_the_prefix_is_made_once_and_again_when_its_weights_change(tiny, form):
    model, ids = prompted(tiny("qwen2"), form), rows(1)
    made, decoder = [], model.base_model
    watched = decoder.prompt_encoder["mlp"] if form != "direct" else None
    if watched is not None:
        watched.register_forward_hook(lambda *_: made.append(1))
    with torch.inference_mode():
        one = model(input_ids=ids).logits
    with torch.no_grad():
        two = model(input_ids=ids).logits
        assert torch.equal(one, two)
        assert watched is None or len(made) == 1
        for tensor in adapter_parameters(model).values():
            tensor.mul_(0.5)
        three = model(input_ids=ids).logits
        assert gap(three, two) > 1e-3
        assert watched is None or len(made) == 2
    model.train()(input_ids=ids, labels=ids).loss.backward()
    torch.optim.SGD(adapter_parameters(model).values(), lr=1.0).step()
    with torch.no_grad():
        assert gap(model.eval()(input_ids=ids).logits, three) > 1e-3
        assert model.to(torch.bfloat16)(input_ids=ids).logits.dtype == torch.bfloat16


@every_form
def test_another_attention_is_refused_and_never_drops_the_prefix(tiny, form):
    model = prompted(tiny("qwen2"), form)
    model.set_attn_implementation("sdpa")
    with pytest.raises(RuntimeError, match="attention is now sdpa, which drops the trained prefix"):
        model(input_ids=rows(1))
    model.set_attn_implementation(f"prefix_{LENGTH}")
    with pytest.raises(TypeError, match="prefix"):
        model.base_model.forward(input_ids=rows(1))  # around the hook that hands the prefix over


@pytest.mark.parametrize("kind", ["{kind: ptuning_v2, reencoder: 16}", "{kind: ptuning_v1, encoder: lstm}"])
def test_it_is_trained_and_scored_as_a_recipe_says(tiny, tmp_path, kind):
    from small_exam import model, write_exam, write_recipe

    from eval import items
    from eval.score import __main__ as score
    from finetune.run import RunManifest
    from finetune.train import __main__ as train

    exam, old = write_exam(tmp_path / "exam", 12), model(tiny("qwen2"), "r1_distill_qwen")
    recipe, there = write_recipe(tmp_path / "r.yaml", exam, old, old), tmp_path / "runs" / "r" / "tuned" / "seed-17"
    words = [str(recipe), "--contender", "tuned", "--out", str(tmp_path / "runs"), "--set", "train.max_steps=3"]
    words += ["--set", f"contenders.tuned.method={kind}"]
    assert train.main(words) == 0
    assert score.main(words) == 0
    found = RunManifest.read(there / "score.json").scoring
    assert found.adapter_probe.kl > 100 * found.adapter_probe.kl_same
    assert len(items.read(there / "items.jsonl")) == found.items > 12


TUNED_BY_PEFT = {  # our form -> PEFT's configuration, its knobs, logits that come before the text's
    "mlp": ("PromptEncoderConfig", {"encoder_reparameterization_type": "MLP"}, 5),
    "lstm": ("PromptEncoderConfig", {"encoder_reparameterization_type": "LSTM"}, 5),
    "direct": ("PrefixTuningConfig", {"prefix_projection": False}, 0),
    "reencoded": ("PrefixTuningConfig", {"prefix_projection": True}, 0),
}


@every_form
@every_arch
@torch.no_grad()
def test_loads_a_prompt_tuned_by_peft(tiny, form, arch, tmp_path):
    import peft

    torch.manual_seed(0)
    kind, knobs, before = TUNED_BY_PEFT[form]
    config = getattr(peft, kind)(task_type="CAUSAL_LM", num_virtual_tokens=5, encoder_hidden_size=32, **knobs)
    theirs, ids = peft.get_peft_model(fresh(tiny(arch)), config).eval(), rows()
    theirs.save_pretrained(tmp_path)
    ours = load(fresh(tiny(arch)), tmp_path)
    bound = 1e-5 if before else 1e-6
    assert gap(ours(input_ids=ids).logits, theirs(input_ids=ids).logits[:, before:]) <= bound
    assert not any(p.requires_grad for p in ours.parameters())
