"""What stands around vLLM and needs none: what is refused and why, and the bound that its proof of an adapter takes."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from io import StringIO
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import build_checkpoint
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from safetensors.numpy import save_file
from small_exam import model, run_line, write_exam, write_recipe

from eval.check import contenders
from eval.lm.vllm_engine import MISSING, TOP
from eval.score import __main__ as score
from eval.score.paged import least_kl, norm, rank_of
from eval.verdict.bills import serving_seconds
from finetune.mistakes import BadInput
from finetune.recipe import VLLM, Costs, Recipe

ABSENT = pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe whose newer and tuned contenders are vLLM's."""
    folder = tmp_path_factory.mktemp("paged")
    exam = write_exam(folder / "exam", count=12)
    old, newer = build_checkpoint(folder / "old", "qwen2"), build_checkpoint(folder / "newer", "qwen3")
    path = write_recipe(folder / "r.yaml", exam, model(old, "r1_distill_qwen"), model(newer, "qwen3"))
    raw = yaml.safe_load(path.read_text("utf-8"))
    raw["contenders"]["newer"]["engine"] = "vllm"
    raw["contenders"]["tuned"]["engine"] = {"kind": "vllm", "tensor_parallel": 2}
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), "utf-8")
    return path


def test_a_name_alone_is_the_engine_with_its_defaults(recipe):
    found = Recipe.read(recipe).contenders
    assert found["newer"].vllm == VLLM(kind="vllm", tensor_parallel=1, gpu_memory_utilization=0.9)
    assert found["tuned"].vllm.tensor_parallel == 2
    assert found["old"].vllm is None
    assert found["newer"].here


def test_the_engine_moves_the_score_and_not_the_training(recipe):
    there = Recipe.read(recipe)
    here = Recipe.read(recipe, ("contenders.newer.engine=hf", "contenders.tuned.engine=hf"))
    wide = Recipe.read(recipe, ("contenders.tuned.engine.tensor_parallel=1",))
    assert there.score_fingerprint("newer", 0, {}) != here.score_fingerprint("newer", 0, {})
    assert there.score_fingerprint("old", 0, {}) == here.score_fingerprint("old", 0, {})
    assert there.train_fingerprint("tuned", 17) == here.train_fingerprint("tuned", 17)
    assert there.score_fingerprint("tuned", 17, {}) == wide.score_fingerprint("tuned", 17, {})  # the machine's own


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("contenders.tuned.method={kind: ptuning_v2}", "vLLM has no trained prefixes"),
        ("contenders.tuned.method={kind: ptuning_v1}", "vLLM has no trained prompts"),
        ("contenders.tuned.method={kind: full}", "base and tuned weights side by side"),
        ("contenders.tuned.method={kind: qlora}", "on a base in 4 bits"),
        ("contenders.tuned.method={kind: lora, dora: true}", "vLLM applies no DoRA"),
        ("contenders.tuned.method={kind: lora, targets: [q_proj, lm_head]}", "no LoRA on lm_head"),
        ("contenders.tuned.head=sequence", "no classification head"),
        ("contenders.newer.model.dtype=nf4", "model.dtype: nf4"),
        ("contenders.newer.items=log.jsonl", "items and engine exclude each other"),
        ("contenders.newer.engine={kind: vllm, tensor_paralel: 2}", "did you mean tensor_parallel"),
        ("contenders.newer.engine={kind: vllm, gpu_memory_utilization: 1.5}", "gpu_memory_utilization"),
    ],
)
def test_what_vllm_does_not_hold_is_refused_with_the_reason(recipe, change, said):
    with pytest.raises(BadInput) as fault:
        Recipe.read(recipe, (change,))
    assert said in str(fault.value)
    assert len(str(fault.value).splitlines()) == 1


@ABSENT
@pytest.mark.parametrize("more", [(), ("--probe",)])
def test_without_vllm_one_line_says_what_to_do_and_nothing_is_written(recipe, tmp_path, capsys, more):
    assert score.main([str(recipe), "--contender", "newer", "--out", str(tmp_path), *more]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"tuneworth: {MISSING}"
    kept = {path.name for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert kept == ({"recipe.json", "attempts.jsonl"} if more else set())  # a probe is counted when it begins


def test_many_processes_are_refused_before_they_wait_for_each_other(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert score.main([str(recipe), "--contender", "newer", "--out", str(tmp_path)]) == 2
    assert "vLLM takes its devices itself (engine.tensor_parallel); start one process" in capsys.readouterr().err


def test_the_front_door_starts_one_process(recipe, tmp_path):
    launch = tmp_path / "two.yaml"
    launch.write_text("launcher: torchrun\nprocesses: 2\n", "utf-8")
    asked = ["score", str(recipe), "--dry-run", "--out", str(tmp_path), "--set", f"exam.launch={launch}"]
    found = run_line([sys.executable, "-m", "eval.cli", *asked], COLUMNS="500").stdout.splitlines()
    lines = {name: line for name in ("newer", "old") for line in found if f"--contender {name}" in line}
    assert "torch" not in lines["newer"]
    assert "torch" in lines["old"]


def test_what_vllm_took_is_no_faster_on_a_server(recipe):
    asked = Recipe.read(recipe)
    evidence: Any = SimpleNamespace(recipe=asked, mean=lambda name, field: 4.0)
    took = {name: serving_seconds(evidence, name, Costs(speedup=8)) for name in ("old", "newer", "tuned")}
    assert took == {"old": 0.5, "newer": 4, "tuned": 4}


def test_check_says_where_a_model_runs(recipe):
    shown = Console(width=300, record=True, file=StringIO())
    shown.print(contenders(Recipe.read(recipe)))
    lines = shown.export_text().splitlines()
    assert [line.count("in vLLM") for line in lines if "newer" in line or "old" in line][:2] == [0, 1]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"peft_type": "PREFIX_TUNING"}, "peft_type PREFIX_TUNING"),
        ({"use_dora": True}, "a DoRA"),
        ({"modules_to_save": ["embed_tokens"]}, "whole modules (embed_tokens)"),
    ],
)
def test_an_adapter_made_elsewhere_is_refused_by_what_it_holds(tmp_path, keys, said):
    told = {"peft_type": "LORA", "r": 4, "use_dora": False, "modules_to_save": None}
    (tmp_path / "adapter_config.json").write_text(json.dumps(told | keys), "utf-8")
    with pytest.raises(BadInput) as fault:
        rank_of(tmp_path)
    assert said in str(fault.value)


def test_the_rank_is_the_largest_and_whole_weights_are_no_lora(tmp_path):
    assert rank_of(None) == 0
    told = {"peft_type": "LORA", "r": 4, "rank_pattern": {"q_proj": 24}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(told), "utf-8")
    assert rank_of(tmp_path) == 24
    with pytest.raises(BadInput, match="a whole checkpoint"):
        rank_of(tmp_path / "elsewhere")


def test_the_norm_is_of_all_tensors(tmp_path):
    tensors = {"a": np.full((2, 2), 3, np.float32), "b": np.zeros(3, np.float32)}
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    assert norm(tmp_path) == pytest.approx(6)


def top(logits: np.ndarray, count: int) -> dict[int, float]:
    logs = logits - np.log(np.exp(logits).sum())
    return {int(token): float(logs[token]) for token in np.argsort(-logits)[:count]}


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 6), st.floats(0, 4), st.integers(2, 60))
def test_the_bound_is_never_above_the_divergence(seed, sharp, moved, count):
    drawn = np.random.default_rng(seed)
    base = drawn.normal(size=60) * sharp
    tuned = base + drawn.normal(size=60) * moved
    p, q = (np.exp(x) / np.exp(x).sum() for x in (tuned, base))
    exact = float((p * np.log(p / q)).sum())
    found = least_kl(top(tuned, count), top(base, count))
    assert 0 <= found <= exact + 1e-4
    if count == 60:
        assert found == pytest.approx(exact, abs=1e-4)


def test_the_bound_sees_a_model_that_says_something_else_and_not_itself():
    base, other = np.zeros(1000), np.zeros(1000)
    base[:5], other[500:505] = 8, 8
    assert least_kl(top(other, TOP), top(base, TOP)) > 1
    assert least_kl(top(base, TOP), top(base, TOP)) == 0
    shared = {1: math.log(0.5), 2: math.log(0.5)}
    assert least_kl(shared, shared) == 0
