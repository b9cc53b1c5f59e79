"""The plan before the run: memory, time and money of tuning and of the exam on a named device, without torch.

    memory.py    bytes of tuning      share.py   what a method trains    effort.py   hours
    devices.py   devices, prices      advice.py  what fits, and how it is launched

Memory errs by what its docstring says; hours rest on assumed shares of a device's peaks (effort.py), and may be off by
half. `python -m finetune.train ... --probe` measures one real step instead.
"""

from finetune.plan.advice import Fit, fit, remedies
from finetune.plan.devices import Device, Price, find, known, shelf
from finetune.plan.effort import MFU, Sitting, Tuning, exam_seconds, guess_tokens, tuning_seconds
from finetune.plan.memory import CONTEXT, GIB, Base, Memory, Sheet, cache_bytes, memory, weight_bytes
from finetune.plan.share import Share, largest, share
from finetune.shape import Shape

__all__ = [
    "CONTEXT", "GIB", "MFU", "Base", "Device", "Fit", "Memory", "Price", "Shape", "Share", "Sheet", "Sitting", "Tuning",
    "cache_bytes", "exam_seconds", "find", "fit", "guess_tokens", "known", "largest", "memory", "remedies", "share",
    "shelf", "tuning_seconds", "weight_bytes",
]  # fmt: skip
