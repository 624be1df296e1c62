from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from workers.jobs import Job, JobRecord, parse_job
from workers.ledger import Ledger, LedgerConfig

MakeLedger = Callable[..., Ledger]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    made = redis.Redis.from_url(redis_url, decode_responses=True)
    yield made
    made.close()


@pytest.fixture
def make_ledger(client: redis.Redis) -> MakeLedger:
    """A ledger with the given settings, all on one clean database."""
    return lambda **settings: Ledger(client, LedgerConfig(**settings))


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> Ledger:
    return make_ledger()


def a_job(text: str = "Hello", **fields: object) -> Job:
    return parse_job({"kind": "complete", "input": {"prompt": text}, **fields})


@pytest.fixture(name="a_job")
def a_job_fixture() -> Callable[..., Job]:
    return a_job


@pytest.fixture
def submit(ledger: Ledger) -> Callable[..., JobRecord]:
    """Submit a job with the given fields to `ledger`."""
    from workers.jobs import Capability

    return lambda text="Hello", **fields: ledger.submit(
        a_job(text, **fields), model="fake:echo", capability=Capability.GENERATE
    )
