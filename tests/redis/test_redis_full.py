"""A Redis without room: submitting stops, nothing is lost, nobody ends, and it goes on when there is room again."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from workers.connections import redis_client
from workers.doctor import redis_look
from workers.errors import JobInvalid, RedisUnavailable, StorageFull
from workers.jobs import State, parse_job
from workers.service import Service
from workers.stack import Stack, StackEvent, room

pytestmark = pytest.mark.service


def fill(service: Any, size: int = 50_000, most: int = 2000) -> tuple[list[str], StorageFull]:
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
    accepted += fill(service, size=20_000)[0]
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


def test_given_a_disk_that_refuses_then_nothing_is_accepted_and_all_goes_on_once_there_is_room(
    serve: Callable[..., Any],
    connect: Callable[..., Any],
    start_worker: Callable[..., Any],
    words: Callable[..., Any],
    wait_until: Callable[..., Any],
) -> None:
    # With everysec Redis lives on without its disk, and refuses every write.
    server = serve(appendfsync="everysec", maxmemory="100mb")
    service = connect(server.url, canary_seconds=0.5)
    worker = start_worker(service)
    before = service.wait(service.submit(words()).id, 30)
    running = service.submit(words(count=60, rate=20)).id
    waiting = [service.submit(words(count=20, rate=20)).id for _ in range(4)]
    wait_until(lambda: state_of(service, running) is State.RUNNING, 30, "it runs")

    server.let_files_grow_to(4096)
    with server.client() as client:
        wait_until(lambda: client.info("persistence")["aof_last_write_status"] == "err", 20, "the disk is full")
    with pytest.raises(StorageFull) as refused:
        service.submit(words())
    assert "disk" in refused.value.message
    assert service.get(before.id).state is State.SUCCEEDED
    known = {record.id for record in service.list()}
    # Longer than a lease (2 s), and than after which a worker takes itself for deaf.
    until = time.monotonic() + 5
    while time.monotonic() < until:
        assert worker.running, worker.log.read_text()
        time.sleep(0.1)
    found = [check for check in redis_look.redis(service.settings) if check.status == "fail"]
    assert [check.message for check in found if "append-only file failed" in check.message], found

    # A worker that writes without end would fill the disk it shares with Redis.
    assert worker.log.read_text().count("Redis takes no more") < 50

    server.let_files_grow_to(1 << 30)
    for one in (*waiting, running):
        record = service.wait(one, 60)
        assert record.state is State.SUCCEEDED, (record, worker.log.read_text())
    assert {record.id for record in service.list()} == known
    assert service.wait(service.submit(words()).id, 30).state is State.SUCCEEDED
    assert worker.running


def test_given_always_when_the_disk_is_full_then_redis_ends_with_all_it_had_accepted(
    serve: Callable[..., Any], connect: Callable[..., Any], words: Callable[..., Any]
) -> None:
    server = serve(maxmemory="100mb")
    service = connect(server.url)
    size = sum(file.stat().st_size for file in server.folder.rglob("*.aof"))
    server.let_files_grow_to(size + 30_000)
    accepted: list[str] = []

    def submit_many() -> None:
        for _ in range(1000):
            accepted.append(service.submit(words()).id)

    with pytest.raises((StorageFull, RedisUnavailable)):
        submit_many()
    assert len(accepted) > 3
    assert server.process.wait(10) == 1
    assert "Can't recover from AOF write error" in server.log.read_text()

    server.start()
    known = {record.id for record in service.list(limit=1000)}
    assert known >= set(accepted)
    # The one that was refused may be there: its answer was lost, so its sender knows nothing of it.
    assert len(known) <= len(accepted) + 1
    assert service.submit(words()).state is State.QUEUED


def test_given_snapshots_that_fail_then_nothing_is_accepted_until_one_succeeds(
    serve: Callable[..., Any], connect: Callable[..., Any], words: Callable[..., Any], wait_until: Callable[..., Any]
) -> None:
    server = serve(appendonly="no", save="3600 1", stop_writes_on_bgsave_error="yes", maxmemory="100mb")
    service = connect(server.url)
    kept = service.submit(words()).id
    server.let_files_grow_to(100)
    with server.client() as client:
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", 20, "the snapshot failed")
        with pytest.raises(StorageFull):
            service.submit(words())
        found = [check for check in redis_look.redis(service.settings) if check.status == "fail"]
        assert [check.message for check in found if "stop-writes-on-bgsave-error" in check.message], found

        server.let_files_grow_to(1 << 30)
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok", 20, "the snapshot succeeds")
    assert service.get(kept).state is State.QUEUED
    assert service.submit(words()).state is State.QUEUED


def test_given_little_room_on_the_disk_then_the_stack_takes_no_jobs_until_there_is_more(
    settings: Callable[..., Any],
    redis_binary: str,
    words: Callable[..., Any],
    wait_until: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = [10**12]
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=free[0]))
    monkeypatch.setattr(room, "_EVERY", 0.1)
    events: list[StackEvent] = []
    ours = settings(allow_fake_engine=True, redis_maxmemory="64mb")
    with Stack(ours, events.append, parts=["redis"]):
        service = Service.connect(ours)
        kept = service.submit(words()).id
        attempt = service.ledger.claim(kept, "w1")
        free[0] = 10_000_000
        wait_until(lambda: [event for event in events if "no new jobs" in event.message], 20, "it is told")
        with pytest.raises(StorageFull):
            service.submit(words())
        assert "closed to new jobs" in str(redis_look.redis(ours))
        # What runs can still be written down.
        attempt.delta("words")
        assert attempt.fail(JobInvalid("It ends.")) is State.FAILED
        # A Redis that was started anew is closed again.
        with redis_client(ours) as client:
            client.config_set("maxmemory", "64mb")
            wait_until(lambda: client.config_get("maxmemory")["maxmemory"] == "1", 20, "closed again")
            free[0] = 10**12
            wait_until(lambda: client.config_get("maxmemory")["maxmemory"] == str(64 << 20), 20, "open")
        assert service.submit(words()).state is State.QUEUED
        service.close()
    assert [event.kind for event in events].count("warned") == 2
