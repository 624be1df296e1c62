from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

# The modules beside this file are no tests and no package; their names begin with "proofs_".
sys.path.append(str(Path(__file__).parent))

from proofs_servers import Proxy, Rewindable, Worker

from workers.service import Service
from workers.settings import Settings

# For mutations.py: a failure is all it asks for, not the smallest one.
settings.register_profile("mutants", phases=(Phase.generate,), max_examples=300)


@pytest.fixture(scope="session")
def rewindable(redis_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rewindable]:
    """A Redis that tests may kill and roll back."""
    made = Rewindable(redis_binary, tmp_path_factory.mktemp("rewindable"))
    yield made
    made.kill()


@pytest.fixture
def proxy() -> Iterator[Callable[[int], Proxy]]:
    """Starts a proxy before the Redis of a port."""
    started: list[Proxy] = []

    def start(port: int) -> Proxy:
        made = Proxy(port)
        started.append(made)
        made.start()
        return made

    yield start
    for one in started:
        one.close()


@pytest.fixture
def service(redis_url: str, settings: Callable[..., Settings]) -> Iterator[Service]:
    made = Service.connect(
        settings(redis_url=redis_url, allow_fake_engine=True, lease_seconds=2.0, slots=2, max_job_bytes=200_000)
    )
    yield made
    made.close()


@pytest.fixture
def worker(service: Service, tmp_path: Path, wait_until: Callable[..., Any]) -> Iterator[Worker]:
    """A real worker with the service's settings."""
    made = Worker(service.settings, "w1", tmp_path / "worker.log")
    try:
        wait_until(lambda: made.lives() and service.workers(), 60, "worker up")
        yield made
    finally:
        made.kill()
