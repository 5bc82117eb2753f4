"""The pause of the garbage collector during imports."""

import gc
import sys

import pytest

from crackexp.utils.imports import slow_imports


def test_the_collector_rests_during_the_imports_and_leaves_out_what_they_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    frozen = gc.get_freeze_count()
    try:
        with slow_imports():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()


def test_the_collector_works_again_after_an_import_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    frozen = gc.get_freeze_count()
    with pytest.raises(ImportError), slow_imports():
        raise ImportError
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen


def test_nothing_is_left_out_where_keras_is_there_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", sys)
    frozen = gc.get_freeze_count()
    with slow_imports():
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
