"""Hours of tuning and of the exam, from token counts and a device's peaks. Assumptions are named here, once.

Tuning is bound by arithmetic: a token costs 2 operations a weight forward, 2 backward through frozen weights (4 where
they are trained), 2 more where activations are made anew (Kaplan et al. 2020, arXiv 2001.08361, 2.1). Writing answers
is bound by memory (weights and cache are read for every token) or by the launch of kernels, whichever is slower.
"""

import re
from dataclasses import dataclass

from finetune.plan.devices import Device
from finetune.plan.memory import LINEAR_BYTES, Base, cache_bytes, weight_bytes
from finetune.plan.share import Share
from finetune.shape import Shape

# Share of the peak that is reached. Published runs with LoRA lie between 0.35 and 0.6 (torchtune and LLaMA-Factory on
# A100); at 0.3 the hours of tuning and of reading prompts are a third more than planned, at 0.6 a third less.
MFU = 0.4
# Of that on a 4-bit base, whose weights are unfolded each time (LLaMA-Factory's wiki: 2295 against 2954 tokens/s).
FOUR_BIT = 0.78
BANDWIDTH_SHARE = 0.6  # of the peak while answers are written; at 0.5 a bandwidth-bound exam takes a fifth longer
# Seconds of a layer and step without graphs or compilation, however few rows: litgpt's tables on an A100 give
# 31.0 tokens/s for 32 layers, 24.8 for 40, 42.6 for 24 (17.3 and 14.4 in 4 bits for the first two). A serving engine
# (vLLM) is several times faster at small batches.
STEP = {"plain": 1.0e-3, "four_bit": 1.8e-3}
CJK = re.compile(r"[⺀-鿿豈-﫿＀-￯]")  # and their punctuation
DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class Tuning:
    """Tokens of one tuning: all epochs, all seeds' share apart."""

    tokens: float  # through forward and backward
    targets: float  # of them with a loss
    dev_tokens: float  # forward only, all dev losses together


@dataclass(frozen=True)
class Sitting:
    """One task as one contender takes it, samples included."""

    answers: int
    prompt_tokens: float  # all answers together
    written: float  # tokens of an answer, thought included; 0 for options that are only read
    rows: int  # written at the same time


def guess_tokens(text: str) -> float:
    """Tokens of a text without its tokenizer: within 15 % of Qwen's on eight real question sets, both languages.

    Least squares over them: 0.73 a Chinese character, 1.2 a digit, 0.24 any other character.
    """
    wide, digits = len(CJK.findall(text)), len(DIGIT.findall(text))
    return 0.73 * wide + 1.2 * digits + 0.24 * (len(text) - wide - digits)


def tuning_seconds(
    shape: Shape, share: Share, base: Base, work: Tuning, device: Device, *, checkpointing: bool
) -> float | None:
    """Device seconds of one tuning; None where the device's peak is not known."""
    if device.tflops is None:
        return None
    body = shape.layers * shape.linear_weights
    reached = share.layers / shape.layers  # gradients go no deeper than what is trained
    each = 2 * body + (share.flops - 2 + 2 * checkpointing) * body * reached
    operations = each * work.tokens + 6 * shape.embedding * work.targets + 2 * body * work.dev_tokens
    return operations / _speed(device.tflops, base)


def exam_seconds(shape: Shape, base: Base, sittings: list[Sitting], device: Device) -> float | None:
    """Device seconds of a contender's whole exam, once; None where the device's peaks are not known."""
    if device.tflops is None or device.bandwidth is None:
        return None
    read = sum(2 * shape.layers * shape.linear_weights * each.prompt_tokens for each in sittings)
    written = sum(
        each.answers / each.rows * each.written * step_seconds(shape, base, each, device.bandwidth) for each in sittings
    )
    return read / _speed(device.tflops, base) + written


def step_seconds(shape: Shape, base: Base, sitting: Sitting, bandwidth: float) -> float:
    """One token for each of a batch's rows; `bandwidth` in GB/s."""
    length = sitting.prompt_tokens / max(sitting.answers, 1) + sitting.written / 2
    moved = weight_bytes(shape, base) + sitting.rows * length * cache_bytes(shape, base)
    launch = STEP["four_bit" if _four_bit(base) else "plain"] * shape.layers
    return max(moved / (bandwidth * 1e9 * BANDWIDTH_SHARE), launch)


def _speed(tflops: float, base: Base) -> float:
    return tflops * 1e12 * MFU * (FOUR_BIT if _four_bit(base) else 1)


def _four_bit(base: Base) -> bool:
    return LINEAR_BYTES[base] < 1
