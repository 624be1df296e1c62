"""`phiq serve` as a process of its own, and the page that describes the API."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.http import page
from workers.settings import Settings, child_environment
from workers.stack import health
from workers.stack.ports import free_port

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "http.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_a_gateway_ends_its_streams_and_itself_in_good_order(
    number: signal.Signals, gateway: Any, http_settings: Settings, tmp_path: Path, wait_until: Callable[..., Any]
):
    port = free_port()
    job_id = gateway.submit("silent", delay=3600)
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "serve", "--port", str(port)],
            env=child_environment(http_settings),
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or not health.gateway(url), 30, "ready")
        with httpx.stream("GET", f"{url}/v1/jobs/{job_id}/events", timeout=20, trust_env=False) as answer:
            lines = answer.iter_lines()
            assert any(line.startswith("data:") for line in iter(lambda: next(lines), None) if line.startswith("data:"))
            process.send_signal(number)
            assert any("come back with Last-Event-ID" in line for line in lines)
        assert process.wait(15) == 0, (tmp_path / "log").read_text()
        assert "Traceback" not in (tmp_path / "log").read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_the_tables_of_the_page_are_those_of_the_routes():
    assert page.refresh(PAGE) == PAGE, "python -m gateway.http.page docs/http.md"
