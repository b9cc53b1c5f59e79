"""Full tuning: every weight or the last layers, a plain checkpoint on disk, float32 copies under half precision."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from conftest import build_checkpoint
from safetensors.torch import load_file
from small_lesson import facts, place, words, write_lesson
from transformers import AutoModelForCausalLM, AutoTokenizer

from finetune.methods import Full, LoRA, adapter_digest, adapter_norm, adapter_parameters, load
from finetune.recipe import Recipe
from finetune.run import RunDir
from finetune.train.__main__ import main
from finetune.train.loop import Loop
from finetune.train.masters import Masters
from finetune.world import World

torch.set_num_threads(1)
every_arch = pytest.mark.parametrize("arch", ["qwen2", "llama", "qwen3"])
IDS = torch.arange(40, 60)[None]


def fresh(folder, **options):
    return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, **{"dtype": torch.float32, **options})


def attach(folder, method=None, **options):
    return (method or Full()).attach(fresh(folder, **options), tokenizer=None, seed=0)


def moved(model):
    """As after training: what is trained was moved by seeded draws."""
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in adapter_parameters(model).values():
            tensor += 0.03 * torch.randn(tensor.shape, generator=draw).to(tensor.dtype)
    return model.eval()


@torch.no_grad()
def logits(model):
    return model(input_ids=IDS).logits


@pytest.fixture
def tied(tiny, tmp_path):
    """A tiny Qwen2 whose output head is its embedding, as in the smallest distills' bases."""
    folder = build_checkpoint(tmp_path / "tied", "qwen2")
    model = fresh(folder)
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(folder)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    return folder


@every_arch
def test_every_weight_is_trained_or_the_last_layers_and_the_norm(tiny, arch):
    model = attach(tiny(arch))
    assert list(adapter_parameters(model)) == [name for name, _ in model.named_parameters()]
    assert all(p.requires_grad for p in model.parameters())
    last = attach(tiny(arch), Full(last_layers=1))
    names = list(adapter_parameters(last))
    assert {name.rpartition("layers.")[2].partition(".")[0] for name in names} == {"1", "model"}
    assert "model.norm.weight" in names
    assert not {"model.embed_tokens.weight", "lm_head.weight"} & set(names)
    assert names == [name for name, p in last.named_parameters() if p.requires_grad]


@every_arch
def test_what_is_saved_is_a_checkpoint_for_plain_transformers(tiny, arch, tmp_path):
    model = moved(attach(tiny(arch)))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Full().save(model, tmp_path / name, base="some/base")
    folder = tmp_path / "one"
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
        assert str(tiny(arch)) not in path.read_bytes().decode("latin-1")
    want = logits(model)
    assert torch.equal(logits(fresh(folder).eval()), want)
    ours = load(fresh(tiny(arch)), folder)
    assert torch.equal(logits(ours), want)
    assert not torch.equal(want, logits(fresh(tiny(arch))))
    base, own = (load_file(each / "model.safetensors") for each in (tiny(arch), folder))
    apart = torch.stack([(own[name] - base[name]).norm() for name in base]).norm()
    assert adapter_norm(ours) == pytest.approx(float(apart), rel=1e-5)
    assert adapter_norm(load(fresh(folder), folder)) == 0
    words = "公司净利润大增"
    plain = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert plain(words).input_ids == AutoTokenizer.from_pretrained(tiny(arch), local_files_only=True)(words).input_ids
    again = load(fresh(tiny(arch)), folder, trainable=True)
    assert all(p.requires_grad for p in again.parameters())


def test_last_layers_are_known_again(tiny, tmp_path):
    model = moved(attach(tiny("qwen3"), Full(last_layers=1)))
    Full(last_layers=1).save(model, tmp_path, base="b")
    again = load(fresh(tiny("qwen3")), tmp_path, trainable=True)
    assert list(adapter_parameters(again)) == list(adapter_parameters(model))
    assert [n for n, p in again.named_parameters() if p.requires_grad] == list(adapter_parameters(model))
    assert torch.equal(logits(again.eval()), logits(model))


def test_a_vendors_contradictory_generation_config_is_kept_as_it_is(tiny, tmp_path):
    origin = shutil.copytree(tiny("qwen2"), tmp_path / "origin")
    said = {"do_sample": False, "temperature": 0.6, "eos_token_id": 3}
    (origin / "generation_config.json").write_text(json.dumps(said))
    (tmp_path / "out").mkdir()
    Full().save(attach(origin), tmp_path / "out", base="b")
    assert json.loads((tmp_path / "out" / "generation_config.json").read_text()) == said


def test_large_checkpoints_are_written_in_parts_and_read_back(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("finetune.methods.full.SHARD", "100KB")
    model = moved(attach(tiny("llama")))
    Full().save(model, tmp_path, base="b")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    assert torch.equal(logits(load(fresh(tiny("llama")), tmp_path)), logits(model))
    before = adapter_digest(tmp_path)
    part = sorted(tmp_path.glob("model-*.safetensors"))[-1]
    part.write_bytes(part.read_bytes()[:-1] + b"\1")
    assert adapter_digest(tmp_path) != before
    part.unlink()
    with pytest.raises(ValueError, match=f"no {part.name}"):
        load(fresh(tiny("llama")), tmp_path)


def test_tied_embeddings_are_one_weight(tied, tmp_path):
    model = moved(attach(tied))
    assert "lm_head.weight" not in adapter_parameters(model)
    (tmp_path / "out").mkdir()
    Full().save(model, tmp_path / "out", base="b")
    again = load(fresh(tied), tmp_path / "out")
    assert again.get_output_embeddings().weight is again.get_input_embeddings().weight
    assert torch.equal(logits(again), logits(model))
    assert torch.equal(logits(fresh(tmp_path / "out").eval()), logits(model))


def test_weights_that_do_not_fit_are_refused_by_name_and_nothing_is_copied(tiny, tied, tmp_path):
    Full().save(moved(attach(tiny("qwen3"))), tmp_path, base="b")
    model = fresh(tiny("qwen2")).eval()
    before = logits(model)
    with pytest.raises(
        ValueError, match=r"do not fit this model: model\.layers\.0\.self_attn\.k_norm\.weight has no pl"
    ):
        load(model, tmp_path)
    assert torch.equal(logits(model), before)
    with pytest.raises(ValueError, match=r"lm_head.weight is not in the checkpoint"):
        load(fresh(tiny("qwen2")), tied)
    wide = build_checkpoint(tmp_path / "wide", "qwen3", rows=520)
    with pytest.raises(ValueError, match=r"lm_head.weight is \[512, 64\] in the checkpoint, \[520, 64\] in this model"):
        load(fresh(wide), tmp_path)


def test_refusals(tiny):
    with pytest.raises(ValueError, match="last_layers: 3, but qwen2 here has 2 layers; leave it out"):
        Full(last_layers=3).check(fresh(tiny("qwen2")).config)
    with pytest.raises(ValueError, match="already carries tuned weights"):
        LoRA().attach(attach(tiny("qwen2")), tokenizer=None, seed=0)


def test_masters_take_steps_that_half_precision_would_lose():
    """A hundred steps of 1e-5 on a weight of 1: bfloat16 alone stays where it was, its float32 copy does not."""
    ends = {}
    for copies in (True, False):
        own = torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
        masters = Masters({"own": own}, copies=copies)
        optimizer = torch.optim.SGD(masters.stepped.values(), lr=1e-4)
        for _ in range(100):
            for _ in range(2):  # two forward passes a step: their gradients are summed
                (own.float().sum() / 2).backward()
            optimizer.step()
            optimizer.zero_grad()
            masters.give()
        ends[copies] = float(own[0].detach())
        assert float(masters.stepped["own"][0].detach()) == pytest.approx(0.99 if copies else 1.0, abs=1e-4)
    assert ends[True] == pytest.approx(0.99, abs=3e-3)
    assert ends[False] == 1.0


def test_vectors_are_not_decayed(tiny, tmp_path, monkeypatch):
    """Weight decay of 1 and a gradient of 0: matrices shrink at once, norms and biases stay to the last bit."""
    recipe = write_lesson(tmp_path, tiny("qwen2"), weight_decay=1.0, max_steps=1, warmup=0, dev=0)
    gradient = Loop._gradient

    def none(self, *asked):
        found = gradient(self, *asked)
        for parameter in self.stepper.parameters:
            parameter.grad.zero_()
        return found

    monkeypatch.setattr(Loop, "_gradient", none)
    assert main(words(recipe, "full", "--set", "contenders.full.method.learning_rate=0.1")) == 0
    base, tuned = (load_file(folder / "model.safetensors") for folder in (tiny("qwen2"), place(recipe, "full").adapter))
    assert {name for name in base if torch.equal(base[name], tuned[name])} == {n for n in base if base[n].ndim < 2}
    matrices = [name for name in base if base[name].ndim == 2]
    assert all(torch.allclose(tuned[name], 0.9 * base[name]) for name in matrices)


@every_arch
def test_training_keeps_a_checkpoint_that_scores_as_it_was_trained(tmp_path, arch):
    base = build_checkpoint(tmp_path / "base", arch, family="r1_distill_qwen")
    recipe = write_lesson(tmp_path, base, dev=0.2)
    assert main(words(recipe, "full")) == 0
    found, folder = facts(recipe, "full"), place(recipe, "full").adapter
    assert found.reload_difference == 0
    assert found.loss_last < found.loss_first
    assert found.adapter_digest == adapter_digest(folder)
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat.json", "README.md"} <= {
        path.name for path in folder.iterdir()
    }
    assert "A tuned copy of" in (folder / "README.md").read_text("utf-8")
    assert torch.equal(logits(fresh(folder).eval()), logits(load(fresh(base), folder)))


@pytest.mark.parametrize("master", ["float32", "none"])
def test_half_precision_resumes_bit_for_bit(tmp_path, tiny, monkeypatch, master):
    more = ["--set", "contenders.full.model.dtype=bfloat16", "--set", f"contenders.full.method.master={master}"]
    straight, broken = (write_lesson(tmp_path / name, tiny("qwen2")) for name in ("straight", "broken"))
    assert main(words(straight, "full", *more)) == 0
    take = Loop._step

    def last(self):
        if self.progress.step == 5:
            raise InterruptedError
        return take(self)

    monkeypatch.setattr(Loop, "_step", last)
    with pytest.raises(InterruptedError):
        main(words(broken, "full", *more))
    monkeypatch.setattr(Loop, "_step", take)
    kept = {p.dtype for p in load_file(place(broken, "full").checkpoints / "step-000004/adapter.safetensors").values()}
    assert kept == {torch.float32 if master == "float32" else torch.bfloat16}
    assert main(words(broken, "full", *more)) == 0
    one, two = facts(straight, "full"), facts(broken, "full")
    assert (one.losses, one.dev_losses, one.adapter_digest) == (two.losses, two.dev_losses, two.adapter_digest)
    saved = load_file(place(broken, "full").adapter / "model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.bfloat16}


def test_accumulation_in_half_precision_is_one_batch(tmp_path, tiny, monkeypatch):
    more = ["--set", "contenders.full.model.dtype=bfloat16"]
    curves = []
    for roomy in (64, 4096):
        monkeypatch.setattr("finetune.train.loop.ROOMY", roomy)
        recipe = write_lesson(tmp_path / str(roomy), tiny("qwen2"), tokens_per_step=1200)
        assert main(words(recipe, "full", *more)) == 0
        curves.append([loss for _, loss in facts(recipe, "full").losses])
    assert curves[0] == pytest.approx(curves[1], rel=0.02)


def test_a_split_base_is_refused(tmp_path, tiny, monkeypatch, capsys):
    whole = World.open
    monkeypatch.setattr(World, "open", lambda *asked: World(whole(*asked).accelerator, sharded=True))
    assert main(words(write_lesson(tmp_path, tiny("qwen2")), "full")) == 2
    said = capsys.readouterr().err
    assert "FSDP splits the frozen base alone, and method full trains it; use a DDP file (recipes/launch/ddp" in said


def test_a_disk_too_small_is_known_before_the_first_step(tmp_path, tiny, monkeypatch, capsys):
    recipe = write_lesson(tmp_path, tiny("qwen2"))
    few = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr("finetune.train.misfits.shutil.disk_usage", lambda _: few)
    assert main(words(recipe, "full")) == 2
    assert "0.0 GB are free, but the checkpoints of 127,552 trained weights need 0.0" in capsys.readouterr().err
    assert not RunDir(tmp_path / "runs" / Recipe.read(recipe).name).seed("full", 17).checkpoints.exists()


def test_eight_bit_state_goes_with_masters_and_vectors(tmp_path, tiny):
    pytest.importorskip("bitsandbytes")
    recipe = write_lesson(tmp_path, tiny("qwen2"), optimizer="adamw_8bit", weight_decay=0.1)
    assert main(words(recipe, "full", "--set", "contenders.full.model.dtype=bfloat16")) == 0
    found = facts(recipe, "full")
    assert found.loss_last < 0.8 * found.loss_first
    assert found.reload_difference == 0
