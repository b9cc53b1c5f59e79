"""Shapes and knobs that the tests of the plan measure: the shelf's models, and four whose peaks are published."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace as Knobs

from finetune.checkpoint import ModelSpec
from finetune.recipe import read_yaml
from finetune.shape import Shape

ROOT = Path(__file__).parent.parent


def shape_of(name: str) -> Shape:
    found = ModelSpec.model_validate(read_yaml(ROOT / "recipes" / "models" / f"{name}.yaml")).shape
    assert found is not None
    return found


def llama(hidden: int, layers: int, heads: int, intermediate: int, *, kv: int = 0, vocab: int = 32000, **more) -> Shape:
    sizes = {"hidden": hidden, "layers": layers, "heads": heads, "intermediate": intermediate, "vocab": vocab}
    return Shape(**sizes, kv_heads=kv or heads, head_dim=128, **more)


def lora(rank: int, targets="all-linear", kind: str = "lora") -> Knobs:
    return Knobs(kind=kind, rank=rank, targets=targets)


L7, L13 = llama(4096, 32, 32, 11008), llama(5120, 40, 40, 13824)
L8 = llama(4096, 32, 32, 14336, kv=8, vocab=128256)
L3 = llama(3072, 28, 24, 8192, kv=8, vocab=128256, tied=True)
