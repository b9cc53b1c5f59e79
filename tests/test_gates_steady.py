"""The gates on what would change of itself: engines that meet, the noise floor, batches; each in every state."""

from __future__ import annotations

import pytest

from eval import gates
from eval.repeatability import Apart, Batching, Changes, Floor, Parity, Repeatability


def test_engine_parity_becomes_required_as_soon_as_two_meet():
    same = {"lora": ("hf", "float32"), "newer": ("hf", "float32")}
    found = gates.engine_parity(same)
    assert (found.status, found.required) == ("passed", False)
    for other in (("hf", "bfloat16"), ("vllm", "float32")):
        found = gates.engine_parity(same | {"newer": other})
        assert (found.status, found.required) == ("not_checked", True)
    for mine, status in (("nf4 float32", "passed"), ("nf4 bfloat16", "not_checked")):  # its own weights, the same sums
        assert gates.engine_parity(same | {"lora": ("hf", mine)}).status == status


def test_what_nobody_measured_says_how_it_is():
    for found in (gates.noise_floor({"lora": None}, {}), gates.batch_invariance({"lora": None})):
        assert (found.status, found.required) == ("not_checked", False)
        assert found.reason == "not measured: lora (tuneworth score RECIPE --probe)"
        assert "未测量：lora" in found.reason_zh


def changed(share: float) -> Changes:
    return Changes(answers=share, rankings=None, texts=None, largest=2e-6)


def parted(gain=0.0, low=-0.01, high=0.01, n=64) -> Apart:
    return Apart(gain=gain, low=low, high=high, n=n, clusters=n)


def measured(floor=None, together=64, alone=0.0, parity=None) -> Repeatability:
    floor = floor or (parted(), 0.3)
    return Repeatability(
        contender="x", seed=0, fingerprint="f", at=1.0, kind=("hf", "float32"), questions=64, answers=64,
        batch_tokens=512, floor=Floor(apart=floor[0], changes=changed(floor[1])),
        batching=None if together is None else Batching(together=together, changes=changed(alone)), parity=parity,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("floor", "status", "required"),
    [
        ((parted(), 0.3), "passed", True),
        ((parted(0.05, 0.01, 0.09), 0.3), "failed", True),
        ((parted(0.05, -0.1, 0.2), 0.3), "unresolved", False),  # holds 0, and would hold almost anything
        ((parted(0.0, -0.2, 0.2), 0.0), "passed", True),  # few clusters, but not one answer changed
        ((parted(0.0, -0.2, 0.2, n=15), 0.0), "unresolved", False),
        ((parted(0.0, None, None), 0.3), "unresolved", False),
    ],
)
def test_the_noise_floor_holds_zero_or_was_too_dull_to_tell(floor, status, required):
    found = gates.noise_floor({"lora": measured(floor), "newer": measured()}, {"lora − newer": 0.03})
    assert (found.status, found.required) == (status, required)
    assert found.reason.endswith("beside lora − newer +3.0")
    assert found.figures["lora: gain"] == floor[0].gain
    open_one = gates.noise_floor({"lora": measured(floor), "newer": None}, {})
    assert open_one.status == ("failed" if status == "failed" else "not_checked")


@pytest.mark.parametrize(
    ("together", "alone", "status"),
    [
        (64, 0.0, "passed"),
        (64, 0.02, "passed"),
        (64, 0.03, "failed"),
        (15, 0.0, "unresolved"),
        (None, 0, "not_checked"),
    ],
)
def test_batches_may_change_few_answers_and_must_have_been_batches(together, alone, status):
    found = gates.batch_invariance({"lora": measured(together=together, alone=alone)})
    assert (found.status, found.required) == (status, status in ("passed", "failed"))


def linked(there="openai", here=("hf", "float32"), gap=None, share=0.0) -> Parity:
    return Parity(
        here=here, there=(there, "as served"), apart=gap or parted(), changes=changed(share), prefix=0.9,
        prefix_tokens=20, same_prompts=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("links", "status"),
    [
        ([linked()], "passed"),
        ([linked("another")], "not_checked"),
        ([linked(here=("hf", "bfloat16"))], "not_checked"),  # the server stands beside something else
        ([linked(gap=parted(0.1, 0.05, 0.15), share=0.2)], "failed"),
        ([linked(gap=parted(0.1, -0.05, 0.25), share=0.2)], "unresolved"),
        ([linked(), linked(gap=parted(0.1, 0.05, 0.15), share=0.2)], "failed"),
    ],
)
def test_engines_that_meet_are_linked_by_a_contender_scored_on_both(links, status):
    found = gates.engine_parity({"lora": ("hf", "nf4 float32"), "api": ("openai", "as served")}, links)
    assert (found.status, found.required) == (status, True)
    two = gates.engine_parity({"a": ("one", "as served"), "b": ("openai", "as served")}, [linked(), linked("one")])
    assert two.status == "passed"  # by way of the engine here
