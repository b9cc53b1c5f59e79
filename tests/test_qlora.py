"""QLoRA: a base in NF4 trained, saved, scored and never merged into; gradients stay alive after an evaluation."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from conftest import build_checkpoint
from small_lesson import facts, place, words, write_lesson

from finetune import world as worlds
from finetune.methods import LoRA, adapter_parameters, load
from finetune.methods.merging import merge
from finetune.recipe import Recipe, Train
from finetune.train.__main__ import main
from finetune.train.loop import Loop
from finetune.world import World, open_base, parameter_count

pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed; pip install tuneworth[quantise]")
torch.set_num_threads(1)
ARCHS = ["qwen2", "llama", "qwen3"]
every_arch = pytest.mark.parametrize("arch", ARCHS)
CPU = Path("/proc/cpuinfo")
REPACKS = CPU.is_file() and "avx512_bf16" in CPU.read_text()
QLORA = ("--set", "contenders.lora.method.kind=qlora")


@pytest.fixture(scope="session")
def wide(tmp_path_factory):
    """wide(arch) -> a tiny checkpoint whose widths are multiples of 64, as those of every real one."""
    built = {}

    def make(arch):
        if arch not in built:
            sizes = {"intermediate_size": 128, **({"head_dim": 32} if arch == "qwen3" else {})}
            built[arch] = build_checkpoint(
                tmp_path_factory.mktemp(f"wide-{arch}"), arch, family="r1_distill_qwen", **sizes
            )
        return built[arch]

    return make


def quantised(folder):
    return open_base(folder, torch.float32, four_bit=True)


def ids(length=24):
    return torch.randint(10, 470, (1, length), generator=torch.Generator().manual_seed(1))


@every_arch
def test_every_linear_layer_but_the_head_is_in_four_bits_with_double_quantization(wide, arch):
    from bitsandbytes.nn import Linear4bit

    model = quantised(wide(arch))
    linear = {name: part for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
    assert {name for name, part in linear.items() if not isinstance(part, Linear4bit)} == {"lm_head"}
    states = [part.weight.quant_state for name, part in linear.items() if name != "lm_head"]
    assert {(state.quant_type, state.nested) for state in states} == {("nf4", True)}
    assert model.lm_head.weight.dtype == torch.float32
    assert {part.compute_dtype for name, part in linear.items() if name != "lm_head"} == {torch.float32}
    whole = open_base(wide(arch), torch.float32)
    assert parameter_count(model.parameters()) == parameter_count(whole.parameters())
    with torch.no_grad():
        near, far = model(input_ids=ids()).logits, whole(input_ids=ids()).logits
    assert 1e-3 < (near - far).abs().max() < 0.5 * far.abs().max()


def gradients_of_a_run(recipe, monkeypatch):
    """How many lora_B gradients are zero at each step, of how many; a dev loss is taken in between."""
    seen, take = [], Loop._gradient

    def gradient(self, *args):
        found = take(self, *args)
        grads = [p.grad for name, p in self.stepper.masters.stepped.items() if "lora_B" in name]
        seen.append((sum(not grad.any() for grad in grads), len(grads)))
        return found

    monkeypatch.setattr(Loop, "_gradient", gradient)
    status = main(words(recipe, "lora", *QLORA))
    return status, seen


@every_arch
def test_a_dev_evaluation_leaves_every_gradient_alive(tmp_path, wide, arch, monkeypatch):
    recipe = write_lesson(tmp_path, wide(arch), max_steps=4, dev=0.2, evaluations=2)
    status, seen = gradients_of_a_run(recipe, monkeypatch)
    assert status == 0
    assert seen == [(0, 14)] * 4
    found = facts(recipe)
    assert [step for step, _ in found.dev_losses] == [2, 4]
    assert found.reload_difference == 0
    assert found.logit_shift > 1e-3


@every_arch
@pytest.mark.skipif(not REPACKS, reason="this processor has no avx512_bf16, where alone bitsandbytes repacks weights")
@pytest.mark.filterwarnings("ignore:bitsandbytes..gemv_4bit:UserWarning")
def test_without_the_mend_an_evaluation_kills_training(wide, arch, monkeypatch):
    """What `keep_layout` is for: should a newer bitsandbytes not need it, this fails and it can go."""
    monkeypatch.setattr(worlds, "keep_layout", lambda model: None)
    model = LoRA(rank=4).attach(quantised(wide(arch)), tokenizer=None, seed=0).eval()
    with torch.no_grad():
        model(input_ids=ids())
    model.train()
    try:
        model(input_ids=ids(), labels=ids(), use_cache=False).loss.backward()
    except RuntimeError as fault:
        assert arch == "qwen2", "only its biases show the fault"  # noqa: PT017
        assert "a view of a leaf Variable" in str(fault)  # noqa: PT017
        return
    dead = [name for name, p in adapter_parameters(model).items() if "lora_B" in name and not p.grad.any()]
    assert len(dead) >= 7


@pytest.mark.parametrize("knobs", [{}, {"dora": True}], ids=["lora", "dora"])
@every_arch
@torch.no_grad()
def test_merging_goes_into_a_fresh_base_and_never_into_four_bits(wide, arch, knobs, tmp_path):
    method = LoRA(kind="qlora", rank=4, **knobs)
    model = method.attach(quantised(wide(arch)), tokenizer=None, seed=0)
    draw = torch.Generator().manual_seed(5)
    for tensor in adapter_parameters(model).values():
        tensor += 0.03 * torch.randn(tensor.shape, generator=draw)
    method.save(model, tmp_path, base="b")
    model.eval()(input_ids=ids())
    with pytest.raises(ValueError, match="its base is quantised; load the base anew in bfloat16 or float32"):
        merge(model)
    loaded = load(open_base(wide(arch), torch.float32), tmp_path)
    unmerged = loaded(input_ids=ids()).logits
    assert (merge(loaded)(input_ids=ids()).logits - unmerged).abs().max() <= 1e-5 * unmerged.abs().max()
    again = load(quantised(wide(arch)), tmp_path)(input_ids=ids()).logits
    assert (again - model(input_ids=ids()).logits).abs().max() == 0


@every_arch
@torch.no_grad()
def test_generating_with_a_cache_is_the_whole_forward_pass(wide, arch):
    model = LoRA(rank=4).attach(quantised(wide(arch)), tokenizer=None, seed=0).eval()
    options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    prompt = {"input_ids": ids(), "attention_mask": torch.ones_like(ids())}
    written = model.generate(**prompt, **options)
    assert torch.equal(written, model.generate(**prompt, use_cache=False, **options))


def test_packing_and_checkpointing_change_no_loss_in_four_bits(tmp_path, wide):
    curves = {}
    for name, knobs in {"packed": {}, "single": {"packing": False}, "again": {"checkpointing": True}}.items():
        recipe = write_lesson(tmp_path / name, wide("llama"), max_steps=6, dev=0.2, **knobs)
        assert main(words(recipe, "lora", *QLORA)) == 0
        curves[name] = [loss for _, loss in (*facts(recipe).losses, *facts(recipe).dev_losses)]
    assert curves["again"] == curves["packed"]
    assert curves["single"] == pytest.approx(curves["packed"], abs=2e-5)


@pytest.mark.parametrize("contender", ["prefix", "reencoded", "prompt"])
def test_a_prefix_lives_in_a_base_of_four_bits_too(tmp_path, wide, capsys, contender):
    recipe = write_lesson(tmp_path, wide("qwen3"), max_steps=6, dev=0.2, checkpointing=True)
    assert main(words(recipe, contender, "--set", f"contenders.{contender}.model.dtype=nf4")) == 0
    found = facts(recipe, contender)
    assert found.reload_difference == 0
    assert found.loss_last < found.loss_first
    assert "on nf4 " in capsys.readouterr().out


def test_sums_in_bfloat16_train_and_reload(tmp_path, wide):
    recipe = write_lesson(tmp_path, wide("llama"), max_steps=6, dev=0.2)
    assert main(words(recipe, "lora", *QLORA, "--set", "contenders.lora.model.dtype=bfloat16")) == 0
    assert facts(recipe).reload_difference == 0


def test_a_contender_is_scored_on_the_base_in_four_bits_that_it_was_trained_on(tmp_path, wide):
    from small_exam import model, write_exam, write_recipe

    from eval import items
    from eval.score import __main__ as score
    from finetune.run import RunManifest

    exam, old = write_exam(tmp_path / "exam", 12), model(wide("llama"), "r1_distill_qwen")
    recipe, runs = write_recipe(tmp_path / "r.yaml", exam, old, old), tmp_path / "runs"
    more = ["--out", str(runs), "--set", "contenders.tuned.method.kind=qlora", "--set", "train.max_steps=3"]
    more += ["--set", "contenders.tuned.model.dtype=nf4"]  # sums by the processor, as for the adapter brought below
    assert main([str(recipe), "--contender", "tuned", *more]) == 0
    assert score.main([str(recipe), "--contender", "tuned", *more]) == 0
    there = runs / "r" / "tuned" / "seed-17"
    found = RunManifest.read(there / "score.json").scoring
    assert found.dtype in ("nf4 float32", "nf4 bfloat16")
    assert found.adapter_probe.kl > 0
    rows = items.read(there / "items.jsonl")
    likelihoods = {}
    for name, dtype in (("same", "nf4"), ("whole", "float32")):
        brought = write_recipe(tmp_path / f"{name}.yaml", exam, old | {"dtype": dtype}, old, there / "adapter")
        assert score.main([str(brought), "--contender", "brought", "--out", str(runs)]) == 0
        likelihoods[name] = [r.loglikelihoods for r in items.read(runs / name / "brought" / "seed-0" / "items.jsonl")]
    ours = [row.loglikelihoods for row in rows]
    assert ours == likelihoods["same"]
    assert ours != likelihoods["whole"]


def test_without_bitsandbytes_one_line_says_what_to_install(tmp_path, wide, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else find(name))
    recipe = write_lesson(tmp_path, wide("llama"))
    assert main(words(recipe, "lora", *QLORA)) == 2
    err = capsys.readouterr().err
    assert "a base in 4 bits (nf4) needs bitsandbytes, which is missing; `pip install tuneworth[quantise]`" in err
    assert main(words(recipe, "lora", "--set", "train.optimizer=adamw_8bit")) == 2
    assert "train.optimizer: adamw_8bit needs bitsandbytes" in capsys.readouterr().err
    assert not place(recipe).adapter.exists()


def test_a_split_base_in_four_bits_is_refused(tmp_path, wide):
    from finetune.chat import Chat
    from finetune.train.adapter import Origin
    from finetune.train.misfits import refuse_misfits

    recipe = Recipe.read(write_lesson(tmp_path, wide("llama")), ("contenders.lora.method.kind=qlora",))
    chat = Chat.open(wide("llama"), "r1_distill_qwen", "drop")
    origin = Origin(recipe.contenders["lora"], wide("llama"), chat, recipe.data, torch.float32)
    with pytest.raises(ValueError, match=r"train.launch: FSDP splits the base, .*; use a DDP file"):
        refuse_misfits(origin, None, Train(), World(None, sharded=True))


def test_weights_in_four_bits_are_not_tuned_as_a_whole(tmp_path, wide, capsys):
    recipe = write_lesson(tmp_path, wide("llama"))
    more = ["--set", "contenders.lora.model.dtype=nf4", "--set", "contenders.lora.method={kind: full}"]
    assert main(words(recipe, "lora", *more)) == 2
    assert "method full trains the weights, which dtype nf4 holds in 4 bits" in capsys.readouterr().err


def test_the_adapter_is_plain_peft(tmp_path, wide):
    recipe = write_lesson(tmp_path, wide("qwen2"), max_steps=4)
    assert main(words(recipe, "lora", *QLORA)) == 0
    assert json.loads((place(recipe).adapter / "adapter_config.json").read_text())["peft_type"] == "LORA"
    assert "- Method: kind qlora" in (place(recipe).adapter / "README.md").read_text()
