"""Quantised against unquantised (decision.md 5.13): what manifests say of weights, the rider, memory on the board."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from judged_run import gate, judged

from eval.leaderboard.sitting import _memory
from eval.verdict import Verdict
from finetune.plan import CONTEXT, Shape, weight_bytes
from finetune.plan.memory import MARGIN
from finetune.world import said_dtype


def rider(found: Verdict) -> str:
    return next((note.text for note in found.notes if note.code == "quantised"), "")


@pytest.mark.parametrize(
    ("types", "says"),
    [
        ({}, ""),
        ({"lora": "bfloat16", "newer": "float32"}, ""),
        ({"lora": "nf4 bfloat16", "newer": "nf4 float32"}, ""),
        ({"old": "nf4 bfloat16"}, ""),  # it decides nothing
        ({"newer": "as served"}, ""),  # engine parity says that nobody knows
        ({"lora": "nf4 float32"}, "(lora nf4, newer not)"),
        ({"newer": "awq float32"}, "(newer awq, lora not)"),
        ({"lora": "nf4 float32", "newer": "awq float32"}, "(lora nf4, newer awq)"),
        ({"lora": "nf4 float32", "newer": "as served"}, "(lora nf4, newer not known)"),
    ],
)
def test_weights_that_are_not_quantised_alike_are_said_in_the_headline(tmp_path, types, says):
    found = judged(tmp_path, sit={name: {"dtype": dtype} for name, dtype in types.items()})
    assert says in rider(found)
    assert bool(rider(found)) == bool(says)
    assert rider(found) in found.sentence
    assert ("量化不同" in found.sentence_zh) == bool(says)
    if says and "not known" not in says:  # sums are alike
        assert (found.outcome, gate(found, "engine parity").status) == ("worth_it", "passed")


@pytest.mark.parametrize(("kept", "says"), [(None, "float32"), ({"quant_method": "awq", "bits": 4}, "awq float32"),
                                            ({"bits": 8}, "quantised float32")])  # fmt: skip
def test_a_checkpoint_that_is_kept_quantised_is_told_by_its_config(tmp_path, kept, says):
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": kept} if kept else {}))
    assert said_dtype(torch.float32, four_bit=False, folder=tmp_path) == says
    assert said_dtype(torch.bfloat16, four_bit=True, folder=tmp_path) == "nf4 bfloat16"


@pytest.mark.parametrize(
    ("dtype", "like", "wide"),
    [
        ("bfloat16", "bfloat16", 2), ("float32", "float32", 4), ("nf4 bfloat16", "nf4_double", 2),
        ("awq bfloat16", "nf4_double", 2), ("awq float32", "nf4_double", 4), ("fp8 bfloat16", "int8", 2),
        ("gptq bfloat16", None, 2), ("unknown", None, 2),
    ],
)  # fmt: skip
def test_memory_is_known_of_weights_that_are_packed(dtype, like, wide):
    """By the packing, and its cache by what is reckoned in; of a packing with any number of bits nobody knows."""
    shape = Shape(layers=2, hidden=64, intermediate=128, heads=4, kv_heads=2, head_dim=16, vocab=100)
    row, origin = SimpleNamespace(tokens_in=1000, tokens_out=24), SimpleNamespace(dtype=dtype, decoding={})
    found = _memory(shape, row, origin)
    if like is None:
        assert found is None
    else:
        cache = 1024 * shape.cache_width * wide
        assert found == pytest.approx((weight_bytes(shape, like) + cache) * MARGIN + CONTEXT)
