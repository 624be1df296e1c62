"""`python -m workers …`, which containers and service managers start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workers.stack import health

PROJECT = Path(__file__).resolve().parents[2]


def command(*arguments: str, **variables: str) -> tuple[list[str], dict[str, str]]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), **variables}
    return [sys.executable, "-m", "workers", *arguments], environment


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    argv, environment = command(*arguments, **variables)
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.service
@pytest.mark.parametrize("part", ["worker", "beat"])
def test_a_part_started_by_itself_becomes_healthy_and_ends_on_sigterm(
    part: str, redis_url: str, settings: Callable[..., Any], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    here = {"PHIQ_REDIS_URL": redis_url, "PHIQ_DATA_DIR": str(tmp_path), "PHIQ_DRAIN_SECONDS": "1"}
    assert run("probe", part, **here).returncode == 1
    argv, environment = command(part, **here)
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(argv, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        ours = settings(redis_url=redis_url)
        healthy = {"worker": health.worker_here, "beat": health.beat}[part]
        wait_until(lambda: process.poll() is not None or not healthy(ours, redis_url), 90, f"{part} healthy")
        assert process.poll() is None, log.read_text()
        assert run("probe", part, **here).returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def test_a_fault_of_the_user_is_said_in_words_with_the_next_step(tmp_path: Path) -> None:
    for part in ("worker", "beat"):
        answer = run(part, PHIQ_DATA_DIR=str(tmp_path))
        assert answer.returncode == 1
        assert "phiq up" in answer.stderr
        assert "Traceback" not in answer.stderr
    answer = run("probe", "redis", PHIQ_DATA_DIR=str(tmp_path))
    assert answer.returncode == 1
    assert "phiq up" in answer.stderr
    assert "Traceback" not in answer.stderr
    answer = run("probe", "redis", PHIQ_SLOTS="many")
    assert answer.returncode == 1
    assert "PHIQ_SLOTS" in answer.stderr


def test_anything_else_shows_how_it_is_used() -> None:
    answer = run("dance")
    assert answer.returncode == 2
    assert "usage" in answer.stderr
