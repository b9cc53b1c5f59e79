"""The card of what is handed on: what binds, how it was made, template and decoding, results by the verdict."""

from __future__ import annotations

import json

import pytest
import torch
import yaml
from small_export import export, front, lesson  # noqa: F401 (fixture)
from small_lesson import facts, words, write_card, write_lesson
from transformers import GenerationConfig
from verdict_samples import _trained, sample

from finetune.chat import Chat
from finetune.export.result import Result
from finetune.mistakes import BadInput
from finetune.train.__main__ import main as train

torch.set_num_threads(1)
LLAMA = "contenders.lora.model.licence=MIT; base Llama 3.1 Community License"


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
