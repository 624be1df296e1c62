"""A Redis without room: submitting stops, nothing is lost, nobody ends, and it goes on when there is room again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from workers.doctor import redis_look
from workers.errors import StorageFull
from workers.jobs import State, parse_job

pytestmark = pytest.mark.service


def fill(service: Any, size: int = 100_000, most: int = 2000) -> tuple[list[str], StorageFull]:
    """Submit until it is refused; the ids of what was accepted, and the refusal."""
    accepted = []
    for _ in range(most):
        job = parse_job({"kind": "complete", "input": {"prompt": "x" * size}, "model": "fake:words?count=2"})
        try:
            accepted.append(service.submit(job).id)
        except StorageFull as error:
            return accepted, error
    pytest.fail("it was never full")


def state_of(service: Any, job_id: str) -> State:
    found: State = service.get(job_id).state
    return found


def test_given_a_full_memory_then_what_runs_ends_and_what_waits_goes_on_once_there_is_room(
    serve: Callable[..., Any],
    connect: Callable[..., Any],
    start_worker: Callable[..., Any],
    words: Callable[..., Any],
    wait_until: Callable[..., Any],
) -> None:
    server = serve(maxmemory="12mb", maxmemory_policy="noeviction")
    service = connect(server.url, canary_seconds=0.5)
    worker = start_worker(service)
    running = [service.submit(words(count=100, rate=20)).id for _ in range(2)]
    wait_until(lambda: all(state_of(service, one) is State.RUNNING for one in running), 30, "both slots are busy")

    accepted, refused = fill(service)
    assert refused.code == "storage_full"
    assert "maxmemory" in refused.hint
    # Some room comes back, as buffers shrink: take that too.
    accepted += fill(service, size=1000)[0]
    assert {record.id for record in service.list(limit=5000)} == {*accepted, *running}

    for one in running:
        record = service.wait(one, 30)
        assert record.state is State.SUCCEEDED, (record, worker.log.read_text())
        assert [attempt.outcome for attempt in record.attempts] == ["succeeded"]
    # Longer than after which a worker takes itself for deaf when its messages do not come.
    until = time.monotonic() + 3
    while time.monotonic() < until:
        assert worker.running, worker.log.read_text()
        assert [info.name for info in service.workers()] == ["w1"]
        time.sleep(0.1)
    (check,) = [check for check in redis_look.redis(service.settings) if "maxmemory" in check.message]
    assert check.status == "fail"
    assert "CONFIG SET maxmemory" in check.fix

    with server.client() as client:
        client.config_set("maxmemory", "200mb")
    for one in accepted:
        assert service.wait(one, 60).state is State.SUCCEEDED, worker.log.read_text()
    assert worker.running
    assert not worker.said("tick failed"), worker.log.read_text()
