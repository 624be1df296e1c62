"""A small chaos run against real processes ends clean, and its command says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.service

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(300)
def test_forty_jobs_outlive_every_fault_at_once(tmp_path, redis_binary):
    out = tmp_path / "run.json"
    command = [sys.executable, "-m", "benchmarks.chaos", "--jobs", "40", "--duration", "16", "--lease", "3"]
    command += ["--seed", "2", "--shortest", "3", "--longest", "8", "--no-onnx", "--no-documents", "--out", str(out)]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=280)
    assert ended.stdout.splitlines()[-1:] == ["chaos: jobs 40, lost 0, twice 0, stale 0, gaps 0"], ended.stdout
    assert ended.returncode == 0, ended.stdout
    (told,) = json.loads(out.read_text())
    struck = {fault["kind"] for fault in told["struck"]}
    assert struck >= {"worker", "freeze", "redis", "connections", "replies"}, told["skipped"]
    assert told["interrupted"] >= 0.25
    assert told["recoveries"]
