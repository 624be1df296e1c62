from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workers.schedules import Schedule, ScheduleSpec, Ticker
from workers.schedules.records import parse
from workers.service import Service
from workers.settings import Settings

JOB = {"kind": "complete", "model": "fake:echo", "input": {"prompt": "on time"}}


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def to(self, text: str) -> None:
        """Set it to a time in UTC."""
        self.now = datetime.fromisoformat(text).replace(tzinfo=UTC)

    def on(self, **span: float) -> None:
        """Let it go on by a span, such as ``minutes=5``."""
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    """Stands at Monday, 2 March 2026, 05:00 UTC."""
    return Clock(datetime(2026, 3, 2, 5, tzinfo=UTC))


@pytest.fixture
def service(redis_url: str, settings: Callable[..., Settings]) -> Iterator[Service]:
    made = Service.connect(settings(redis_url=redis_url, allow_fake_engine=True, webhook_allow="127.0.0.1"))
    yield made
    made.close()


@pytest.fixture
def ticker(service: Service, clock: Clock) -> Ticker:
    """A scheduler that goes by the test's clock."""
    return Ticker(service, clock)


@pytest.fixture
def add(service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Schedule]:
    """Add a schedule of a small job, with the test's clock: ``add("nightly", cron="0 6 * * *")``."""
    monkeypatch.setattr(service.schedules.store, "now", clock)

    def put(name: str = "nightly", **spec: Any) -> Schedule:
        work = {} if "batch" in spec else {"job": JOB}
        return service.schedules.add(name, parse(ScheduleSpec, {**work, **spec}))

    return put
