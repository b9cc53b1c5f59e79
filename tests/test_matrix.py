"""Every cell of the README's matrix is what a run finds: `works`, or the refusal word for word."""

from __future__ import annotations

import pytest
import torch
from matrix import ALONE, PAIRED, QUALITIES, alone, every, launch, paired
from matrix_case import ARCHES, METHODS, Case
from matrix_table import read, table, taken
from small_lesson import ROOT

pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed; pip install tuneworth[quantise]")
torch.set_num_threads(1)
README = taken(ROOT / "README.md")
REMEDY = "if that is meant, `.venv/bin/python tests/matrix.py` writes the README's matrix anew"
every_case = pytest.mark.parametrize("arch", ARCHES)
every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("matrix")


@pytest.fixture(scope="module")
def said(folder):
    return launch(every(folder))


def test_the_readme_holds_the_whole_matrix_as_it_is_written():
    found = read(README)
    assert found.keys() == {(method, arch, quality) for method in METHODS for arch in ARCHES for quality in QUALITIES}
    assert table(found, list(METHODS), list(ARCHES), list(QUALITIES)) == README, REMEDY


@every_method
@every_case
@pytest.mark.parametrize("quality", ALONE)
def test_a_cell_is_what_a_run_finds(folder, method, arch, quality):
    assert alone(Case(method, arch, folder), quality) == read(README)[method, arch, quality], REMEDY


@pytest.mark.slow
@every_method
@every_case
@pytest.mark.parametrize("quality", PAIRED)
def test_a_cell_of_two_processes_is_what_a_run_finds(folder, said, method, arch, quality):
    assert paired(Case(method, arch, folder), quality, said) == read(README)[method, arch, quality], REMEDY
