"""The demo from beginning to end, as CI runs it: without a terminal, on the extractive default."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.service


def demo(temporary: Path, **options: Any) -> subprocess.Popen[str]:
    # Its folder in ours, so that what it leaves behind can be seen; no Ollama, so that it is the same everywhere.
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "PHIQ_OLLAMA_URL": "http://127.0.0.1:9"}
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "demo"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def test_the_demo_runs_through_and_leaves_nothing(tmp_path: Path) -> None:
    process = demo(tmp_path / "t")
    out, _ = process.communicate(timeout=170)
    assert process.returncode == 0, out
    assert "hold the ring for twelve seconds" in out
    assert "The warranty lasts three years" in out
    assert "Nothing in the documents answers this question" in out
    assert "E-31" in out
    assert out.count("succeeded: ") == 7
    assert "needs_model" in out
    assert "Next:" in out
    assert "\x1b" not in out
    assert list((tmp_path / "t").glob("phiq-demo-*")) == []


def test_a_demo_that_is_interrupted_stops_everything(tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    process = demo(tmp_path / "t")
    assert process.stdout is not None
    line = next(line for line in process.stdout if line.startswith(("Running:", "error")))
    assert line.startswith("Running: redis, chroma, worker, beat")
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 4
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    wait_until(lambda: not any(child.is_running() for child in children), 10, "all parts ended")
    assert list((tmp_path / "t").glob("phiq-demo-*")) == []
