"""Classification heads: each method trains one on each architecture, it is kept, proven, handed on, and answers."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from matrix import ALONE, PAIRED, launch, paired
from matrix_case import ARCHES, METHODS, Case
from safetensors.torch import load_file
from small_lesson import facts

from finetune.methods import adapter_digest, heads

torch.set_num_threads(1)
LABELS = ("yes", "不是")
OFTEN = ("LoRA", "P-Tuning v2", "Full")
# The rest of the matrix holds with a head as without: what is new is the row, the loss and what is saved.
QUALITIES = ("packing", "resume", "reload", "checkpointing")
EVERY = [
    pytest.param(*each, marks=() if each[1] in OFTEN and each[2] == "Qwen2" else pytest.mark.slow)
    for each in product(QUALITIES, METHODS, ARCHES)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("heads")


@pytest.fixture(scope="module")
def said(folder):
    return launch([Case(method, "Qwen2", folder, "sequence") for method in METHODS])


@pytest.mark.parametrize(("quality", "method", "arch"), EVERY)
def test_every_method_trains_a_sequence_head_on_every_architecture(folder, quality, method, arch):
    """Packed = each row alone, resumed = uninterrupted bit for bit, reloaded into a fresh base = trained."""
    ALONE[quality](Case(method, arch, folder, "sequence"))


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_two_processes_train_the_head_that_one_does(folder, said, method):
    assert paired(Case(method, "Qwen2", folder, "sequence"), PAIRED[0], said) == "works"


def test_the_head_is_kept_beside_the_adapter_and_counted(folder):
    case = Case("P-Tuning v2", "Qwen2", folder, "sequence")
    assert heads.read(case.adapter) == heads.Head(kind="sequence", labels=LABELS, hidden=64)
    tensors = load_file(case.adapter / heads.TENSORS)
    assert {name: (*tensor.shape, tensor.dtype) for name, tensor in tensors.items()} == {
        "weight": (2, 64, torch.float32), "bias": (2, torch.float32),
    }  # fmt: skip
    told = facts(case.recipe("plain"), case.contender)
    assert told.head_difference == 0
    assert told.end_token_trained is None
    assert told.start_difference is None
    assert told.trainable_parameters == 2 * 2 * 2 * 4 * 16 + 2 * 64 + 2
    assert told.target_tokens == 2 * told.rows  # one a row, in two epochs


def test_the_digest_covers_the_head(folder, tmp_path):
    case = Case("LoRA", "Qwen2", folder, "sequence")
    for path in case.adapter.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    told, note = adapter_digest(case.adapter), tmp_path / heads.NOTE
    assert adapter_digest(tmp_path) == told
    note.write_text(note.read_text("utf-8").replace("yes", "yep"), "utf-8")
    assert adapter_digest(tmp_path) != told
    note.unlink()
    with pytest.raises(ValueError, match=r"head\.safetensors without head\.json"):
        adapter_digest(tmp_path)
