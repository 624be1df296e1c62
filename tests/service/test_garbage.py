from __future__ import annotations

import gc
import sys

import pytest

from workers.lifecycle.garbage import Garbage


@pytest.fixture(autouse=True)
def thaw():
    yield
    gc.unfreeze()


def test_what_modules_brought_is_set_aside_once_and_only_while_no_job_runs(monkeypatch):
    garbage = Garbage()
    assert not garbage.tidy(idle=False)
    assert gc.get_freeze_count() == 0
    assert garbage.tidy(idle=True)
    assert gc.get_freeze_count() > 1000
    assert not garbage.tidy(idle=True)
    monkeypatch.setitem(sys.modules, "loaded_since", sys)
    assert not garbage.tidy(idle=False)
    assert garbage.tidy(idle=True)
