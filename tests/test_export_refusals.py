"""What cannot be handed on is one line and leaves nothing: wrong asks, changed adapters, kills, full disks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import torch
from small_export import export, lesson  # noqa: F401 (fixture)
from small_lesson import ROOT, place, words, write_lesson

from finetune.export import fusion, parcel
from finetune.export.__main__ import main
from finetune.train.__main__ import main as train

torch.set_num_threads(1)


def refused(capsys) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


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
    time.sleep(1800)
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


@pytest.mark.parametrize(("contender", "more"), [("lora", ("--merge",)), ("full", ())])
def test_a_full_disk_is_one_line_and_leaves_nothing(lesson, small_disk, contender, more, capsys):
    recipe = lesson("qwen2", contender)
    capsys.readouterr()
    assert main(words(recipe, contender, "--to", str(small_disk / "whole"), *more)) == 2
    assert "no space left on the device; nothing is kept" in refused(capsys)
    assert not list(small_disk.iterdir())
