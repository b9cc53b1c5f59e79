"""What is handed on loads in plain PEFT and transformers as what was trained, whole or not at all; its card."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from small_lesson import ROOT, facts, place, words, write_card, write_lesson
from small_study import tuneworth
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from verdict_samples import _trained, sample

from finetune.chat import Chat
from finetune.export import fusion, parcel
from finetune.export.__main__ import main
from finetune.export.result import Result
from finetune.lock import held
from finetune.methods import load
from finetune.mistakes import BadInput
from finetune.train.__main__ import main as train
from finetune.world import logits, open_base

torch.set_num_threads(1)
quiet = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
LLAMA = "contenders.lora.model.licence=MIT; base Llama 3.1 Community License"


@pytest.fixture(scope="module")
def lesson(tmp_path_factory, tiny):
    """lesson(arch, *contenders) -> the recipe, with those trained for a few steps."""
    made: dict[str, Path] = {}

    def make(arch: str, *contenders: str) -> Path:
        if arch not in made:
            made[arch] = write_lesson(tmp_path_factory.mktemp(arch), tiny(arch), max_steps=4)
        for name in contenders:
            assert train(words(made[arch], name)) == 0
        return made[arch]

    return make


def export(recipe: Path, contender: str, to: Path, *more: str) -> Path:
    assert main(words(recipe, contender, "--to", str(to), *more)) == 0
    return to


def refused(capsys) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


def ids(folder: Path) -> list[int]:
    return Chat.open(folder, "r1_distill_qwen", "drop").prompt([{"role": "user", "content": "Is 3 even? 3 是偶数吗？"}])


def fresh(folder: Path, **keys):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True, **keys).eval()


def trained(recipe: Path, base: Path, contender: str) -> torch.Tensor:
    """Logits of the adapter of the run on its base."""
    return logits(load(open_base(base, torch.float32), place(recipe, contender).adapter), ids(base))


def front(folder: Path) -> dict:
    return yaml.safe_load((folder / "README.md").read_text("utf-8").split("---\n")[1])


@quiet
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


@quiet
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


@quiet
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


@quiet
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


@quiet
@pytest.mark.parametrize("more", [(), ("--merge",)], ids=["plain", "merge"])
def test_an_adapter_replaced_while_it_is_read_is_not_handed_on(tmp_path, tiny, capsys, monkeypatch, more):
    """A real training of the changed recipe, in the middle of the export."""
    recipe = write_lesson(tmp_path / "it", tiny("qwen2"), max_steps=2)
    assert train(words(recipe)) == 0
    name = "fuse" if more else "adapter_digest"
    whole, trainings = getattr(parcel, name), []

    def meanwhile(*asked, **keys):
        if parcel_filling() and not trainings:
            trainings.append(train(words(recipe, "lora", "--set", "train.max_steps=3")))
        return whole(*asked, **keys)

    def parcel_filling() -> bool:
        return any(path.name.startswith(".to.") for path in tmp_path.iterdir())

    monkeypatch.setattr(parcel, name, meanwhile)
    capsys.readouterr()
    assert main(words(recipe, "lora", "--to", str(tmp_path / "to"), *more)) == 2
    assert trainings == [0]
    assert "another training has replaced it while it was read; nothing is kept" in refused(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def test_an_adapter_is_handed_on_beside_a_scoring_of_it(lesson, tmp_path):
    """Who only reads needs no hold, and leaves nothing in the run's folder."""
    recipe = lesson("qwen2", "lora")
    with held([place(recipe).folder]):
        before = sorted(place(recipe).folder.iterdir())
        export(recipe, "lora", tmp_path / "a")
        assert sorted(place(recipe).folder.iterdir()) == before


@quiet
@pytest.mark.parametrize("more", [(), ("--merge",)], ids=["plain", "merge"])
def test_a_full_contender_is_copied_whole(lesson, tiny, more, tmp_path):
    recipe = lesson("qwen2", "full")
    folder = export(recipe, "full", tmp_path / "whole", *more)
    assert torch.equal(logits(fresh(folder), ids(folder)), trained(recipe, tiny("qwen2"), "full"))
    assert front(folder)["library_name"] == "transformers"


@quiet
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


@pytest.mark.parametrize("contender", ["prefix", "prompt"])
def test_a_prompt_is_not_merged(lesson, contender, tmp_path, capsys):
    recipe = lesson("qwen2")
    capsys.readouterr()
    assert main(words(recipe, contender, "--merge", "--to", str(tmp_path / "whole"))) == 2
    assert "which no weight can hold; export it without --merge" in refused(capsys)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_one_line(lesson, tmp_path, capsys):
    recipe = lesson("qwen2", "lora")
    (tmp_path / "there").mkdir()
    changed = ("--set", "contenders.lora.method.rank=5")
    for more, says in [
        (("lora", "--to", str(tmp_path / "there")), "is there already; move it away, or name another place with --to"),
        (("nobody",), "--contender nobody: unknown; the recipe has"),
        (("old",), "--contender old: has no method, so there is nothing to export"),
        (("reencoded",), "reencoded, seed 17, is not trained"),
        (("lora", "--seed", "18"), "--seed 18: not among train.seeds (17)"),
        (("lora", *changed), "lora, seed 17, was trained under another state of the recipe"),
        (("lora", "--set", "train.seeds=[17,18]"), "lora has several seeds (17, 18)"),
    ]:
        capsys.readouterr()
        assert main(words(recipe, *more)) == 2
        assert says in refused(capsys)


def test_a_changed_adapter_is_refused(tmp_path, tiny, capsys):
    recipe = write_lesson(tmp_path, tiny("qwen2"), max_steps=2)
    assert train(words(recipe)) == 0
    path = place(recipe).adapter / "adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    capsys.readouterr()
    assert main(words(recipe)) == 2
    assert "not what its train.json speaks of" in refused(capsys)


@quiet
def test_weights_that_answer_otherwise_are_not_kept(lesson, tmp_path, monkeypatch):
    """Where PEFT merged wrongly: here a merge that leaves the adapter out."""
    monkeypatch.setattr(fusion, "merge", lambda model: model.unload().eval())
    with pytest.raises(RuntimeError, match=r"the merged weights give other logits .* nothing is kept"):
        main(words(lesson("qwen2", "lora"), "lora", "--merge", "--to", str(tmp_path / "whole")))
    assert not list(tmp_path.iterdir())


STUCK = """
import sys, time
from finetune.export import parcel
from finetune.export.__main__ import main
from finetune.export.result import Result
from finetune.lock import held
kept = parcel.card
def card(facts):
    print("nearly", flush=True)
    time.sleep(60)
parcel.card = card
sys.exit(main())
"""


def test_a_kill_leaves_nothing_under_the_final_name(lesson, tmp_path, capsys):
    """At the last moment, when everything but the card is there; afterwards it is simply exported again."""
    recipe = lesson("qwen2", "lora")
    target, environment = tmp_path / "adapter", os.environ | {"PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-c", STUCK, *words(recipe, "lora", "--to", str(target))]
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "nearly\n"
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert not target.exists()
    (left,) = tmp_path.iterdir()
    assert (left / "adapter_model.safetensors").is_file()
    export(recipe, "lora", target)
    assert f"unfinished: {left}; remove it" in capsys.readouterr().out
    assert (target / "README.md").is_file()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB, less than the model."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@quiet
@pytest.mark.parametrize(("contender", "more"), [("lora", ("--merge",)), ("full", ())])
def test_a_full_disk_is_one_line_and_leaves_nothing(lesson, small_disk, contender, more, capsys):
    recipe = lesson("qwen2", contender)
    capsys.readouterr()
    assert main(words(recipe, contender, "--to", str(small_disk / "whole"), *more)) == 2
    assert "no space left on the device; nothing is kept" in refused(capsys)
    assert not list(small_disk.iterdir())


def test_decoding_is_the_declared_one(lesson, tmp_path, tiny):
    recipe = lesson("qwen2", "lora")
    greedy = GenerationConfig.from_pretrained(export(recipe, "lora", tmp_path / "greedy"))
    eos = Chat.open(tiny("qwen2"), "r1_distill_qwen", "drop").stops
    assert (greedy.do_sample, greedy.eos_token_id, greedy.max_new_tokens) == (False, eos, 64)
    made = write_lesson(tmp_path, tiny("qwen2"), max_steps=2)
    said = yaml.safe_load(made.read_text("utf-8"))
    decoding = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "max_new_tokens": 900}
    said["contenders"]["lora"]["model"] = {**said["contenders"]["lora"]["model"], "decoding": decoding}
    said["contenders"]["old"]["model"] = said["contenders"]["lora"]["model"]
    made.write_text(yaml.safe_dump(said, allow_unicode=True), "utf-8")
    assert train(words(made)) == 0
    drawn = GenerationConfig.from_pretrained(export(made, "lora", tmp_path / "drawn"))
    assert drawn.do_sample is True
    assert {key: getattr(drawn, key) for key in decoding} == decoding


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


def test_the_card_says_what_binds_and_how_it_was_made(lesson, tmp_path):
    recipe = lesson("llama", "lora")
    folder = export(recipe, "lora", tmp_path / "a", "--set", LLAMA)
    text, found = (folder / "README.md").read_text("utf-8"), facts(recipe)
    assert front(folder) == {
        "base_model": front(folder)["base_model"], "base_model_relation": "adapter", "library_name": "peft",
        "pipeline_tag": "text-generation", "license": "llama3.1", "language": ["en", "zh"], "datasets": ["rows"],
        "tags": ["lora", "tuneworth"],
    }  # fmt: skip
    assert "/" not in front(folder)["base_model"]
    assert str(tmp_path.parent) not in text  # nor is any other path of this machine anybody's business
    for said in (
        "**Built with Llama**", "Acceptable Use Policy", "- Data rows: CC0-1.0", "| method.rank | 4 |",
        "| method.learning_rate | 0.02 |", "| train.tokens_per_step | 400 |", "think policy `drop`", "No prompt frame",
        f"{found.steps} ({found.best_step})", found.adapter_digest, "no verdict was there",
        "<｜begin▁of▁sentence｜><｜User｜>净利润增长 12%，是利好还是利空？<｜Assistant｜>",
        "No chat template comes with the base",
    ):  # fmt: skip
        assert said in text
    assert "Copyright © Meta Platforms" in (folder / "NOTICE").read_text("utf-8")


def test_a_non_commercial_card_is_said_first(tmp_path, tiny):
    recipe = write_lesson(tmp_path, tiny("qwen2"), max_steps=2)
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text("utf-8").splitlines()]
    write_card(tmp_path / "rows.md", lines, licence={"name": "CC-BY-NC-4.0", "commercial": False})
    assert train(words(recipe)) == 0
    folder = export(recipe, "lora", tmp_path / "a")
    assert "**No commercial use: rows allows none" in (folder / "README.md").read_text("utf-8")
    assert (front(folder)["license"], front(folder)["license_name"]) == ("other", "non-commercial-training-data")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (
            "{{ bos_token }}{% for m in messages %}<｜User｜>{{ m.content }}{% endfor %}<｜Assistant｜>",
            "in the same way",
        ),
        ("{% for m in messages %}{{ m.content }}{% endfor %}", "renders it otherwise"),
        ("{{ raise_exception('no') }}", "renders it otherwise"),
    ],
)
def test_a_template_that_renders_otherwise_is_said(lesson, tiny, tmp_path, template, says):
    import shutil

    from finetune.export.rendering import rendering

    shutil.copytree(tiny("qwen2"), tmp_path / "base")
    said = json.loads((tmp_path / "base" / "tokenizer_config.json").read_text())
    said |= {"chat_template": template, "bos_token": "<｜begin▁of▁sentence｜>"}
    (tmp_path / "base" / "tokenizer_config.json").write_text(json.dumps(said))
    found = rendering(tmp_path / "base", Chat.open(tmp_path / "base", "r1_distill_qwen", "drop"), None)
    assert found.template == ("same" if "same" in says else "other")


@pytest.mark.parametrize("outcome", ["worth_it", "inconclusive", "invalid", "plumbing"])
def test_results_are_those_of_the_verdict_with_date_and_limits(tmp_path, outcome):
    """By verdicts of the project's own judge; what is shown is of this contender and this adapter only."""
    found, path, mine = sample(outcome), tmp_path / "verdict.json", _trained("lora", 17)
    path.write_text(found.model_dump_json(), "utf-8")
    result = Result.read(path, "lora", mine)
    assert result.date == "2025-10-09"
    if outcome == "plumbing":
        assert (result.state, result.lines) == ("plumbing", ())
        return
    row = next(each for each in found.contenders if each.name == "lora")
    text = "\n".join(result.lines)
    assert result.state == "judged"
    assert f"Verdict: **{outcome.replace('_', ' ')}**. {found.sentence}" in text
    assert f"{row.score:.1%} [{row.low:.1%}, {row.high:.1%}]" in text
    assert all(f"`{task.task}` version" in text and f"{task.score:.1%}" in text for task in row.tasks)
    assert result.limits == tuple(note.text for note in found.notes)
    changed = mine.training.model_copy(update={"adapter_digest": "another"})
    assert Result.read(path, "lora", mine.model_copy(update={"training": changed})).state == "other"


def test_a_damaged_verdict_is_refused(tmp_path):
    (tmp_path / "verdict.json").write_text("{}")
    with pytest.raises(BadInput, match="no verdict that this version writes; run `tuneworth judge` again"):
        Result.read(tmp_path / "verdict.json", "lora", _trained("lora", 17))
