"""The plan: on how many devices, rows of what length, in how many hours; what cannot be planned is refused."""

from __future__ import annotations

import json
import re

import pytest
from small_shapes import L3, L7, L8, L13, lora, shape_of

from finetune import plan
from finetune.mistakes import BadInput
from finetune.plan import GIB, Sheet, memory, share
from finetune.shape import Shape


@pytest.mark.parametrize(
    "name", ["r1_distill_qwen_1_5b", "r1_distill_qwen_7b", "r1_distill_llama_8b", "r1_distill_qwen_14b"]
)
def test_up_to_14b_the_base_is_not_divided(name):
    shape = shape_of(name)
    found = plan.fit(shape, share(shape, lora(64)), "bfloat16", Sheet(4096, 4096, True), plan.find("a100-80g"), 8)
    assert found.launch == "ddp"
    assert found.largest >= 8192


def test_what_a_4090_holds():
    device, sheet = plan.find("rtx4090"), Sheet(1024, 1024, True, targets=256)
    for name, holds in (("r1_distill_qwen_32b", True), ("r1_distill_llama_70b", False)):
        shape = shape_of(name)
        adapters = share(shape, lora(8, kind="qlora"), "paged_adamw_8bit")
        found = plan.fit(shape, adapters, "nf4_double", sheet, device, 1)
        assert (found.launch == "one_gpu") is holds, name
    assert plan.fit(shape, adapters, "nf4_double", sheet, device, 1).largest == 0


def test_a_base_too_large_for_one_is_divided_over_several():
    shape = shape_of("r1_distill_llama_70b")
    adapters, sheet = share(shape, lora(16)), Sheet(4096, 4096, True)
    assert plan.fit(shape, adapters, "bfloat16", sheet, plan.find("h100"), 1).launch == "none"
    assert plan.fit(shape, adapters, "bfloat16", sheet, plan.find("h100"), 8).launch == "fsdp"
    assert "qlora" in " ".join(plan.remedies(shape, adapters, "bfloat16", sheet, plan.find("h100")))


def test_the_longest_row_just_fits():
    shape, device = shape_of("r1_distill_qwen_7b"), plan.find("h100")
    adapters, sheet = share(shape, lora(16)), Sheet(4096, 4096)
    found = plan.fit(shape, adapters, "bfloat16", sheet, device, 1)
    room = device.memory_gib * GIB
    assert memory(shape, adapters, "bfloat16", Sheet(found.largest, found.largest)).total <= room
    more = found.largest + 64
    assert memory(shape, adapters, "bfloat16", Sheet(more, more)).total > room


def test_hours_of_tuning():
    """torchtune, Llama-3.2-3B with LoRA and checkpointing on an A100: 8,210 tokens a second; within a factor of 1.5."""
    work = plan.Tuning(tokens=1e6, targets=0, dev_tokens=0)

    def seconds(shape, base, device):
        return plan.tuning_seconds(shape, share(shape, lora(8)), base, work, plan.find(device), checkpointing=True)

    assert 1e6 / seconds(L3, "bfloat16", "a100-80g") == pytest.approx(8210, rel=0.35)
    four = seconds(L7, "nf4_double", "a100-80g")
    assert 1e6 / four == pytest.approx(2926, rel=0.35)  # LLaMA-Factory's wiki, rows of 4k
    assert seconds(L3, "bfloat16", "ascend-910b") is None


@pytest.mark.parametrize(
    ("shape", "base", "speed"),
    [(L7, "bfloat16", 31.0), (L13, "bfloat16", 24.8), (L7, "nf4_double", 17.3), (L13, "nf4_double", 14.4)],
)  # fmt: skip
def test_hours_of_written_answers(shape, base, speed):
    """One stream on an A100 without a serving engine (litgpt's tables)."""
    one = plan.Sitting(answers=1, prompt_tokens=10, written=100, rows=1)
    found = plan.exam_seconds(shape, base, [one], plan.find("a100-40g"))
    assert 100 / found == pytest.approx(speed, rel=0.2)


def test_many_rows_at_once_are_bound_by_memory():
    """vLLM on an A40 (696 GB/s), 50 parallel, 100 in and 600 out: 1,156 tokens a second with Distill-Llama-8B."""
    from finetune.plan.effort import step_seconds

    rows = plan.Sitting(answers=50, prompt_tokens=5000, written=600, rows=50)
    assert 50 / step_seconds(L8, "bfloat16", rows, 696) == pytest.approx(1156, rel=0.1)


def test_devices_are_dated_and_a_file_of_ones_own_is_read(tmp_path):
    shelf = plan.shelf()
    assert len(shelf) == 10
    for name, device in shelf.items():
        assert plan.find(name) == device
        assert device.price is None or re.match(r"2026", device.price.date)
    assert shelf["ascend-910b"].price is None
    own = tmp_path / "ours.yaml"
    own.write_text("name: 910B\nmemory_gib: 60\nprice: {hour: 9, currency: CNY, source: us, date: 2026-11-01}\n")
    assert plan.find(str(own)).price.hour == 9
    own.write_text("name: 910B\nmemory: 60\n")
    with pytest.raises(BadInput, match="memory: unknown; did you mean memory_gib"):
        plan.find(str(own))
    with pytest.raises(BadInput, match="--device h1000: unknown; known are rtx4090"):
        plan.find("h1000")


def test_a_shape_that_is_none_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3_5", "layer_types": ["linear_attention"]}))
    with pytest.raises(BadInput, match="qwen3_5 with layers of linear_attention"):
        Shape.read(tmp_path)
