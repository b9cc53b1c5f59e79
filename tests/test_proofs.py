"""The checks that end a run: each holds on a sound stack, and each fails when its fault is really there."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from conftest import build_checkpoint
from safetensors.torch import load_file
from small_lesson import ROOT, facts, place, words, write_lesson
from transformers.models.qwen2.modeling_qwen2 import Qwen2Model

from finetune.methods import LoRA, PTuningV2, adapter_parameters, lora, shared_rates
from finetune.train.__main__ import main

torch.set_num_threads(1)
both = pytest.mark.parametrize("contender", ["lora", "prefix"])
SHORT = {"max_steps": 3, "evaluations": 0}


@pytest.fixture
def lesson(tmp_path, tiny):
    return lambda **train: write_lesson(tmp_path, tiny("qwen2"), **SHORT | train)


def refused(capsys):
    """The one line on standard error."""
    said = capsys.readouterr().err.splitlines()
    lines = [line for line in said if line and "Writing model" not in line]  # a bar of the fixture
    assert len(lines) == 1, lines
    return lines[0].removeprefix("tuneworth: ")


@pytest.mark.parametrize("arch", ["qwen2", "llama", "qwen3"])
@both
def test_a_sound_stack_passes_and_the_manifest_says_by_how_much(tmp_path, arch, contender):
    folder = build_checkpoint(tmp_path / "base", arch, family="r1_distill_qwen")
    recipe = write_lesson(tmp_path, folder, **SHORT)
    assert main(words(recipe, contender)) == 0
    found = facts(recipe, contender)
    assert found.packing_leak == 0
    assert found.reread == "here"
    if contender == "lora":
        assert found.start_difference < 1e-6
        assert 0 < found.merge_difference < 1e-4
    else:
        assert found.start_difference is None
        assert found.merge_difference is None


def test_in_half_precision_too(lesson):
    recipe = lesson()
    more = ["--set", "contenders.lora.model.dtype=bfloat16", "--set", "train.checkpointing=true"]
    assert main([*words(recipe), *more]) == 0
    found = facts(recipe)
    assert found.packing_leak == 0
    assert found.start_difference < 5e-3
    assert found.merge_difference is not None


@pytest.fixture
def leaky(monkeypatch):
    """A decoder that does not tell its layers where the texts of a row end."""
    forward = Qwen2Model.forward
    monkeypatch.setattr(Qwen2Model, "forward", lambda self, *a, segments=(), **k: forward(self, *a, **k))


def test_rows_that_see_each_other_end_the_run(lesson, leaky, capsys):
    recipe = lesson()
    assert main(words(recipe)) == 2
    said = refused(capsys)
    assert re.search(r"^packing: changing rows#train:\S+ moved rows#train:\S+ in the same row by \d", said)
    assert "set train.packing=false" in said
    assert not place(recipe).adapter.exists()
    assert main(words(recipe, "lora", "--set", "train.packing=false")) == 0
    assert facts(recipe).packing_leak is None


def test_the_fields_own_leak_is_none_here(lesson, monkeypatch):
    """With a cache transformers' attentions no longer see that a row is packed; here each text stays alone."""
    forward = Qwen2Model.forward
    monkeypatch.setattr(Qwen2Model, "forward", lambda self, *a, **k: forward(self, *a, **k | {"use_cache": True}))
    recipe = lesson()
    assert main(words(recipe)) == 0
    assert facts(recipe).packing_leak == 0


def test_an_adapter_that_does_not_start_as_its_base_ends_the_run(lesson, monkeypatch, capsys):
    attach = LoRA.attach

    def loud(self, *args, **keys):
        model = attach(self, *args, **keys)
        with torch.no_grad():
            for name, tensor in adapter_parameters(model).items():
                tensor.add_(0.05 if "lora_B" in name else 0)
        return model

    monkeypatch.setattr(LoRA, "attach", loud)
    assert main(words(lesson())) == 2
    assert re.search(
        r"^step 0: with the untrained adapter the loss is \d.*% off that of the bare base", refused(capsys)
    )


def test_a_merge_that_is_not_the_trained_model_ends_the_run(lesson, monkeypatch):
    from peft.tuners.lora import Linear

    delta = Linear.get_delta_weight
    monkeypatch.setattr(Linear, "get_delta_weight", lambda self, name: 1.5 * delta(self, name))
    recipe = lesson()
    with pytest.raises(RuntimeError, match="merged into its base the adapter gives other logits"):
        main(words(recipe))
    assert not place(recipe).adapter.exists()
    assert list(place(recipe).checkpoints.glob("step-*"))


def test_an_adapter_is_read_back_by_a_process_of_its_own(lesson):
    recipe = lesson(prove="fresh")
    assert main(words(recipe)) == 0
    assert facts(recipe).reread == "fresh"
    assert facts(recipe).reload_difference == 0
    assert sorted(p.name for p in place(recipe).folder.iterdir()) == ["adapter", "train.json"]


def test_what_only_the_training_process_knows_is_found_out(lesson, monkeypatch):
    """A scale that never reaches the disk: whoever trained reads it right, everyone else does not."""
    save, load = LoRA.save, lora.load

    def forgetful(self, model, folder, *, base):
        model.peft_config["default"].use_rslora = False
        save(self, model, folder, base=base)

    def knowing(model, folder, **keys):
        config = folder / "adapter_config.json"
        text = config.read_text()
        config.write_text(text.replace('"use_rslora": false', '"use_rslora": true'))
        try:
            return load(model, folder, **keys)
        finally:
            config.write_text(text)

    monkeypatch.setattr(LoRA, "save", forgetful)
    monkeypatch.setitem(sys.modules["finetune.methods"].LOADERS, "LORA", knowing)
    rslora = ("--set", "contenders.lora.method.rslora=true")
    recipe = lesson()
    assert main(words(recipe, "lora", *rslora)) == 0
    assert facts(recipe).reload_difference == 0
    shutil.rmtree(place(recipe).folder)
    with pytest.raises(RuntimeError, match="the adapter read back from disk gives other logits"):
        main(words(recipe, "lora", *rslora, "--set", "train.prove=fresh"))
    assert not place(recipe).adapter.exists()


def test_a_fresh_process_that_fails_is_told_of_with_its_reason(lesson, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: -1)  # which no process can be given
    with pytest.raises(
        RuntimeError, match=r"in a fresh process \(RuntimeError: set_num_threads .*set train.prove=here"
    ):
        main(words(lesson(prove="fresh")))


def test_a_learning_rate_shared_by_unlike_methods_warns(lesson, capsys):
    unlike = {"a": LoRA(learning_rate=1e-3), "b": PTuningV2(learning_rate=1e-3), "c": LoRA()}
    (line,) = shared_rates(unlike)
    assert line.startswith(
        "learning rate 0.001 is shared by a, b, whose methods want unlike ones (lora 0.0002, ptuning"
    )
    assert shared_rates({"a": LoRA(learning_rate=1e-3), "b": LoRA(kind="qlora", learning_rate=1e-3)}) == []
    assert shared_rates({"a": LoRA(), "b": PTuningV2()}) == []
    recipe = lesson()
    more = [word for name in ("lora", "prefix") for word in ("--set", f"contenders.{name}.method.learning_rate=0.02")]
    assert main(words(recipe, "lora", *more)) == 0
    assert "learning rate 0.02 is shared by lora, prefix" in capsys.readouterr().out


def test_check_warns_of_a_shared_rate_too(lesson):
    from rich.console import Console

    from eval.check import show
    from finetune.recipe import Recipe

    rates = [f"contenders.{name}.method.learning_rate=0.02" for name in ("lora", "prefix")]
    console = Console(record=True, width=400)
    with pytest.raises(ValueError, match="none"):  # the lesson has no exam, of which check speaks later
        show(Recipe.read(lesson(), tuple(rates)), console)
    assert "learning rate 0.02 is shared by lora, prefix" in console.export_text()


def test_a_tokenizer_that_knows_more_than_the_model_has_rows_is_refused(tmp_path, capsys):
    """Even where no training row needs the ids beyond."""
    folder = build_checkpoint(tmp_path / "base", "qwen2", rows=300)
    assert main(words(write_lesson(tmp_path, folder))) == 2
    assert "its tokenizer knows" in refused(capsys)


FORBIDDEN = re.compile(
    r"trust_remote_code\W+True|torch\.load\(|import pickle|use_safetensors\W+False|weights_only\W+False"
    r"|resize_token_embeddings"
)


def test_no_source_runs_foreign_code_or_reads_a_pickle():
    files = [path for package in ("finetune", "eval", "recipes") for path in (ROOT / package).rglob("*.*")]
    texts = {str(path): path.read_text("utf-8") for path in files if path.suffix in (".py", ".yaml", ".yml")}
    assert len(texts) > 90
    assert {path: hit[0] for path, text in texts.items() if (hit := FORBIDDEN.search(text))} == {}
    assert FORBIDDEN.search("AutoModel.from_pretrained(x, trust_remote_code=True)")
    assert FORBIDDEN.search("model.resize_token_embeddings(len(tokenizer))")
    readers = [text for text in texts.values() if re.search(r"Auto\w+\.from_pretrained", text)]
    assert len(readers) >= 2
    assert all("trust_remote_code" in text for text in readers)


def test_a_checkpoint_or_adapter_of_pickles_alone_is_refused(lesson, tiny, tmp_path, capsys):
    folder = Path(shutil.copytree(tiny("qwen2"), tmp_path / "pickled"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert main(words(write_lesson(tmp_path / "it", folder))) == 2
    assert "has no .safetensors file (no pickles)" in refused(capsys)
    recipe = lesson()
    assert main(words(recipe)) == 0
    kept = place(recipe).adapter
    torch.save(load_file(kept / "adapter_model.safetensors"), kept / "adapter_model.bin")
    (kept / "adapter_model.safetensors").unlink()
    from transformers import AutoModelForCausalLM

    from finetune.methods import load

    with pytest.raises(ValueError, match="safetensors is needed"):
        load(AutoModelForCausalLM.from_pretrained(tiny("qwen2"), local_files_only=True), kept)
