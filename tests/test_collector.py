"""The garbage collector stands still while libraries come, is as before afterwards, and passes by what came."""

import gc
import sys
from types import ModuleType

import pytest

from finetune.collector import MANY, paused


@pytest.mark.parametrize("at_work", [True, False])
def test_the_collector_is_as_before_whatever_happened_within(at_work):
    (gc.enable if at_work else gc.disable)()
    try:
        with paused():
            assert not gc.isenabled()
        assert gc.isenabled() is at_work
        with pytest.raises(ImportError), paused():
            raise ImportError
        assert gc.isenabled() is at_work
    finally:
        gc.enable()


@pytest.mark.parametrize(("arrived", "kept"), [(MANY, True), (MANY - 1, False)])
def test_a_library_that_came_is_left_alone_and_a_few_modules_are_not(monkeypatch, arrived, kept):
    before = gc.get_freeze_count()
    with paused():
        for number in range(arrived):
            name = f"came_with_a_library_{number}"
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert (gc.get_freeze_count() > before) is kept
