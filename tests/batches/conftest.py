from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.app import worker_argv
from workers.batches.records import BatchRecord
from workers.service import Service
from workers.settings import Settings, child_environment


class Worker:
    """A real worker: Celery's process with our lifecycle in it."""

    def __init__(self, settings: Settings, name: str, folder: Path) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("a") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", *worker_argv(settings)],
                env=child_environment(settings, worker_name=name),
                stdout=out,
                stderr=out,
            )

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def batch_settings(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    import redis

    with redis.Redis.from_url(redis_server, socket_timeout=10) as client:
        client.flushall()
    return Settings(
        data_dir=tmp_path_factory.mktemp("batches"),
        redis_url=redis_server,
        allow_fake_engine=True,
        slots=4,
        lease_seconds=2.0,
        drain_seconds=1.0,
        batch_flight=64,
        webhook_allow="127.0.0.1",
    )


@pytest.fixture(scope="module")
def service(batch_settings: Settings) -> Iterator[Service]:
    """The module's service, without a worker."""
    made = Service.connect(batch_settings)
    yield made
    made.close()


@pytest.fixture(scope="module")
def worker(batch_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The module's worker."""
    made = Worker(batch_settings, "w1", tmp_path_factory.mktemp("logs"))
    yield made
    made.kill()


@pytest.fixture(name="jsonl")
def jsonl_fixture() -> Callable[..., bytes]:
    """Some lines as a batch file."""
    return lambda *lines: b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )


@pytest.fixture
def ended(service: Service, wait_until: Callable[..., Any]) -> Callable[..., BatchRecord]:
    """Waits for a batch's end and returns its record."""

    def wait(batch: BatchRecord, seconds: float = 60) -> BatchRecord:
        wait_until(lambda: service.batches.get(batch.id, batch.tenant).state.final, seconds, f"{batch.id} ends")
        return service.batches.get(batch.id, batch.tenant)

    return wait


@pytest.fixture
def written(service: Service) -> Callable[..., list[dict[str, Any]]]:
    """The lines of a file of the service's; none when there is no file."""

    def read(file_id: str | None, tenant: str = "default") -> list[dict[str, Any]]:
        if file_id is None:
            return []
        return [json.loads(line) for line in b"".join(service.batches.files.blocks(file_id, tenant)).splitlines()]

    return read


@pytest.fixture
def launch(batch_settings: Settings, tmp_path: Path) -> Iterator[Callable[[str], Worker]]:
    """Starts workers of the module's; each is ended by its id."""
    made: list[Worker] = []

    def start(name: str) -> Worker:
        made.append(Worker(batch_settings, name, tmp_path))
        return made[-1]

    yield start
    for one in made:
        one.kill()
