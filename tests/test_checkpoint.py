"""Checkpoints: found where the environment says, pinned by their files, refused in one line."""

import shutil

import pytest

from finetune.checkpoint import ModelSpec
from finetune.frame import PromptFrame


def spec(name: str, **more) -> ModelSpec:
    return ModelSpec.model_validate({"id": name, "family": "r1_distill_qwen", "think": "empty"} | more)


def test_a_folder_is_pinned_by_its_files(tiny, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny("qwen2"), copy)
    original, same = spec(str(tiny("qwen2"))), spec(str(copy))
    assert same.digest() == original.digest()
    text = (copy / "config.json").read_text()
    (copy / "config.json").write_text(text.replace('"use_cache": true', '"use_cache": false') + " ")
    assert same.digest() != original.digest()


def test_environment_maps_ids_to_folders(tiny, tmp_path, monkeypatch):
    home = tmp_path / "models"
    shutil.copytree(tiny("qwen2"), home / "org" / "name")
    monkeypatch.setenv("TUNEWORTH_MODELS", str(home))
    assert spec("org/name").folder() == home / "org" / "name"
    table = tmp_path / "models.yaml"
    table.write_text("org/name: models/org/name\n")
    monkeypatch.setenv("TUNEWORTH_MODELS", str(table))
    assert spec("org/name").folder() == (home / "org" / "name").resolve()
    assert spec("org/name").digest() == spec(str(home / "org" / "name")).digest()


def test_a_hub_id_needs_a_pinned_revision(monkeypatch):
    monkeypatch.delenv("TUNEWORTH_MODELS", raising=False)
    for revision in (None, "main", "530ca3e"):
        with pytest.raises(ValueError, match="commit of 40"):
            spec("org/name", revision=revision).digest()
    assert spec("org/name", revision="a" * 40).digest() != spec("org/name", revision="b" * 40).digest()


def test_a_missing_download_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv("TUNEWORTH_MODELS", raising=False)
    with pytest.raises(ValueError, match="HF_ENDPOINT to a mirror, or map the id"):
        spec("org/name", revision="a" * 40).folder()


@pytest.mark.parametrize("gone", ["config.json", "tokenizer.json", "model.safetensors"])
def test_an_incomplete_folder_is_named(tiny, tmp_path, gone):
    copy = tmp_path / "copy"
    shutil.copytree(tiny("qwen2"), copy)
    (copy / gone).unlink()
    with pytest.raises(ValueError, match="safetensors" if "model" in gone else gone):
        spec(str(copy)).folder()


def test_pickled_weights_are_refused(tiny, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny("qwen2"), copy)
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ValueError, match="no pickles"):
        spec(str(copy)).folder()


def test_a_frame_has_seven_parts_in_order_and_leaves_out_the_empty():
    parts = {
        "role": "分析师",
        "goal": "判断",
        "limits": "不编造",
        "known": "一年365天",
        "instruction": "作答",
        "output": "只写字母",
    }
    frame = PromptFrame(**parts, examples=[{"question": "1+1?", "answer": "2"}])
    text = frame.wrap("2+2?")
    spots = [text.index(part) for part in (*parts.values(), "1+1?", "2+2?")]
    assert spots == sorted(spots)
    assert PromptFrame().wrap("2+2?") == "问题: 2+2?"
    assert PromptFrame(lang="en", role="analyst").wrap("Why?") == "Role: analyst\nQuestion: Why?"


def test_a_frame_goes_around_the_last_question_only():
    turns = [
        {"role": r, "content": c} for r, c in (("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    ]
    framed = PromptFrame(lang="en", role="analyst").wrap_last(turns)
    assert [t["content"] for t in framed] == ["a", "b", "Role: analyst\nQuestion: c", "d"]
