"""Redis goes away for longer than a lease and comes back: nobody of ours is started anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from workers.errors import RedisUnavailable
from workers.jobs import State
from workers.ledger.submit import new_id

pytestmark = pytest.mark.service

AWAY = 12.0
"""Seconds: six leases, and more than two of the scheduler's ticks."""


def test_worker_scheduler_and_clients_live_through_an_outage_longer_than_a_lease(
    serve: Callable[..., Any],
    connect: Callable[..., Any],
    start_worker: Callable[..., Any],
    start_beat: Callable[..., Any],
    words: Callable[..., Any],
    wait_until: Callable[..., Any],
) -> None:
    server = serve()
    service = connect(server.url)  # its lease is 2 s
    worker, beat = start_worker(service), start_beat(service)
    running = service.submit(words(count=60, rate=20)).id
    waiting = [service.submit(words()).id for _ in range(5)]
    events: list[Any] = []
    reader = threading.Thread(target=lambda: events.extend(service.events(running, timeout=90)), daemon=True)
    reader.start()
    wait_until(lambda: any(event.type == "delta" for event in events), 30, "it streams")

    server.stop()
    gone = time.monotonic()
    with pytest.raises(RedisUnavailable):
        service.submit(words(), job_id=new_id())
    while time.monotonic() - gone < AWAY:
        assert worker.running, worker.log.read_text()
        assert beat.running, beat.log.read_text()
        time.sleep(0.2)
    server.start()
    back = time.monotonic()

    for job_id in (*waiting, running, service.submit(words()).id):
        record = service.wait(job_id, 60)
        assert record.state is State.SUCCEEDED, (record, worker.log.read_text())
    # Celery alone would take up to half a minute before it looks again.
    assert time.monotonic() - back < 20
    # The holder stopped itself when its lease was over; what it did then is not in the result.
    assert [attempt.outcome for attempt in service.get(running).attempts] == ["lost", "succeeded"]
    reader.join(30)
    assert events[-1].type == "end"
    assert worker.running
    with server.client() as client:
        lock = f"{service.settings.key_prefix}:beat:lock"
        wait_until(lambda: client.pttl(lock) > 25_000, 30, "the scheduler renews its lock")
        # As after an outage longer than the lock.
        client.delete(lock)
        wait_until(lambda: client.pttl(lock) > 25_000, 30, "the scheduler takes its lock again")
    assert beat.running, beat.log.read_text()
    assert not worker.said("tick failed"), worker.log.read_text()
