"""The demo's checkpoints: the same bytes each time, read alike by every library, whole or not there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from finetune import embedded
from finetune.chat import Chat
from finetune.checkpoint import embedded_folder
from finetune.market.exam import contents

torch.set_num_threads(1)
NAMES = ("older", "newer")
SHORT = {name: replace(toy, documents=300, steps=3) for name, toy in embedded.TOYS.items()}
SENTENCES = [
    "净利润大增，股价上涨 12.5%。\n标签？",
    "Profit jumped 12.5%; shares rose.\n\n  Label?",
    "<｜User｜><|im_start|>é ﬁ ①",
]
each = pytest.mark.parametrize("name", NAMES)


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """built[name] -> the folder of a checkpoint of few steps."""
    shelf = tmp_path_factory.mktemp("embedded")
    return {name: embedded.build(name, shelf / name, SHORT[name]) for name in NAMES}


@each
def test_two_builds_have_the_same_weights_and_another_seed_has_others(built, tmp_path, name):
    torch.rand(7)  # whatever was drawn before does not matter
    again = embedded.build(name, tmp_path / "again", SHORT[name])
    assert weights(again) == weights(built[name])
    assert (again / "tokenizer.json").read_bytes() == (built[name] / "tokenizer.json").read_bytes()
    assert weights(embedded.build(name, tmp_path / "other", replace(SHORT[name], seed=18))) != weights(again)


@each
def test_training_lowers_the_loss(built, tmp_path, name):
    def loss(folder: Path) -> float:
        model, chat = AutoModelForCausalLM.from_pretrained(folder), Chat.open(folder, SHORT[name].family, "empty")
        told = list(embedded.documents(name, 40, seed=1))
        ids, _ = embedded.render(told, chat, SHORT[name])
        with torch.no_grad():
            return float(model(input_ids=ids, labels=ids).loss)

    longer = embedded.build(name, tmp_path / "longer", replace(SHORT[name], steps=12))
    assert loss(longer) < loss(built[name]) - 0.3


@each
def test_every_library_reads_the_same_tokens(built, name):
    fast, bare = AutoTokenizer.from_pretrained(built[name]), Tokenizer.from_file(str(built[name] / "tokenizer.json"))
    rows = json.loads((built[name] / "config.json").read_text())["vocab_size"]
    assert len(fast) <= rows
    assert max(bare.get_vocab().values()) < rows
    exam = [
        json.loads(line)["question"] for _, text in contents() for line in text.splitlines() if '"question"' in line
    ]
    for text in [*SENTENCES, *exam[::40]]:
        ids = bare.encode(text, add_special_tokens=False).ids
        assert fast(text, add_special_tokens=False)["input_ids"] == ids
        assert bare.decode(ids, skip_special_tokens=False) == text


@each
def test_it_is_a_checkpoint_like_any_other(built, name):
    model = AutoModelForCausalLM.from_pretrained(built[name], use_safetensors=True, local_files_only=True)
    toy, config = SHORT[name], model.config
    chat = Chat.open(built[name], toy.family, "empty")
    assert config.model_type == {"older": "qwen2", "newer": "qwen3"}[name]
    assert config.num_key_value_heads < config.num_attention_heads
    assert model.generation_config.eos_token_id == chat.stops
    assert not model.generation_config.do_sample
    prompt = chat.prompt([{"role": "user", "content": "标签？"}])
    out = model.generate(torch.tensor([prompt]), max_new_tokens=3)
    assert out.shape[1] > len(prompt)
    assert "toy" in (built[name] / "README.md").read_text("utf-8")


def test_the_newer_is_larger_and_trained_longer():
    older, newer = embedded.TOYS["older"], embedded.TOYS["newer"]
    assert newer.shape["hidden_size"] > older.shape["hidden_size"]
    assert newer.steps > older.steps
    assert all(toy.vocabulary <= toy.shape["vocab_size"] for toy in (older, newer))


@each
def test_a_brief_one_differs_by_how_long_it_is_trained_and_on_how_much(name):
    whole, brief = embedded.TOYS[name], embedded.TOYS[f"{name}_brief"]
    assert replace(brief, documents=whole.documents, steps=whole.steps) == whole
    assert brief.steps * 5 < whole.steps
    assert brief.documents * 5 < whole.documents


@each
def test_answers_weigh_more_than_prose(built, name):
    chat = Chat.open(built[name], SHORT[name].family, "empty")
    turn = [{"role": "user", "content": "重复：31"}, {"role": "assistant", "content": "31"}]
    ids, weight = embedded.render([turn] * 40, chat, SHORT[name])
    rendered = chat.example(turn)
    assert ids.flatten()[: len(rendered.ids)].tolist() == rendered.ids
    assert weight.flatten()[: len(rendered.mask)].tolist() == [10.0 if trained else 1.0 for trained in rendered.mask]


def test_rows_come_once_each_time_round():
    picked = torch.cat(list(embedded.order(rows=24, steps=6, seed=1)))
    for lap in picked.split(24):
        assert sorted(lap.tolist()) == list(range(24))
    assert picked[:24].tolist() != picked[24:].tolist()


def test_what_is_built_stays(built):
    before = (built["older"] / "model.safetensors").stat().st_mtime_ns
    assert embedded.build("older", built["older"], SHORT["older"]) == built["older"]
    assert (built["older"] / "model.safetensors").stat().st_mtime_ns == before


def test_the_first_of_two_builds_at_once_is_kept(built, tmp_path, monkeypatch):
    folder, make = tmp_path / "older", embedded._make

    def rival_is_faster(name: str, scratch: Path, toy: embedded.Toy) -> None:
        make(name, scratch, toy)
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"the rival's")

    monkeypatch.setattr(embedded, "_make", rival_is_faster)
    embedded.build("older", folder, SHORT["older"])
    assert (folder / "model.safetensors").read_bytes() == b"the rival's"
    assert [path.name for path in tmp_path.iterdir()] == ["older"]


def test_a_build_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(embedded, "pretrain", full_disk)
    with pytest.raises(OSError, match="No space left"):
        embedded.build("older", tmp_path / "older", SHORT["older"])
    assert list(tmp_path.iterdir()) == []


def test_the_command_builds_in_the_cache_and_says_the_digest(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(embedded, "TOYS", SHORT)
    assert embedded.main(["older", "--cache", str(tmp_path)]) == 0
    folder = tmp_path / embedded_folder("older").name
    said = capsys.readouterr().out
    assert f"sha256 {weights(folder)}" in said
    assert "step 3/3" in said


def test_an_unknown_name_is_bad_input(capsys):
    with pytest.raises(SystemExit) as stopped:
        embedded.main(["oldest"])
    assert stopped.value.code == 2
    assert "oldest" in capsys.readouterr().err
