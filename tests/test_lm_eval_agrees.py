"""Plain `lm_eval` on the same task folder gives, question by question, what our engine gives."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from conftest import MARKERS, build_checkpoint, train_tokenizer
from small_exam import model, run_line, score_line, teach, write_exam, write_recipe

from eval import items

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n\n</think>\n\n{% endif %}"
)

FIVE_SHOT = "num_fewshot: 5\nfewshot_split: test\nfewshot_config: {sampler: first_n}\n"


def plain_lm_eval(folder: Path, exam: Path, tasks: list[str], out: Path, *more: str) -> dict[str, dict[str, dict]]:
    """The samples that the `lm_eval` command logs, by task and question id."""
    words = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={folder},dtype=float32"]
    words += ["--tasks", ",".join(tasks), "--include_path", str(exam), "--device", "cpu", "--batch_size", "4"]
    words += ["--output_path", str(out), "--log_samples", *more]
    done = run_line(words, TUNEWORTH_CARDS=str(exam))
    assert done.returncode == 0, done.stderr[-2000:]
    logs = {task: next(out.rglob(f"samples_{task}_2*.jsonl")) for task in tasks}
    read = {task: map(json.loads, log.read_text("utf-8").splitlines()) for task, log in logs.items()}
    return {task: {sample["doc"]["id"]: sample for sample in samples} for task, samples in read.items()}


def ours(
    tmp_path: Path, exam: Path, folder: Path, tasks: list[str], family: str
) -> dict[str, dict[str, items.ItemScore]]:
    """The rows that our engine writes for the same checkpoint, greedily."""
    spec = model(folder, family)
    recipe = write_recipe(tmp_path / "r.yaml", exam, spec, spec, tasks=[f"{exam}/{task}" for task in tasks], samples=1)
    done = run_line(score_line(recipe, tmp_path / "runs", "newer"))
    assert done.returncode == 0, done.stderr
    rows = items.read(tmp_path / "runs/r/newer/seed-0/items.jsonl")
    return {task: {row.id: row for row in rows if row.task == task} for task in tasks}


@pytest.fixture
def exam(tmp_path):
    return write_exam(tmp_path / "exam", count=18)


def test_likelihoods_of_a_plain_family_equal_those_of_lm_eval(tmp_path, exam):
    """Five examples, the same for all but the first five questions, are a header that only we run once."""
    folder = build_checkpoint(tmp_path / "qwen2", "qwen2")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 1024}), "utf-8")
    shown = (exam / "own.yaml").read_text("utf-8").replace("task: own", "task: own_shown")
    (exam / "own_shown.yaml").write_text(FIVE_SHOT + shown, "utf-8")
    tasks = ["own", "own_shown"]
    theirs = plain_lm_eval(folder, exam, tasks, tmp_path / "lm_eval")
    found = ours(tmp_path, exam, folder, tasks, "plain")
    for task in tasks:
        same_likelihoods(theirs[task], found[task])
    assert {key: row.loglikelihoods for key, row in found["own"].items()} != {
        key: row.loglikelihoods for key, row in found["own_shown"].items()
    }


def same_likelihoods(theirs: dict[str, dict], found: dict[str, items.ItemScore]) -> None:
    assert found.keys() == theirs.keys()
    for key, sample in theirs.items():
        wanted = [float(likelihood) for likelihood, _ in sample["filtered_resps"]]
        assert found[key].loglikelihoods == pytest.approx(wanted, abs=1e-5, rel=1e-6)
        assert found[key].score == sample["acc_norm"]
    assert 0 < sum(row.score for row in found.values()) < len(found)
    assert any(sample["acc"] != sample["acc_norm"] for sample in theirs.values())


def test_greedy_answers_under_the_chat_template_equal_those_of_lm_eval(tmp_path, exam):
    torch.set_num_threads(1)
    rows = train_tokenizer(MARKERS["qwen3"]).get_vocab_size()  # no padding rows: lm-eval would draw them, we never do
    folder = build_checkpoint(tmp_path / "qwen3", "qwen3", rows=rows)
    teach(folder, exam, "qwen3")
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": TEMPLATE}), "utf-8")
    theirs = plain_lm_eval(folder, exam, ["own_gen"], tmp_path / "lm_eval", "--apply_chat_template")["own_gen"]
    found = ours(tmp_path, exam, folder, ["own_gen"], "qwen3")["own_gen"]
    assert found.keys() == theirs.keys()
    assert {key: row.text for key, row in found.items()} == {key: s["filtered_resps"][0] for key, s in theirs.items()}
    assert {key: row.score for key, row in found.items()} == {key: s["exact"] for key, s in theirs.items()}
    assert 0 < sum(row.score for row in found.values()) < len(found)
