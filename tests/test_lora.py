"""LoRA on every linear layer: nothing at step 0, no leaks, the same gradients under checkpointing, PEFT's on disk."""

from __future__ import annotations

import json
import types
from typing import get_args

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from small_prompts import every_arch, fresh, gap, gradients, rows, tokenizer_of

from finetune.methods import METHODS, AnyMethod, LoRA, adapter_parameters, load
from finetune.methods.lora import LINEARS

torch.set_num_threads(1)


def attach(folder, method=None, *, seed=0, **options):
    return (method or LoRA(rank=4)).attach(fresh(folder, **options), tokenizer=tokenizer_of(folder), seed=seed)


@pytest.fixture
def tuned(tiny):
    """A model whose adapter is far from zero, as after training: every tensor moved by seeded draws."""

    def make(arch, method=None, **options):
        model, draw = attach(tiny(arch), method, **options), torch.Generator().manual_seed(5)
        with torch.no_grad():
            for tensor in adapter_parameters(model).values():
                tensor += 0.03 * torch.randn(tensor.shape, generator=draw)
        return model.eval()

    return make


@every_arch
@torch.no_grad()
def test_untrained_adapter_is_exactly_the_base(tiny, arch):
    ids = rows()
    assert gap(attach(tiny(arch))(input_ids=ids).logits, fresh(tiny(arch))(input_ids=ids).logits) == 0


@every_arch
def test_every_linear_layer_but_the_head_is_tuned_and_nothing_else(tiny, arch):
    model, base = attach(tiny(arch)), fresh(tiny(arch))
    own = adapter_parameters(model)
    layers = {name.partition(".lora_")[0].removeprefix("base_model.model.") for name in own}
    linear = {name for name, part in base.named_modules() if isinstance(part, torch.nn.Linear)}
    assert layers == linear - {"lm_head"}
    assert {name.rpartition(".")[2] for name in layers} == set(LINEARS)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == list(own)
    assert model.get_input_embeddings().weight.shape == base.get_input_embeddings().weight.shape


@every_arch
def test_named_targets_alone_are_tuned(tiny, arch):
    model = attach(tiny(arch), LoRA(targets=("q_proj", "layers.1.mlp.up_proj")))
    layers = {name.partition(".lora_")[0].partition("layers.")[2] for name in adapter_parameters(model)}
    assert layers == {"0.self_attn.q_proj", "1.self_attn.q_proj", "1.mlp.up_proj"}


@every_arch
def test_a_target_that_matches_nothing_is_refused_with_the_nearest_names(tiny, arch):
    """PEFT would take ("q_proj", "up_porj") and train q_proj alone."""
    method = LoRA(targets=("q_proj", "up_porj"))
    with pytest.raises(ValueError, match=r"targets: up_porj matches no linear layer; the nearest are up_proj, "):
        attach(tiny(arch), method)
    with pytest.raises(ValueError, match="up_porj matches no linear layer; the nearest are up_proj"):
        method.check(fresh(tiny(arch)).config)
    with pytest.raises(ValueError, match="embed_tokens matches no linear layer"):
        attach(tiny(arch), LoRA(targets=("embed_tokens",)))
    LoRA(targets=("q_proj", "mlp.up_proj", "lm_head")).check(fresh(tiny(arch)).config)
    LoRA(targets=("anything",)).check(types.SimpleNamespace(model_type="not_known_here"))


def test_start_is_drawn_by_the_seed_and_the_random_state_kept(tiny):
    state = torch.get_rng_state()
    one, same, other = (adapter_parameters(attach(tiny("qwen2"), seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert sum(not torch.equal(one[name], other[name]) for name in one) == len(one) // 2


@torch.no_grad()
def test_each_knob_reaches_the_model(tiny, tuned):
    base, ids = fresh(tiny("llama")), rows()
    layer, hidden = "model.layers.0.mlp.up_proj", torch.randn(5, 64, generator=torch.Generator().manual_seed(0))

    def added(**knobs):
        model = tuned("llama", LoRA(rank=4, **knobs))
        return model.get_submodule(f"base_model.model.{layer}")(hidden) - base.get_submodule(layer)(hidden)

    assert gap(added(alpha=16), 2 * added(alpha=8)) <= 1e-6
    assert {
        tuple(p.shape)[0] for n, p in adapter_parameters(tuned("llama", LoRA(rank=3))).items() if "lora_A" in n
    } == {3}
    for dropout in (0.0, 0.5):
        model = tuned("llama", LoRA(rank=4, dropout=dropout))
        still = model(input_ids=ids).logits
        torch.manual_seed(0)
        assert (gap(model.train()(input_ids=ids).logits, still) > 1e-3) == (dropout > 0)


@every_arch
def test_saved_and_loaded_is_bit_equal_here_and_in_plain_peft(tuned, tiny, arch, tmp_path):
    from peft import PeftModel

    model, ids = tuned(arch), rows()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        LoRA().save(model, tmp_path / name, base="some/base")
    folder = tmp_path / "one"
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert sorted(p.name for p in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    assert (config["base_model_name_or_path"], config["target_modules"]) == ("some/base", sorted(LINEARS))
    state = torch.get_rng_state()
    ours = load(fresh(tiny(arch)), folder)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(part.training for part in ours.modules())
    assert not any(p.requires_grad for p in ours.parameters())
    theirs = PeftModel.from_pretrained(fresh(tiny(arch)), folder).eval()
    with torch.no_grad():
        want = model(input_ids=ids).logits
        assert gap(want, fresh(tiny(arch))(input_ids=ids).logits) > 1e-2
        assert gap(ours(input_ids=ids).logits, want) == 0
        assert gap(theirs(input_ids=ids).logits, want) == 0
    again = load(fresh(tiny(arch)), folder, trainable=True)
    assert all(part.training for part in again.modules())
    assert [n for n, p in again.named_parameters() if p.requires_grad] == list(adapter_parameters(model))


def test_loads_a_lora_tuned_by_peft_with_knobs_of_its_own(tiny, tmp_path):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(
        task_type="CAUSAL_LM", r=3, use_dora=True, use_rslora=True, target_modules=r".*\.(v|down)_proj",
        rank_pattern={"down_proj": 5}, init_lora_weights="gaussian",
    )  # fmt: skip
    theirs, ids = get_peft_model(fresh(tiny("qwen3")), config).eval(), rows()
    with torch.no_grad():
        for tensor in adapter_parameters(theirs).values():
            tensor += 0.1 * torch.randn(tensor.shape)
        theirs.save_pretrained(tmp_path)
        ours = load(fresh(tiny("qwen3")), tmp_path)
        assert gap(ours(input_ids=ids).logits, theirs(input_ids=ids).logits) == 0
        LoRA().save(ours, tmp_path, base="b")
        assert gap(load(fresh(tiny("qwen3")), tmp_path)(input_ids=ids).logits, theirs(input_ids=ids).logits) == 0


def test_an_adapter_that_does_not_fit_is_refused_by_name(tuned, tiny, tmp_path):
    from safetensors.torch import load_file, save_file

    LoRA().save(tuned("qwen3"), tmp_path, base="b")  # head_dim 24 where qwen2 has 16
    with pytest.raises(ValueError, match=r"size mismatch for base_model.*q_proj\.lora_B"):
        load(fresh(tiny("qwen2")), tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    tensors = load_file(file)
    lost = next(name for name in tensors if "layers.1.mlp" in name)
    save_file({name: tensor for name, tensor in tensors.items() if name != lost}, file)
    with pytest.raises(ValueError, match=f"{lost} is not in the adapter's file"):
        load(fresh(tiny("qwen3")), tmp_path)
    save_file({**tensors, lost.replace("layers.1", "layers.2"): tensors[lost].clone()}, file)
    with pytest.raises(ValueError, match=r"layers\.2\.mlp.* has no place in this model"):
        load(fresh(tiny("qwen3")), tmp_path)


def test_half_precision_base_keeps_a_full_precision_adapter(tuned, tmp_path, tiny):
    model = tuned("qwen3", dtype=torch.bfloat16)
    assert {p.dtype for p in adapter_parameters(model).values()} == {torch.float32}
    LoRA().save(model, tmp_path, base="b")
    again = load(fresh(tiny("qwen3"), dtype=torch.bfloat16), tmp_path)
    assert {p.dtype for p in adapter_parameters(again).values()} == {torch.float32}
    with torch.no_grad():
        assert gap(again(input_ids=rows()).logits, model(input_ids=rows()).logits) == 0
    _, grads = gradients(model, rows(), None)
    assert {g.dtype for g in grads.values()} == {torch.float32}


def test_knobs_are_read_by_kind_and_each_says_what_it_does():
    reader = TypeAdapter(AnyMethod)
    assert reader.validate_python({"kind": "lora", "targets": ["q_proj"]}) == LoRA(targets=("q_proj",))
    assert [reader.validate_python({"kind": m().kind}) for m in METHODS] == [m() for m in METHODS]
    for wrong in ({"kind": "lora", "rank": 0}, {"kind": "lora", "targets": []}, {"kind": "lora", "rnak": 4}):
        with pytest.raises(ValidationError):
            reader.validate_python(wrong)
    for method in METHODS:
        knobs = method.model_json_schema()["properties"]
        assert all(len(knobs[name].get("description", "")) > 30 for name in knobs if name != "kind"), knobs
        assert LoRA().learning_rate < METHODS[1]().learning_rate


@pytest.mark.parametrize("method", METHODS, ids=lambda each: each.__name__)
def test_no_knob_is_endless(method):
    """A rate of infinity would be found out in the second step, after every weight has been read."""
    kinds = {name: field.annotation for name, field in method.model_fields.items()}
    knobs = [name for name, kind in kinds.items() if float in (kind, *get_args(kind))]
    assert "learning_rate" in knobs
    for name in knobs:
        with pytest.raises(ValidationError, match=f"{name}\n.*finite number"):
            method(**{name: float("inf")})


def test_importing_the_methods_loads_nothing_heavy():
    import subprocess
    import sys

    line = "import finetune.methods, sys; print({'torch', 'transformers', 'peft', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", line], capture_output=True, text=True).stdout.strip() == "set()"
