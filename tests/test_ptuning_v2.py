"""The in-layer prefix: exact under padding, packing, checkpointing and every way of generating, and PEFT's on disk."""

from __future__ import annotations

import json
import math
import types

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from finetune.methods import METHODS, PTuningV2, adapter_parameters, load, restore

torch.set_num_threads(1)
ARCHES = ("qwen2", "llama", "qwen3")
LENGTH = 7
every_arch = pytest.mark.parametrize("arch", ARCHES)
# PEFT itself asks transformers by a name that is to go; nothing of ours does.
plain_peft = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def fresh(folder, **options):
    options = {"dtype": torch.float32, **options}
    return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, **options)


def tokenizer_of(folder):
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.fixture
def prefixed(tiny):
    """A model whose prefix is far from any start: the text's keys and values, moved by large seeded draws."""

    def make(arch, *, length=LENGTH, **options):
        model = fresh(tiny(arch), **options)
        model = PTuningV2(virtual_tokens=length).attach(model, tokenizer=tokenizer_of(tiny(arch)), seed=0)
        draw = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for tensor in adapter_parameters(model).values():
                tensor += torch.randn(tensor.shape, generator=draw)
        return model.eval()

    return make


def rows(batch=3, length=20, seed=1):
    return torch.randint(10, 470, (batch, length), generator=torch.Generator().manual_seed(seed))


def left_padded():
    """Three rows of 13, 17 and 20 real tokens."""
    ids, mask = rows(), torch.ones(3, 20, dtype=torch.long)
    mask[0, :7] = mask[1, :3] = 0
    return ids, mask


def gap(one, other):
    """Largest difference, as a share of the largest value where that is above 1 (the bare base is 6e-7 off itself)."""
    return (one - other).abs().max().item() / max(1.0, other.abs().max().item())


@every_arch
@torch.no_grad()
def test_left_padded_rows_equal_the_row_alone(prefixed, arch):
    model, (ids, mask) = prefixed(arch), left_padded()
    together = model(input_ids=ids, attention_mask=mask).logits
    for row, pad in enumerate((7, 3, 0)):
        alone = model(input_ids=ids[row : row + 1, pad:]).logits[0]
        assert gap(together[row, pad:], alone) <= 1e-6
    last = model(input_ids=ids, attention_mask=mask, logits_to_keep=1).logits
    assert gap(last[:, 0], together[:, -1]) <= 1e-6


@every_arch
@torch.no_grad()
def test_right_padding_and_the_attention_loaded_first_change_nothing(prefixed, arch):
    model, ids = prefixed(arch), rows()
    mask = torch.ones_like(ids)
    mask[0, 13:] = 0
    alone = model(input_ids=ids[:1, :13]).logits[0]
    assert gap(model(input_ids=ids, attention_mask=mask).logits[0, :13], alone) <= 1e-6
    assert gap(prefixed(arch, attn_implementation="eager")(input_ids=ids[:1, :13]).logits[0], alone) <= 1e-6


@every_arch
@torch.no_grad()
def test_a_callers_own_mask_joins_the_prefix(prefixed, arch):
    model, ids = prefixed(arch), rows(1)
    want = model(input_ids=ids).logits
    allowed = torch.ones(20, 20).tril().bool()[None, None]
    assert gap(model(input_ids=ids, attention_mask=allowed).logits, want) <= 1e-6
    additive = torch.where(allowed, 0.0, torch.finfo(torch.float32).min)
    assert gap(model(input_ids=ids, attention_mask=additive).logits, want) <= 1e-6


@every_arch
@plain_peft
@torch.no_grad()
def test_equals_peft_given_the_same_positions(prefixed, tiny, arch, tmp_path):
    """Saved, the folder is plain PEFT: PeftModel loads it and gives the same logits, padded rows included."""
    from peft import PeftModel

    model, (ids, mask) = prefixed(arch), left_padded()
    PTuningV2().save(model, tmp_path, base="some/base")
    theirs = PeftModel.from_pretrained(fresh(tiny(arch)), tmp_path).eval()
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    call = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
    assert gap(theirs(**call).logits * mask[..., None], model(**call).logits * mask[..., None]) <= 1e-6
    assert gap(model(**call).logits, model(input_ids=ids, attention_mask=mask).logits) == 0
    config = json.loads((tmp_path / "adapter_config.json").read_text("utf-8"))
    assert (config["peft_type"], config["base_model_name_or_path"]) == ("PREFIX_TUNING", "some/base")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]


@every_arch
@plain_peft
@torch.no_grad()
@pytest.mark.parametrize("projection", [False, True])
def test_loads_a_prefix_tuned_by_peft(tiny, arch, projection, tmp_path):
    from peft import PrefixTuningConfig, get_peft_model

    torch.manual_seed(0)
    config = PrefixTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=5, prefix_projection=projection, encoder_hidden_size=32
    )
    theirs = get_peft_model(fresh(tiny(arch)), config).eval()
    theirs.save_pretrained(tmp_path)
    ids = rows()
    ours = load(fresh(tiny(arch)), tmp_path)
    assert gap(ours(input_ids=ids).logits, theirs(input_ids=ids).logits) <= 1e-6
    assert not any(p.requires_grad for p in ours.parameters())


def gradients(model, ids, mode):
    if mode is not None:
        # The name was changed in transformers 5.2x; the older one warns where the newer one is.
        switch = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        switch({"use_reentrant": mode == "reentrant"})
        model.enable_input_require_grads()
    model.train()
    loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@every_arch
def test_checkpointing_gives_the_same_gradients(prefixed, arch):
    ids = rows()
    loss, plain = gradients(prefixed(arch), ids, None)
    assert set(plain) == set(adapter_parameters(prefixed(arch)))
    assert min(g.abs().max().item() for g in plain.values()) > 0
    for mode in ("reentrant", "non-reentrant"):
        again, found = gradients(prefixed(arch), ids, mode)
        assert again == loss
        assert max(gap(found[name], plain[name]) for name in plain) <= 1e-7


@every_arch
@torch.no_grad()
def test_packed_rows_do_not_see_each_other(prefixed, arch):
    model, ids = prefixed(arch), rows(1)
    positions = torch.cat([torch.arange(9), torch.arange(11)])[None]
    other = ids.clone()
    other[0, :9] = (other[0, :9] + 3) % 470
    one, two = (model(input_ids=x, position_ids=positions, use_cache=False).logits for x in (ids, other))
    assert gap(one[:, :9], two[:, :9]) > 1e-2
    assert gap(one[:, 9:], two[:, 9:]) == 0
    assert gap(one[:, 9:], model(input_ids=ids[:, 9:]).logits) <= 1e-6
    assert gap(one[:, :9], model(input_ids=ids[:, :9]).logits) <= 1e-6


@every_arch
@torch.no_grad()
def test_every_way_of_generating_agrees(prefixed, arch):
    model, (ids, mask) = prefixed(arch), left_padded()

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


@every_arch
@torch.no_grad()
def test_a_prompt_in_the_cache_continues_as_one_forward(prefixed, arch):
    model, ids = prefixed(arch), rows(1)
    whole = model(input_ids=ids).logits
    cache = model(input_ids=ids[:, :12], use_cache=True).past_key_values
    assert cache.get_seq_length() == 12
    assert gap(model(input_ids=ids[:, 12:], past_key_values=cache).logits, whole[:, 12:]) <= 1e-6


@every_arch
def test_saved_and_loaded_is_bit_equal(prefixed, tiny, arch, tmp_path):
    model, ids = prefixed(arch), rows()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        PTuningV2().save(model, tmp_path / name, base="b")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    again = load(fresh(tiny(arch)), tmp_path / "one", trainable=True)
    assert again.training
    with torch.no_grad():
        assert gap(again.eval()(input_ids=ids).logits, model(input_ids=ids).logits) == 0
    own = adapter_parameters(again)
    assert [n for n, p in again.named_parameters() if p.requires_grad] == list(own)
    assert all(torch.equal(own[name], tensor) for name, tensor in adapter_parameters(model).items())


@every_arch
def test_text_start_is_what_the_text_leaves_in_the_cache(tiny, arch):
    """So the prefixed model reads on exactly as the base does behind that text."""
    folder = tiny(arch)
    method = PTuningV2(virtual_tokens=12, init_text="公司净利润大增, the stock rose")
    model = method.attach(fresh(folder), tokenizer=tokenizer_of(folder), seed=0).eval()
    text = (tokenizer_of(folder).encode(method.init_text).ids * 12)[:12]
    ids = rows(1)
    with torch.no_grad():
        behind = fresh(folder)(input_ids=torch.cat([torch.tensor([text]), ids], dim=1)).logits[:, 12:]
        assert gap(model(input_ids=ids).logits, behind) <= 2e-6


def test_starts_are_fixed_by_text_and_seed(tiny):
    folder = tiny("qwen2")

    def start(**knobs):
        seed = knobs.pop("seed", 0)
        model = PTuningV2(virtual_tokens=40, **knobs).attach(fresh(folder), tokenizer=tokenizer_of(folder), seed=seed)
        return torch.cat([p.detach().flatten() for p in adapter_parameters(model).values()])

    assert torch.equal(start(), start(seed=1))
    assert torch.equal(start(init="random"), start(init="random"))
    assert gap(start(init="random"), start(init="random", seed=1)) > 0.1
    assert gap(start(), start(init="random")) > 0.1
    assert gap(start(), start(init_text="stock")) > 0.1


def test_attaching_leaves_the_random_state_and_mode_alone(tiny):
    folder = tiny("qwen2")
    state = torch.get_rng_state()
    for training, init in ((True, "text"), (False, "random")):
        model = fresh(folder).train(training)
        PTuningV2(init=init).attach(model, tokenizer=tokenizer_of(folder), seed=0)
        assert all(part.training == training for part in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


@every_arch
def test_training_moves_the_prefix_alone_and_lowers_the_loss(tiny, arch):
    folder, ids = tiny(arch), rows(2, 24)
    model = PTuningV2(virtual_tokens=8).attach(fresh(folder), tokenizer=tokenizer_of(folder), seed=0).train()
    base = {name: p.clone() for name, p in fresh(folder).named_parameters()}
    optimizer = torch.optim.AdamW(adapter_parameters(model).values(), lr=0.05)
    losses = []
    for _ in range(12):
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        assert {n for n, p in model.named_parameters() if p.grad is not None} == set(adapter_parameters(model))
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3
    assert all(torch.equal(p, base[name]) for name, p in model.named_parameters() if name in base)


def test_half_precision_base_keeps_a_full_precision_prefix(prefixed):
    model, (ids, mask) = prefixed("qwen3", dtype=torch.bfloat16), left_padded()
    loss, grads = gradients(model, ids, None)
    assert math.isfinite(loss)
    assert {p.dtype for p in adapter_parameters(model).values()} == {torch.float32}
    assert {g.dtype for g in grads.values()} == {torch.float32}
    with torch.no_grad():
        near = prefixed("qwen3")(input_ids=ids, attention_mask=mask).logits
        assert (model.eval()(input_ids=ids, attention_mask=mask).logits.float() - near).std() < 0.05 * near.std()
        with torch.autocast("cpu", torch.bfloat16):
            mixed = prefixed("qwen3")(input_ids=ids, attention_mask=mask).logits
        assert (mixed.float() - near).std() < 0.05 * near.std()


def test_restore_takes_back_exactly_what_was_there(prefixed):
    model = prefixed("qwen2")
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
    with pytest.raises(ValueError, match=rf"{first}: saved as \[2, 3, 16\], is \[2, {LENGTH}, 16\]"):
        restore(model, {**kept, first: kept[first][:, :3]})


def test_a_second_adapter_is_refused(prefixed, tiny, tmp_path):
    model = prefixed("qwen2")
    PTuningV2().save(model, tmp_path, base="b")
    for method in METHODS:
        with pytest.raises(ValueError, match="already carries an adapter"):
            method().attach(model, tokenizer=tokenizer_of(tiny("qwen2")), seed=0)
    with pytest.raises(ValueError, match="already carries an adapter"):
        load(model, tmp_path)


def test_another_attention_is_refused_and_never_drops_the_prefix(prefixed):
    model = prefixed("qwen2")
    model.set_attn_implementation("sdpa")
    with pytest.raises(RuntimeError, match="attention is now sdpa, which drops the trained prefix"):
        model(input_ids=rows(1))


def config_of(model_type, **facts):
    return types.SimpleNamespace(**{"model_type": model_type, "max_position_embeddings": 512, **facts})


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (
            config_of("qwen3_next", layer_types=["full_attention", "linear_attention"]),
            "layer 1 of qwen3_next is linear",
        ),
        (config_of("qwen2", layer_types=["sliding_attention"] * 2), "layer 0 of qwen2 is sliding_attention"),
        (config_of("mamba"), r"mamba is not among .*llama, qwen2, qwen3"),
        (config_of("llama", max_position_embeddings=32), "virtual_tokens: 32 leaves no position for a text"),
    ],
)
def test_check_says_why_an_architecture_is_refused(config, reason):
    with pytest.raises(ValueError, match=reason):
        PTuningV2().check(config)


@every_arch
def test_check_passes_the_architectures_tested_here(tiny, arch):
    PTuningV2().check(fresh(tiny(arch)).config)


def test_a_prefix_of_another_shape_is_refused_by_name(prefixed, tiny, tmp_path):
    PTuningV2().save(prefixed("qwen3"), tmp_path, base="b")  # head_dim 24 where qwen2 has 16
    with pytest.raises(ValueError, match=r"prompt_embeddings has shape \[7, 192\], but this model needs \[n, 128\]"):
        load(fresh(tiny("qwen2")), tmp_path)


def test_folders_that_hold_no_prefix_are_refused_by_name(prefixed, tiny, tmp_path):
    from safetensors.torch import save_file

    base = fresh(tiny("qwen2"))
    with pytest.raises(ValueError, match="no adapter_config.json; a PEFT folder"):
        load(base, tmp_path)
    PTuningV2().save(prefixed("qwen2"), tmp_path, base="b")
    config = tmp_path / "adapter_config.json"
    config.write_text(config.read_text("utf-8").replace("PREFIX_TUNING", "IA3"), "utf-8")
    with pytest.raises(ValueError, match="peft_type IA3 is not among LORA, PREFIX_TUNING"):
        load(base, tmp_path)
    config.write_text("[1]", "utf-8")
    with pytest.raises(ValueError, match="no peft_type to be read"):
        load(base, tmp_path)
    config.write_text('{"peft_type": "PREFIX_TUNING"}', "utf-8")
    save_file({"score.weight": torch.zeros(2)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ValueError, match="holds score.weight; a prefix is prompt_embeddings alone"):
        load(base, tmp_path)
