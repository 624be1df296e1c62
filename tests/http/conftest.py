"""A real gateway (uvicorn on a free port) over the session's Redis, and a worker when one is asked for.

One of each for a module: every module has its own key prefix, so nothing need be emptied.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.http.app import create_app
from gateway.http.serve import Server, config
from workers.app import worker_argv
from workers.service import Service
from workers.settings import Settings, child_environment
from workers.stack.ports import free_port


class Gateway:
    """A gateway in a thread of this process: ``url``, ``service`` beneath it, and ``http``, a client."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.service = Service.connect(settings)
        self.app = create_app(self.service)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = Server(config(self.app, settings, "127.0.0.1", self.port))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        until = time.monotonic() + 20
        while not self.server.started:
            assert self.thread.is_alive(), "the gateway ended"
            assert time.monotonic() < until, "the gateway does not start"
            time.sleep(0.01)
        self.http = httpx.Client(base_url=self.url, timeout=20, trust_env=False)

    def stop(self) -> None:
        self.http.close()
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive(), "the gateway does not stop"
        self.service.close()

    def submit(self, text: str = "one two three", model: str = "fake:echo", **fields: Any) -> str:
        """A completion job's id."""
        answer = self.http.post(
            "/v1/jobs", json={"kind": "complete", "input": {"prompt": text}, "model": model, **fields}
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


@pytest.fixture(scope="module")
def http_settings(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The module's settings; a module may override this fixture."""
    return Settings(
        data_dir=tmp_path_factory.mktemp("http"),
        redis_url=redis_server,
        key_prefix=f"h{secrets.token_hex(4)}",
        allow_fake_engine=True,
        lease_seconds=2.0,
        slots=4,
        drain_seconds=1.0,
    )


@pytest.fixture(scope="module")
def gateway(http_settings: Settings) -> Iterator[Gateway]:
    """The module's gateway."""
    made = Gateway(http_settings)
    yield made
    made.stop()


@pytest.fixture
def make_gateway() -> Iterator[Callable[[Settings], Gateway]]:
    """More gateways, stopped after the test."""
    made: list[Gateway] = []

    def make(settings: Settings) -> Gateway:
        made.append(Gateway(settings))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="module")
def worker(http_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[bytes]]:
    """A real worker with the module's settings."""
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    service = Service.connect(http_settings)
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", *worker_argv(http_settings)],
            env=child_environment(http_settings, worker_name="w1"),
            stdout=out,
            stderr=out,
        )
    try:
        until = time.monotonic() + 60
        while not service.workers():
            assert process.poll() is None, Path(log).read_text()
            assert time.monotonic() < until, "the worker does not report"
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()
        service.close()
