"""The plan: parameters as real models have, tables and published peaks met, activations counted tensor by tensor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace as Knobs

import pytest
from small_shapes import L3, L7, L8, L13, llama, lora, shape_of

from finetune.checkpoint import ModelSpec
from finetune.mistakes import BadInput
from finetune.plan import GIB, Sheet, memory, share
from finetune.plan.memory import LINEAR_BYTES, activation_bytes, cache_bytes, checkpoint_bytes, weight_bytes
from finetune.recipe import read_yaml
from finetune.shape import Shape

ROOT = Path(__file__).parent.parent


def planned(shape: Shape, knobs, base: str, sheet: Sheet, optimizer: str = "adamw", **how):
    """Memory by part, of a shape under a method."""
    return memory(shape, share(shape, knobs, optimizer), base, sheet, **how)


# Billions of parameters; GiB in bf16, int8, nf4; KiB of cache, a layer, checkpoints; millions of LoRA r=16, a prefix.
PUBLISHED = {
    "r1_distill_qwen_1_5b": (1.777, 3.3, 2.1, 1.5, 28, 92, 84, 18.5, 1.8),
    "r1_distill_qwen_7b": (7.616, 14.2, 8.1, 5.2, 56, 200, 196, 40.4, 3.7),
    "r1_distill_llama_8b": (8.030, 15.0, 8.5, 5.3, 128, 174, 256, 41.9, 8.4),
    "r1_distill_qwen_14b": (14.770, 27.5, 15.2, 9.2, 192, 184, 480, 68.8, 12.6),
    "r1_distill_qwen_32b": (32.764, 61.0, 32.0, 17.9, 256, 292, 640, 134.2, 16.8),
    "r1_distill_llama_70b": (70.554, 131.4, 67.7, 36.8, 320, 342, 1280, 207.1, 21.0),
    "qwen3_1_7b": (None, 3.2, 1.9, 1.3, 112, 82, 112, 17.4, 7.3),
    "qwen3_4b": (None, 7.5, 4.1, 2.5, 144, 126, 180, 33.0, 9.4),
    "qwen3_8b": (None, 15.3, 8.8, 5.7, 144, 158, 288, 43.6, 9.4),
}  # fmt: skip


def test_rows_hold_as_many_tokens_as_fit_into_the_memory_of_a_forward():
    wide, narrow = shape_of("r1_distill_qwen_7b"), shape_of("r1_distill_llama_70b")
    assert wide.held == (3 * 18944 + 4 * 3584) / (28 * 2 * 4 * 128) == pytest.approx(2.48, abs=0.005)
    assert narrow.held == 1


@pytest.mark.parametrize("name", PUBLISHED)
def test_tables_of_the_field_are_met(name):
    """deepseek.md 4.1, derived there from the published configurations."""
    shape, (billions, bf16, int8, nf4, cache, layer, checkpoints, adapter, prefix) = shape_of(name), PUBLISHED[name]
    if billions:
        assert shape.parameters / 1e9 == pytest.approx(billions, abs=0.001)
    for base, size in (("bfloat16", bf16), ("int8", int8), ("nf4_double", nf4)):
        assert weight_bytes(shape, base) / GIB == pytest.approx(size, abs=0.06), base
    assert cache_bytes(shape) / 1024 == cache
    assert activation_bytes(shape, "adapters", fused=True) / 1024 == pytest.approx(layer, abs=0.5)
    assert checkpoint_bytes(shape) / 1024 == checkpoints
    assert share(shape, lora(16)).parameters / 1e6 == pytest.approx(adapter, abs=0.06)
    assert share(shape, lora(8)).parameters * 2 == share(shape, lora(16)).parameters
    two = Knobs(kind="ptuning_v2", virtual_tokens=128)
    assert share(shape, two).parameters / 1e6 == pytest.approx(prefix, abs=0.06)


def test_every_model_with_weights_elsewhere_has_a_shape():
    files = sorted((ROOT / "recipes" / "models").glob("*.yaml"))
    specs = [ModelSpec.model_validate(read_yaml(path)) for path in files]
    assert len(files) == 18
    toys = ["embedded:newer", "embedded:newer_brief", "embedded:older", "embedded:older_brief"]
    assert [spec.id for spec in specs if spec.shape is None] == toys


QV, PURE, GB = lora(8, ("q_proj", "v_proj")), Knobs(kind="full", master="none"), 1e9
# What, model, knobs, base, tokens, checkpointing, chunked loss, peak in bytes.
PEAKS = [
    # litgpt tutorials/resource-tables.md (2023-10-20), A100 40 GB, longest row 1304 tokens, bf16-true, no checkpointing
    ("litgpt 7B, 1 row", L7, QV, "bfloat16", 1304, False, False, 21.30 * GB),
    ("litgpt 7B, 2 rows", L7, QV, "bfloat16", 2608, False, False, 29.07 * GB),
    ("litgpt 7B, nf4", L7, QV, "nf4", 1304, False, False, 14.14 * GB),
    ("litgpt 7B, nf4-dq", L7, QV, "nf4_double", 1304, False, False, 13.84 * GB),
    ("litgpt 13B", L13, QV, "bfloat16", 1304, False, False, 38.12 * GB),
    ("litgpt 13B, nf4", L13, QV, "nf4", 1304, False, False, 23.14 * GB),
    ("litgpt 13B, nf4-dq", L13, QV, "nf4_double", 1304, False, False, 22.55 * GB),
    # LLaMA-Factory wiki, Performance comparison, A100 40 GB, LLaMA2-7B, r=8 on all linear layers, whole gigabytes
    ("LLaMA-Factory 4-bit, 1k", L7, lora(8), "nf4_double", 1024, True, False, 6 * GB),
    ("LLaMA-Factory 4-bit, 4k", L7, lora(8), "nf4_double", 4096, True, False, 9 * GB),
    ("LLaMA-Factory 4-bit, 16k", L7, lora(8), "nf4_double", 16384, True, False, 19 * GB),
    ("LLaMA-Factory 4-bit, 32k", L7, lora(8), "nf4_double", 32768, True, False, 32 * GB),
    ("LLaMA-Factory, 4 x 1024", L7, lora(8), "bfloat16", 4096, True, False, 18 * GB),
    ("LLaMA-Factory FA2, 4 x 1024", L7, lora(8), "bfloat16", 4096, True, False, 17 * GB),
    # torchtune README, Llama-3.2-3B, 2 x 4096 on an A100; each line adds a setting to the one before
    ("torchtune 3B full, packed", L3, PURE, "bfloat16", 8192, False, False, 60.0 * GIB),
    ("torchtune 3B, + compile, chunked loss", L3, PURE, "bfloat16", 8192, False, True, 42.9 * GIB),
    ("torchtune 3B, + checkpointing", L3, PURE, "bfloat16", 8192, True, True, 24.9 * GIB),
    ("torchtune 3B, LoRA", L3, lora(8), "bfloat16", 8192, True, True, 8.5 * GIB),
    ("torchtune 3B, QLoRA", L3, lora(8), "nf4_double", 8192, True, True, 4.6 * GIB),
    # torchtune README, Llama-3.1-8B on a 4090, 2 x 2048 packed, compile, its single-device configurations
    ("torchtune 8B, LoRA", L8, lora(8), "bfloat16", 4096, True, True, 16.2 * GIB),
    ("torchtune 8B, QLoRA", L8, lora(8), "nf4_double", 4096, True, True, 7.4 * GIB),
]


@pytest.mark.parametrize("row", PEAKS, ids=lambda row: row[0])
def test_published_peaks(row):
    _, shape, knobs, base, tokens, checkpointing, chunked, peak = row
    sheet = Sheet(tokens, tokens, checkpointing, packed=False)
    found = planned(shape, knobs, base, sheet, fused=True, chunked=chunked)
    assert 0.9 <= found.total / peak <= 1.25


@pytest.mark.parametrize(
    ("shape", "limit"), [(llama(8192, 80, 64, 22016), 48), (llama(6656, 60, 52, 17920), 24)], ids=["65B", "33B"]
)
def test_qlora_papers_claims(shape, limit):
    """65B on 48 GB, 33B on 24 GB: r=64 on all linear layers, 512 tokens, paged optimizer (arXiv 2305.14314)."""
    sheet = Sheet(512, 512, True, packed=False)
    found = planned(shape, lora(64), "nf4_double", sheet, "paged_adamw_8bit", fused=True, chunked=False)
    assert 0.75 * limit < found.total / GIB < 1.05 * limit


@pytest.mark.parametrize("arch", ["qwen2", "llama", "qwen3"])
def test_parameters_are_those_of_a_real_model(tiny, arch):
    from transformers import AutoModelForCausalLM

    from finetune.methods import Full, LoRA, PTuningV1, PTuningV2, adapter_parameters

    folder = tiny(arch)
    shape = Shape.read(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    for knobs in (
        LoRA(rank=3),
        LoRA(rank=2, targets=("q_proj", "down_proj")),
        PTuningV2(virtual_tokens=5, init="random"),
        PTuningV2(virtual_tokens=5, init="random", reencoder=12),
        PTuningV1(virtual_tokens=5, encoder_hidden=12),
        PTuningV1(virtual_tokens=5, encoder_hidden=12, encoder="lstm"),
        LoRA(rank=3, dora=True),
        Full(),
        Full(last_layers=1),
    ):
        fresh = AutoModelForCausalLM.from_pretrained(folder)
        tuned = knobs.attach(fresh, tokenizer=None, seed=0)
        counted = sum(p.numel() for p in adapter_parameters(tuned).values())
        assert share(shape, knobs).parameters == counted, knobs.kind


@pytest.mark.parametrize("name", ["r1_distill_qwen_7b", "r1_distill_llama_8b", "qwen3_4b"])
def test_parameters_of_the_published_shapes(name):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = shape_of(name)
    kind = "qwen3" if shape.qk_norm else "qwen2" if shape.qkv_bias else "llama"
    config = AutoConfig.for_model(
        kind, hidden_size=shape.hidden, num_hidden_layers=shape.layers, num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads, head_dim=shape.head_dim, intermediate_size=shape.intermediate,
        vocab_size=shape.vocab, tie_word_embeddings=shape.tied,
    )  # fmt: skip
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    model.tie_weights()
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    assert Shape.of(config.to_dict()) == shape


def kept_bytes(model, tokens: int, packed: bool, mixed: bool) -> int:
    """What a forward of the decoder leaves for the backward pass, weights apart."""
    import torch

    from finetune.methods.lora import causal
    from finetune.segments import Segments, adopt
    from finetune.train.beside import beside

    own, seen = {p.untyped_storage().data_ptr() for p in model.parameters()}, {}

    def keep(tensor):
        place = tensor.untyped_storage()
        if place.data_ptr() not in own:
            seen[place.data_ptr()] = tensor, place.nbytes()
        return tensor

    lengths = (tokens * 3 // 4, tokens // 4) if packed else (tokens,)
    positions = torch.cat([torch.arange(length) for length in lengths])
    asked = {"input_ids": torch.ones(1, tokens, dtype=torch.long), "position_ids": positions[None], "use_cache": False}
    if packed:
        adopt(causal(model))
        asked["segments"] = Segments.of(lengths, positions.device)
    mixing = torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), mixing, beside(model):
        causal(model.train()).get_decoder()(**asked)
    return sum(size for _, size in seen.values())


@pytest.mark.parametrize("packed", [False, True], ids=["alone", "packed"])
@pytest.mark.parametrize("base", ["float32", "bfloat16"])
@pytest.mark.parametrize("arch", ["qwen2", "llama", "qwen3"])
@pytest.mark.parametrize("kind", ["lora", "ptuning_v1", "ptuning_v2", "full"])
def test_activations_are_those_that_are_kept(arch, base, packed, kind, monkeypatch):
    """Two depths of a real model, one forward each: the difference is what a layer keeps.

    With the fused attention of accelerators, which the plan is for: a processor keeps short texts' scores besides.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from finetune import segments
    from finetune.methods import Full, LoRA, PTuningV1, PTuningV2

    monkeypatch.setattr(segments, "STRIPE", 0)
    knobs = {
        "lora": LoRA(rank=1),
        "ptuning_v1": PTuningV1(virtual_tokens=1, encoder_hidden=1),
        "ptuning_v2": PTuningV2(virtual_tokens=1, init="random"),
        "full": Full(),
    }
    tokens, dtype = 256, torch.float32 if base == "float32" else torch.bfloat16
    sizes = {"hidden_size": 192, "intermediate_size": 640, "num_attention_heads": 6, "num_key_value_heads": 2}
    kept, shape = [], None
    for depth in (1, 2):
        config = AutoConfig.for_model(arch, **sizes, head_dim=32, vocab_size=64, num_hidden_layers=depth)
        model = AutoModelForCausalLM.from_config(config).to(dtype)
        shape = Shape.of(config.to_dict())
        model = knobs[kind].attach(model, tokenizer=None, seed=0)
        kept.append(kept_bytes(model, tokens, packed, dtype != torch.float32))
    expected = activation_bytes(
        shape, share(shape, knobs[kind]).kept, base=base, packed=tokens * 3 // 4 if packed else 0
    )
    assert (kept[1] - kept[0]) / tokens == pytest.approx(expected, rel=0.03)


def test_memory_grows_with_what_it_should():
    shape = shape_of("r1_distill_qwen_7b")
    sheet = Sheet(4096, 4096)
    plain = planned(shape, lora(16), "bfloat16", sheet)
    spare = planned(shape, lora(16), "bfloat16", Sheet(4096, 4096, checkpointing=True))
    assert spare.activations < plain.activations / 10
    assert planned(shape, lora(16), "nf4_double", sheet).weights < 0.4 * plain.weights
    assert share(shape, lora(16), "adamw_8bit").state_bytes == share(shape, lora(16)).state_bytes - 6 * 40_370_176
    mixed, pure = Knobs(kind="full", master="float32"), Knobs(kind="full", master="none")
    for knobs, each in ((mixed, 18), (pure, 8)):
        whole = planned(shape, knobs, "bfloat16", sheet)
        assert (whole.weights + whole.state) / shape.parameters == pytest.approx(each)
    some = share(shape, Knobs(kind="full", last_layers=2))
    assert some.parameters == 2 * shape.layer_weights + shape.hidden
    assert memory(shape, some, "bfloat16", sheet).activations < plain.activations / 10
    assert LINEAR_BYTES["nf4_double"] == pytest.approx(0.516, abs=5e-4)
    with pytest.raises(BadInput, match="no plan of its memory"):
        share(shape, Knobs(kind="wishing"))


def test_the_plan_needs_no_torch():
    code = (
        "import sys, finetune.plan, eval.forecast\n"
        "assert not {'torch', 'transformers', 'peft', 'numpy'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_the_error_that_is_told_is_the_one_found():
    ratios = []
    for _, shape, knobs, base, tokens, checkpointing, chunked, peak in PEAKS:
        sheet = Sheet(tokens, tokens, checkpointing, packed=False)
        ratios.append(planned(shape, knobs, base, sheet, fused=True, chunked=chunked).total / peak)
    low, high = (f"{abs(ratio - 1) * 100:.0f} %" for ratio in (min(ratios), max(ratios)))
    told = f"{len(ratios)} published peaks from {low} below to {high} above"
    for place in ("README.md", "eval/forecast/__init__.py"):
        assert told in (ROOT / place).read_text("utf-8"), place
