"""What fits on a device, how it is to be launched, and how long a row may be."""

from dataclasses import dataclass, replace
from typing import Literal

from finetune.plan.devices import Device
from finetune.plan.memory import GIB, Base, Memory, Sheet, memory
from finetune.plan.share import Share
from finetune.shape import Shape

SHORT = 1024  # tokens of a row that most question sets stay below
LARGEST = 131072  # tokens; no published shape here has more positions than that
Launch = Literal["one_gpu", "ddp", "fsdp", "none"]


@dataclass(frozen=True)
class Fit:
    """How a tuning stands on a number of devices of one kind."""

    launch: Launch
    memory: Memory  # of each device, under that launch
    largest: int  # tokens of a sheet, and of a row in it, that still fit; 0 where nothing does

    @property
    def said(self) -> str:
        if self.launch == "none":
            return "does not fit"
        return f"launch/{self.launch}.yaml"


def fit(shape: Shape, share: Share, base: Base, sheet: Sheet, device: Device, devices: int) -> Fit:
    """The simplest launch that fits: the whole base on each device before a divided one.

    A divided base moves every layer over the wire in each pass, so where the whole fits (1.5B to 14B with LoRA on
    80 GB) dividing only costs time. It is built for frozen bases in 16 bits only.
    """
    room = device.memory_gib * GIB
    whole = memory(shape, share, base, sheet)
    if whole.total <= room:
        return Fit("one_gpu" if devices == 1 else "ddp", whole, _largest(shape, share, base, sheet, room, 1))
    if devices > 1 and share.kept != "weights" and base == "bfloat16":
        split = memory(shape, share, base, sheet, split=devices)
        if split.total <= room:
            return Fit("fsdp", split, _largest(shape, share, base, sheet, room, devices))
    return Fit("none", whole, _largest(shape, share, base, sheet, room, 1))


def _largest(shape: Shape, share: Share, base: Base, sheet: Sheet, room: float, split: int) -> int:
    """By halving: memory only grows with tokens. To 64 tokens."""
    low, high = 0, LARGEST // 64
    while low < high:
        middle = (low + high + 1) // 2
        tokens = middle * 64
        grown = Sheet(tokens, tokens, sheet.checkpointing, sheet.packed, labels=sheet.labels)
        if memory(shape, share, base, grown, split=split).total <= room:
            low = middle
        else:
            high = middle - 1
    return low * 64


def remedies(shape: Shape, share: Share, base: Base, sheet: Sheet, device: Device) -> list[str]:
    """What would make it fit on one device, each alone, the cheapest first."""
    room, found = device.memory_gib * GIB, []
    spare, rows = replace(sheet, checkpointing=True), Sheet(SHORT, SHORT, True, sheet.packed, labels=sheet.labels)
    small = replace(share, state_bytes=share.state_bytes - 6 * share.parameters)
    quarter: Base = "nf4_double"
    ways = [
        ("train.checkpointing: true", share, base, spare),
        ("train.optimizer: paged_adamw_8bit, with checkpointing", small, base, spare),
        (f"with checkpointing rows of {SHORT} tokens (train.max_length)", share, base, rows),
    ]
    if share.kept == "adapters":
        ways += [
            ("method.kind: qlora, with checkpointing", share, quarter, spare),
            ("method.kind: qlora with train.optimizer: paged_adamw_8bit and checkpointing", small, quarter, spare),
        ]
    for said, trained, held, taken in ways:
        if memory(shape, trained, held, taken).total <= room:
            found.append(said)
    return found
