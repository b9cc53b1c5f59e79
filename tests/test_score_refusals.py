"""What the scoring engine refuses, in one line and before anything is written."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import build_checkpoint
from small_exam import write_adapter
from small_score import Study, parts, study  # noqa: F401 (fixtures)

from eval.benchmark import find, read_task
from eval.score.questions import questions
from finetune.chat import Chat
from finetune.methods import LoRA
from finetune.mistakes import BadInput

torch.set_num_threads(1)


def refused(capsys, study: Study, contender: str, *more: str) -> str:
    """The one line of a refusal; nothing was written for the contender."""
    capsys.readouterr()
    assert study.score(contender, *more) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tuneworth: ")]
    assert not study.out.exists()
    return said


def test_an_untrained_contender_is_refused(study, capsys):
    assert "is not trained; run `python -m finetune.train`" in refused(capsys, study, "tuned")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("contenders.newer.model.id=/nowhere/model", "no config.json"),
        ("contenders.old.model.family=qwen3", "<|endoftext|>"),
        ("contenders.old.model.decoding.max_new_tokens=600", "exceed the model's 512"),
        ("exam.tasks=[no_such_task]", "no no_such_task.yaml"),
    ],
)
def test_bad_input_is_refused_in_one_line(study, capsys, change, said):
    assert said in refused(capsys, study, "old", "--set", change)


def test_a_contender_or_seed_that_is_not_there_is_refused(study, capsys):
    assert "nobody: unknown; the recipe has" in refused(capsys, study, "nobody")
    assert "--seed 3: old has 0" in refused(capsys, study, "old", "--seed", "3")


def test_a_tokenizer_of_another_checkpoint_is_refused(study, parts, capsys):
    study.old = Path(shutil.copytree(parts["old"], study.folder / "mixed"))
    shutil.copy(parts["newer"] / "tokenizer.json", study.old / "tokenizer.json")
    study.write()
    assert "not a tokenizer of family r1_distill_qwen" in refused(capsys, study, "old")
    study.old = build_checkpoint(study.folder / "short", "qwen2", rows=479)
    tokenizer = json.loads((study.old / "tokenizer.json").read_text("utf-8"))
    extra = [{"id": n, "content": f"<{n}>", "special": False} for n in range(len(tokenizer["model"]["vocab"]) + 6, 500)]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    tokenizer["added_tokens"] += [token | flags for token in extra]
    (study.old / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    study.write()
    assert "do not belong together" in refused(capsys, study, "old")


def test_a_broken_checkpoint_is_refused(study, parts, capsys):
    study.old = Path(shutil.copytree(parts["old"], study.folder / "broken"))
    whole = (study.old / "model.safetensors").read_bytes()
    (study.old / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    study.write()
    assert "broken" in refused(capsys, study, "old")


def test_an_adapter_with_another_rendering_is_refused(study, parts, capsys):
    study.adapter = Path(shutil.copytree(parts["adapter"], study.folder / "other"))
    note = json.loads((study.adapter / "chat.json").read_text("utf-8"))
    (study.adapter / "chat.json").write_text(json.dumps(note | {"think": "keep"}), "utf-8")
    study.write()
    assert "trained with another rendering (think differ)" in refused(capsys, study, "brought")


def test_an_adapter_that_does_nothing_is_refused(study, parts, capsys):
    from transformers import AutoModelForCausalLM

    chat = Chat.open(parts["old"], "r1_distill_qwen", "empty")
    base = AutoModelForCausalLM.from_pretrained(parts["old"], dtype=torch.float32)
    study.adapter = study.folder / "idle"
    study.adapter.mkdir()
    LoRA(rank=4).save(LoRA(rank=4).attach(base, tokenizer=chat.tokenizer, seed=1), study.adapter, base="x")
    study.write()
    assert "changes nothing" in refused(capsys, study, "brought")


def test_an_adapter_of_another_model_is_refused(study, parts, capsys):
    study.adapter = write_adapter(study.folder / "foreign", parts["newer"], family="qwen3")
    (study.adapter / "chat.json").unlink()
    study.write()
    assert "does not fit this model" in refused(capsys, study, "brought")


def test_a_task_that_lm_eval_cannot_read_is_refused(study, parts, capsys):
    study.exam = Path(shutil.copytree(parts["exam"], study.folder / "typo"))
    path = study.exam / "own.yaml"
    text = path.read_text("utf-8")
    study.write()
    path.write_text(text.replace("{{question}}", "{{question"), "utf-8")
    assert "task own: lm-eval cannot read it" in refused(capsys, study, "newer")
    path.write_text(text.replace("headline: acc_norm", "headline: brier_score"), "utf-8")
    assert "brier_score is not in metric_list" in refused(capsys, study, "newer")
    path.write_text(text.replace("doc_to_target: gold", "doc_to_target: '{{gold - 4}}'"), "utf-8")
    assert "no single right option" in refused(capsys, study, "newer")


def test_questions_that_lm_eval_sees_otherwise_are_refused(parts):
    task = read_task(*find(str(parts["exam"] / "own")))
    assert [q.row.id for q in questions(task)] == [row.id for row in task.rows]
    for rows in (task.rows[::-1], task.rows[:-1]):
        with pytest.raises(BadInput, match="do not give the same questions"):
            questions(replace(task, rows=rows))


def test_fewer_processes_than_the_launch_file_promises_are_refused(study, capsys):
    launch = study.folder / "cpu2.yaml"
    launch.write_text("launcher: torchrun\nprocesses: 2\n", "utf-8")
    assert "promises 2 processes" in refused(capsys, study, "old", "--set", f"exam.launch={launch}")
