from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.app import worker_argv
from workers.service import Service
from workers.settings import Settings


class Worker:
    """A real worker: Celery's process with our lifecycle in it."""

    def __init__(self, settings: Settings, name: str, folder: Path) -> None:
        environment = {
            **os.environ,
            "PHIQ_REDIS_URL": settings.redis_url.get_secret_value(),
            "PHIQ_DATA_DIR": str(settings.data_dir),
            "PHIQ_WORKER_NAME": name,
            "PHIQ_ALLOW_FAKE_ENGINE": "true",
            "PHIQ_SLOTS": str(settings.slots),
            "PHIQ_QUEUES": settings.queues,
            "PHIQ_LEASE_SECONDS": str(settings.lease_seconds),
            "PHIQ_DRAIN_SECONDS": str(settings.drain_seconds),
        }
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", *worker_argv(settings)], env=environment, stdout=out, stderr=out
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


@pytest.fixture
def service(redis_url: str, settings: Callable[..., Settings]) -> Iterator[Service]:
    made = Service.connect(
        settings(redis_url=redis_url, allow_fake_engine=True, lease_seconds=2.0, slots=2, drain_seconds=1.0)
    )
    yield made
    made.close()


@pytest.fixture
def start_worker(service: Service, tmp_path: Path, wait_until: Callable[..., Any]) -> Iterator[Callable[..., Worker]]:
    """Start workers with the service's settings, changed as given; each is ended by its id."""
    started: list[Worker] = []

    def start(name: str = "w1", **changes: Any) -> Worker:
        worker = Worker(service.settings.model_copy(update=changes), name, tmp_path)
        started.append(worker)

        def up() -> bool:
            assert worker.process.poll() is None, worker.log.read_text()
            return any(info.name == name for info in service.workers())

        wait_until(up, 60, f"worker {name} up")
        return worker

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()
