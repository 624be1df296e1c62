from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.app import worker_argv
from workers.jobs import Job, parse_job
from workers.service import Service
from workers.settings import Settings, child_environment

ODD = Path(__file__).with_name("odd_worker.py")


class Worker:
    """A real worker: Celery's process with our lifecycle in it. ``odd`` names its faults (odd_worker.py)."""

    def __init__(self, settings: Settings, name: str, folder: Path, odd: str = "") -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._trigger = folder / f"{name}.trigger"
        environment = child_environment(settings, worker_name=name) | {"ODD_TRIGGER": str(self._trigger)}
        command = [str(ODD), odd] if odd else ["-m", "celery"]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, *command, *worker_argv(settings)], env=environment, stdout=out, stderr=out
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def misbehave(self) -> None:
        """Let the faults that wait for a command begin, and wait until they have."""
        self._trigger.touch()
        until = time.monotonic() + 20
        while not self._trigger.with_suffix(".done").exists():
            assert time.monotonic() < until, "the fault did not begin"
            time.sleep(0.02)


def complete(text: str = "one two three", model: str = "fake:echo", **fields: object) -> Job:
    return parse_job({"kind": "complete", "input": {"prompt": text}, "model": model, **fields})


@pytest.fixture(name="complete")
def complete_fixture() -> Callable[..., Job]:
    """Makes a completion job: ``complete(prompt, model, **fields)``."""
    return complete


@pytest.fixture
def service(redis_url: str, settings: Callable[..., Settings]) -> Iterator[Service]:
    made = Service.connect(
        settings(redis_url=redis_url, allow_fake_engine=True, lease_seconds=2.0, slots=2, drain_seconds=1.0)
    )
    yield made
    made.close()


@pytest.fixture
def launch(service: Service, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start workers with the service's settings, changed as given; each is ended by its id."""
    started: list[Worker] = []

    def start(name: str = "w1", odd: str = "", **changes: Any) -> Worker:
        started.append(Worker(service.settings.model_copy(update=changes), name, tmp_path, odd))
        return started[-1]

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


@pytest.fixture
def await_workers(service: Service, wait_until: Callable[..., Any]) -> Callable[..., None]:
    """Wait until workers have reported to the ledger."""

    def wait(*workers: Worker) -> None:
        def up() -> bool:
            for worker in workers:
                assert worker.process.poll() is None, worker.log.read_text()
            return {worker.name for worker in workers} <= {info.name for info in service.workers()}

        wait_until(up, 60, "workers up")

    return wait


@pytest.fixture
def start_worker(launch: Callable[..., Worker], await_workers: Callable[..., None]) -> Callable[..., Worker]:
    """Start a worker and wait until it has reported."""

    def start(name: str = "w1", odd: str = "", **changes: Any) -> Worker:
        worker = launch(name, odd, **changes)
        await_workers(worker)
        return worker

    return start


@pytest.fixture
def streaming(service: Service, wait_until: Callable[..., Any]) -> Callable[..., str]:
    """Submit a job and return its id as soon as its first words are there."""

    def begin(job: Job) -> str:
        job_id = service.submit(job).id
        wait_until(lambda: any(e.type == "delta" for e in service.events(job_id, follow=False)), what="first words")
        return job_id

    return begin


def outcomes(service: Service, job_id: str) -> list[tuple[str, str]]:
    return [(attempt.worker, attempt.outcome) for attempt in service.get(job_id).attempts]


@pytest.fixture(name="outcomes")
def outcomes_fixture(service: Service) -> Callable[[str], list[tuple[str, str]]]:
    """Worker and outcome of each attempt of a job."""
    return lambda job_id: outcomes(service, job_id)
