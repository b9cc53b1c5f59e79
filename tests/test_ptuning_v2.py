"""P-Tuning v2: PEFT's prefix on disk, starts from text or draw, a re-encoder that starts where the text does."""

from __future__ import annotations

import json
import types

import pytest
import torch
from small_prompts import FORMS, every_arch, fresh, gap, left_padded, prompted, rows, tokenizer_of

from finetune.methods import PTuningV1, PTuningV2, adapter_parameters, load

torch.set_num_threads(1)
both_forms = pytest.mark.parametrize("form", ["direct", "reencoded"])


@both_forms
@every_arch
@torch.no_grad()
def test_equals_peft_given_the_same_positions(tiny, form, arch, tmp_path):
    """Saved, the folder is plain PEFT: PeftModel loads it and gives the same logits, padded rows included."""
    from peft import PeftModel

    model, (ids, mask) = prompted(tiny(arch), form), left_padded()
    FORMS[form].save(model, tmp_path, base="some/base")
    theirs = PeftModel.from_pretrained(fresh(tiny(arch)), tmp_path).eval()
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    call = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
    assert gap(theirs(**call).logits * mask[..., None], model(**call).logits * mask[..., None]) <= 1e-6
    assert gap(model(**call).logits, model(input_ids=ids, attention_mask=mask).logits) == 0
    config = json.loads((tmp_path / "adapter_config.json").read_text("utf-8"))
    assert (config["peft_type"], config["base_model_name_or_path"]) == ("PREFIX_TUNING", "some/base")


@every_arch
@pytest.mark.parametrize("reencoder", [None, 24])
def test_text_start_is_what_the_text_leaves_in_the_cache(tiny, arch, reencoder):
    """So the prefixed model reads on exactly as the base does behind that text; a re-encoder starts there too."""
    folder = tiny(arch)
    method = PTuningV2(virtual_tokens=12, init_text="公司净利润大增, the stock rose", reencoder=reencoder)
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


def test_all_that_a_reencoder_learns_is_among_the_adapters_own(tiny):
    """Embedding and MLP go into a checkpoint; the fixed start is made anew from text or seed."""
    folder, method = tiny("qwen2"), FORMS["reencoded"]
    model = method.attach(fresh(folder), tokenizer=tokenizer_of(folder), seed=3)
    shapes = {name.partition("prompt_encoder.")[2]: list(p.shape) for name, p in adapter_parameters(model).items()}
    assert shapes == {
        "embedding.weight": [7, 64], "mlp.0.weight": [24, 64], "mlp.0.bias": [24],
        "mlp.2.weight": [128, 24], "mlp.2.bias": [128],
    }  # fmt: skip
    drawn = [
        method.attach(fresh(folder), tokenizer=tokenizer_of(folder), seed=seed).base_model.prompt_encoder
        for seed in (3, 4)
    ]
    assert torch.equal(drawn[0]["embedding"].weight, model.base_model.prompt_encoder["embedding"].weight)
    assert gap(drawn[1]["embedding"].weight, drawn[0]["embedding"].weight) > 0.1
    assert torch.equal(drawn[1].start, drawn[0].start)


def test_a_reencoder_asks_for_a_lower_rate():
    assert PTuningV2().learning_rate == 5e-3
    assert PTuningV2(reencoder=512).learning_rate == 1e-3
    assert PTuningV2(reencoder=512, learning_rate=0.02).learning_rate == 0.02


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
    for method in (PTuningV2(), PTuningV1(virtual_tokens=32)):
        with pytest.raises(ValueError, match=reason):
            method.check(config)


@every_arch
def test_check_passes_the_architectures_tested_here(tiny, arch):
    PTuningV2().check(fresh(tiny(arch)).config)


def test_a_prefix_of_another_shape_is_refused_by_name(tiny, tmp_path):
    PTuningV2().save(prompted(tiny("qwen3"), "direct"), tmp_path, base="b")  # head_dim 24 where qwen2 has 16
    with pytest.raises(ValueError, match=r"prompt_embeddings has shape \[7, 192\], but this model needs \[n, 128\]"):
        load(fresh(tiny("qwen2")), tmp_path)


def test_folders_that_hold_no_prefix_are_refused_by_name(tiny, tmp_path):
    from safetensors.torch import save_file

    base = fresh(tiny("qwen2"))
    with pytest.raises(ValueError, match="no adapter_config.json and no adapter_model.safetensors; a PEFT"):
        load(base, tmp_path)
    PTuningV2().save(prompted(tiny("qwen2"), "direct"), tmp_path, base="b")
    config = tmp_path / "adapter_config.json"
    config.write_text(config.read_text("utf-8").replace("PREFIX_TUNING", "IA3"), "utf-8")
    with pytest.raises(ValueError, match="peft_type IA3 is not among LORA, PREFIX_TUNING, P_TUNING"):
        load(base, tmp_path)
    config.write_text("[1]", "utf-8")
    with pytest.raises(ValueError, match="no peft_type to be read"):
        load(base, tmp_path)
    config.write_text('{"peft_type": "PREFIX_TUNING"}', "utf-8")
    save_file({"score.weight": torch.zeros(2)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ValueError, match="holds score.weight; a prefix is prompt_embeddings alone"):
        load(base, tmp_path)
