"""rsLoRA and DoRA: their scale, their start, packing and checkpointing in a real run, PEFT's format, and merging."""

from __future__ import annotations

import json

import pytest
import torch
from conftest import build_checkpoint
from small_lesson import facts, place, words, write_lesson
from test_lora import attach, every_arch, fresh, gap, rows

from finetune.methods import LoRA, PTuningV2, adapter_parameters, load
from finetune.methods.merging import merge
from finetune.recipe import Recipe
from finetune.train.__main__ import main

torch.set_num_threads(1)
KIN = {"lora": {}, "rslora": {"rslora": True}, "dora": {"dora": True}}
every_kin = pytest.mark.parametrize("kin", KIN)


def moved(model):
    """The model with its adapter far from its start, as after training."""
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in adapter_parameters(model).values():
            tensor += 0.03 * torch.randn(tensor.shape, generator=draw)
    return model.eval()


@every_arch
@torch.no_grad()
def test_dora_starts_as_the_base_and_trains_one_magnitude_an_output(tiny, arch):
    model, base, ids = attach(tiny(arch), LoRA(rank=4, dora=True)), fresh(tiny(arch)), rows()
    assert gap(model(input_ids=ids).logits, base(input_ids=ids).logits) <= 1e-5
    own = adapter_parameters(model)
    sizes = {name.partition(".lora_")[0]: p.shape for name, p in own.items() if "magnitude" in name}
    linear = {f"base_model.model.{name}": part for name, part in base.named_modules() if "_proj" in name}
    assert sizes == {name: (part.out_features,) for name, part in linear.items()}
    assert [name for name, p in model.named_parameters() if p.requires_grad] == list(own)


@torch.no_grad()
def test_rslora_is_stronger_by_the_root_of_the_rank(tiny):
    base, hidden = fresh(tiny("llama")), torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    layer = "model.layers.0.mlp.up_proj"

    def added(**knobs):
        model = moved(attach(tiny("llama"), LoRA(rank=4, **knobs)))
        return model.get_submodule(f"base_model.model.{layer}")(hidden) - base.get_submodule(layer)(hidden)

    assert gap(added(rslora=True), 2 * added()) <= 1e-6


@every_arch
@every_kin
def test_merged_is_unmerged_and_reloaded_is_trained(tiny, arch, kin, tmp_path):
    """2e-6 of the largest logit in float32; in bfloat16 the sums are rounded to 8 bits: 2e-2 here."""
    from peft import PeftModel

    method, ids = LoRA(rank=4, **KIN[kin]), rows()
    model = moved(attach(tiny(arch), method))
    method.save(model, tmp_path, base="b")
    with torch.no_grad():
        want = model(input_ids=ids).logits
        assert gap(PeftModel.from_pretrained(fresh(tiny(arch)), tmp_path).eval()(input_ids=ids).logits, want) == 0
        for dtype, bound in ((torch.float32, 1e-5), (torch.bfloat16, 6e-2)):
            loaded = load(fresh(tiny(arch), dtype=dtype), tmp_path)
            unmerged = loaded(input_ids=ids).logits.float()
            merged = merge(loaded)
            assert type(merged) is type(fresh(tiny(arch)))
            assert not adapter_parameters(merged)
            assert {p.dtype for p in merged.parameters()} == {dtype}
            assert gap(merged(input_ids=ids).logits.float(), unmerged) <= bound
        assert gap(load(fresh(tiny(arch)), tmp_path)(input_ids=ids).logits, want) == 0
    assert json.loads((tmp_path / "adapter_config.json").read_text())["use_" + kin] if kin != "lora" else True


def test_what_cannot_be_merged_is_refused_with_the_reason(tiny):
    from finetune.chat import Chat

    tokenizer = Chat.open(tiny("qwen2"), "r1_distill_qwen", "drop").tokenizer
    with pytest.raises(ValueError, match="keys and values beside the tokens, which no weight can hold"):
        merge(PTuningV2(virtual_tokens=4).attach(fresh(tiny("qwen2")), tokenizer=tokenizer, seed=0))
    with pytest.raises(ValueError, match="no low-rank adapter"):
        merge(fresh(tiny("qwen2")))
    tied = fresh(tiny("qwen2"), tie_word_embeddings=True)
    with pytest.warns(UserWarning, match="tie_word_embeddings"):
        headed = LoRA(targets=("lm_head", "up_proj")).attach(tied, tokenizer=None, seed=0)
    with pytest.raises(ValueError, match="lm_head is tied to the embeddings"):
        merge(headed)
    broken = attach(tiny("qwen2"))
    with torch.no_grad():
        next(p for name, p in adapter_parameters(broken).items() if "lora_B" in name).fill_(float("nan"))
    with pytest.raises(ValueError, match="NaN"):
        merge(broken)


@pytest.mark.parametrize("kin", ["rslora", "dora"])
@pytest.mark.parametrize("arch", ["qwen2", *(pytest.param(a, marks=pytest.mark.slow) for a in ("llama", "qwen3"))])
def test_a_run_with_packing_or_checkpointing_is_the_run_without(tmp_path, arch, kin):
    curves, folder = {}, build_checkpoint(tmp_path / "base", arch, family="r1_distill_qwen")
    for name, knobs in {"packed": {}, "single": {"packing": False}, "again": {"checkpointing": True}}.items():
        recipe = write_lesson(tmp_path / name, folder, max_steps=6, dev=0.2, **knobs)
        assert main(words(recipe, "lora", "--set", f"contenders.lora.method.{kin}=true")) == 0
        found = facts(recipe)
        curves[name] = [loss for _, loss in (*found.losses, *found.dev_losses)]
        assert found.reload_difference == 0
        config = json.loads((place(recipe).adapter / "adapter_config.json").read_text())
        assert config[f"use_{kin}"]
    assert curves["again"] == curves["packed"]
    assert curves["single"] == pytest.approx(curves["packed"], abs=1e-4)  # two kernels' rounding, six steps on


def test_younger_keys_at_their_defaults_leave_what_is_trained_alone(tmp_path, tiny):
    recipe = write_lesson(tmp_path, tiny("qwen2"))

    def fingerprint(*changes):
        return Recipe.read(recipe, changes).train_fingerprint("lora", 17)

    method = "contenders.lora.method"
    same = ("train.optimizer=adamw", f"{method}.rslora=false", f"{method}.dora=false")
    assert {fingerprint(change) for change in same} == {fingerprint()}
    other = ("train.optimizer=adamw_8bit", f"{method}.rslora=true", f"{method}.dora=true", f"{method}.kind=qlora")
    assert len({fingerprint(), *map(fingerprint, other)}) == 5
