"""What an offline W&B run wrote, without wandb's own (private) reader: protobuf records in LevelDB's log format."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEADER, BLOCK, FRAGMENT = 7, 32768, 7  # bytes: of the file, of a block, before a fragment
FULL, FIRST, LAST = 1, 2, 4


def records(path: Path) -> list[Any]:
    """Every record of a `.wandb` file, in order."""
    from wandb.proto.wandb_internal_pb2 import Record

    found = []
    for whole in _payloads(path.read_bytes()):
        record = Record()
        record.ParseFromString(whole)
        found.append(record)
    return found


def _payloads(data: bytes) -> Iterator[bytes]:
    assert data[:4] == b":W&B", "no offline log of W&B"
    at, parts = HEADER, b""
    while at + FRAGMENT <= len(data):
        left = BLOCK - at % BLOCK
        if left < FRAGMENT:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + FRAGMENT])
        part = data[at + FRAGMENT : at + FRAGMENT + size]
        at += FRAGMENT + size
        parts = part if kind in (FULL, FIRST) else parts + part
        if kind in (FULL, LAST):
            yield parts
