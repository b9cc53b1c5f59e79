"""What is handed on loads in plain PEFT and transformers as what was trained; the front door's line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from small_export import export, front, lesson  # noqa: F401 (fixture)
from small_lesson import place, words, write_lesson
from small_study import tuneworth
from transformers import AutoModelForCausalLM, AutoTokenizer

from finetune.chat import Chat
from finetune.lock import held
from finetune.methods import load
from finetune.train.__main__ import main as train
from finetune.world import logits, open_base

torch.set_num_threads(1)


def ids(folder: Path) -> list[int]:
    return Chat.open(folder, "r1_distill_qwen", "drop").prompt([{"role": "user", "content": "Is 3 even? 3 是偶数吗？"}])


def fresh(folder: Path, **keys):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True, **keys).eval()


def trained(recipe: Path, base: Path, contender: str) -> torch.Tensor:
    """Logits of the adapter of the run on its base."""
    return logits(load(open_base(base, torch.float32), place(recipe, contender).adapter), ids(base))


@pytest.mark.parametrize("arch", ["qwen2", "llama"])
def test_merged_loads_in_plain_transformers_with_the_trained_logits(lesson, tiny, arch, tmp_path):
    recipe = lesson(arch, "lora")
    folder = export(recipe, "lora", tmp_path / "whole", "--merge")
    want, bare = trained(recipe, tiny(arch), "lora"), logits(fresh(tiny(arch)), ids(tiny(arch)))
    found = logits(fresh(folder), ids(folder))
    assert (found - want).abs().max() <= 1e-4 * want.abs().max()
    assert (want - bare).abs().max() > 1e-2
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "chat.json", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float32"  # the base's own
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (folder / name).read_bytes() == (tiny(arch) / name).read_bytes()
    text = "净利润增长 12%"
    assert (
        AutoTokenizer.from_pretrained(folder)(text).input_ids
        == AutoTokenizer.from_pretrained(tiny(arch))(text).input_ids
    )
    assert str(tiny(arch)) not in "".join(
        path.read_text("utf-8") for path in folder.glob("*.[jm][sd]*") if path.suffix != ".safetensors"
    )
    head = front(folder)
    assert (head["library_name"], head["base_model_relation"]) == ("transformers", "finetune")


@pytest.mark.parametrize("arch", ["qwen2", "llama"])
@pytest.mark.parametrize("contender", ["lora", "prefix"])
def test_an_adapter_loads_in_plain_peft(lesson, tiny, arch, contender, tmp_path):
    from peft import PeftModel

    recipe = lesson(arch, contender)
    folder = export(recipe, contender, tmp_path / "adapter")
    model = PeftModel.from_pretrained(fresh(tiny(arch)), folder).eval()
    own = ids(folder)
    with torch.no_grad():  # a prefix in plain PEFT is a cache: no positions given, as a user would call it
        found = model(input_ids=torch.tensor([own])).logits[0]
    want = trained(recipe, tiny(arch), contender)
    assert (found - want).abs().max() <= 1e-4 * want.abs().max()
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (folder / name).read_bytes() == (place(recipe, contender).adapter / name).read_bytes()
    assert Chat.open(folder, "r1_distill_qwen", "drop").fingerprint() == json.loads((folder / "chat.json").read_text())
    assert (front(folder)["library_name"], front(folder)["base_model_relation"]) == ("peft", "adapter")


DORA = ("--set", "contenders.lora.method.dora=true", "--set", "contenders.lora.method.rslora=true")


@pytest.mark.parametrize("arch", ["qwen2", pytest.param("qwen3", marks=pytest.mark.slow)])
def test_dora_merges_into_what_was_trained_and_loads_in_plain_peft(tiny, arch, tmp_path):
    """Magnitudes and all: the merged weights, and the adapter in plain PEFT, answer as the adapter does here."""
    from peft import PeftModel

    family = "qwen3" if arch == "qwen3" else "r1_distill_qwen"
    knobs = (*DORA, "--set", f"contenders.lora.model.family={family}")
    recipe, probe = write_lesson(tmp_path / "it", tiny(arch), max_steps=4), list(range(40, 72))
    assert train(words(recipe, "lora", *knobs)) == 0
    want = logits(load(open_base(tiny(arch), torch.float32), place(recipe).adapter), probe)
    merged = logits(fresh(export(recipe, "lora", tmp_path / "whole", "--merge", *knobs)), probe)
    folder = export(recipe, "lora", tmp_path / "adapter", *knobs)
    theirs = logits(PeftModel.from_pretrained(fresh(tiny(arch)), folder).eval(), probe)
    assert (want - logits(fresh(tiny(arch)), probe)).abs().max() > 1e-2
    for found in (merged, theirs):
        assert (found - want).abs().max() <= 1e-4 * want.abs().max()


@pytest.mark.parametrize("arch", ["qwen2", pytest.param("llama", marks=pytest.mark.slow)])
def test_a_prompt_loads_in_plain_peft_padded_right_and_the_card_says_so(lesson, tiny, arch, tmp_path):
    from peft import PeftModel

    recipe = lesson(arch, "prompt")
    folder = export(recipe, "prompt", tmp_path / "adapter")
    theirs = PeftModel.from_pretrained(fresh(tiny(arch)), folder).eval()
    own = ids(folder)
    want = trained(recipe, tiny(arch), "prompt")

    def asked(left: int, right: int) -> torch.Tensor:
        row = torch.tensor([[0] * left + own + [0] * right])
        mask = torch.tensor([[0] * left + [1] * len(own) + [0] * right])
        with torch.no_grad():
            found = theirs(input_ids=row, attention_mask=mask).logits[0]  # those of the 8 virtual tokens come first
        return found[8 + left : 8 + left + len(own)]

    assert (asked(0, 7) - want).abs().max() <= 1e-4 * want.abs().max()
    assert (asked(7, 0) - want).abs().max() > 1e-3 * want.abs().max()
    assert "rows padded on the right. In a batch padded on the left PEFT" in (folder / "README.md").read_text("utf-8")


def test_an_adapter_is_handed_on_beside_a_scoring_of_it(lesson, tmp_path):
    """Who only reads needs no hold, and leaves nothing in the run's folder."""
    recipe = lesson("qwen2", "lora")
    with held([place(recipe).folder]):
        before = sorted(place(recipe).folder.iterdir())
        export(recipe, "lora", tmp_path / "a")
        assert sorted(place(recipe).folder.iterdir()) == before


@pytest.mark.parametrize("more", [(), ("--merge",)], ids=["plain", "merge"])
def test_a_full_contender_is_copied_whole(lesson, tiny, more, tmp_path):
    recipe = lesson("qwen2", "full")
    folder = export(recipe, "full", tmp_path / "whole", *more)
    assert torch.equal(logits(fresh(folder), ids(folder)), trained(recipe, tiny("qwen2"), "full"))
    assert front(folder)["library_name"] == "transformers"


def test_qlora_merges_into_bfloat16_and_says_how_far_that_is(lesson, tmp_path_factory, tmp_path):
    pytest.importorskip("bitsandbytes")
    from conftest import build_checkpoint

    home = tmp_path_factory.mktemp("qlora")
    base = build_checkpoint(home / "base", "llama", intermediate_size=128)
    recipe, change = write_lesson(home, base, max_steps=6), ("--set", "contenders.lora.method.kind=qlora")
    assert train(words(recipe, "lora", *change)) == 0
    folder = export(recipe, "lora", tmp_path / "whole", "--merge", *change)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    adapter = place(recipe).adapter
    want = logits(load(open_base(base, torch.bfloat16), adapter), ids(base))
    far = logits(load(open_base(base, torch.bfloat16, four_bit=True), adapter), ids(base))
    found = logits(model, ids(folder))
    assert (found - want).abs().max() <= 0.1 * want.abs().max()
    assert (found - far).abs().max() > (found - want).abs().max()
    text = (folder / "README.md").read_text("utf-8")
    assert "Merged in bfloat16" in text
    assert "on the base in 4 bits (NF4)" in text


def test_the_front_door_prints_a_line_and_goes_by_it(lesson, tmp_path):
    recipe = lesson("qwen2", "lora")
    out = recipe.parent / "runs"
    asked = ("export", recipe, "--contender", "lora", "--out", out, "--to", tmp_path / "a")
    line = f"python -m finetune.export {recipe} --contender lora --out {out}"
    dry = tuneworth(*asked, "--merge", "--dry-run")
    assert dry.stdout == f"{line} --merge --to {tmp_path / 'a'}\n"
    assert not (tmp_path / "a").exists()
    done = tuneworth(*asked)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"exported to {tmp_path / 'a'}"
    again = tuneworth(*asked)
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
