"""`Ledger.wait`: returns at the end, at the time limit, and when the job goes away; never early."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from agents.contract import CompletionResult
from workers.errors import JobNotFound
from workers.jobs import JobRecord, State
from workers.ledger import Ledger

pytestmark = pytest.mark.service


def test_it_returns_the_result_as_soon_as_the_job_ends(ledger: Ledger, submit: Callable[..., JobRecord]) -> None:
    job = submit()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(ledger.wait, job.id, "default", 30)
        attempt = ledger.claim(job.id, "w")
        assert attempt is not None
        attempt.delta("one two")
        assert not waiting.done()
        attempt.succeed(CompletionResult(text="one two"))
        ended = time.monotonic()
        record = waiting.result(10)
        assert time.monotonic() - ended < 3  # by the stream's end, not by looking again every five seconds
    assert record.state is State.SUCCEEDED
    assert record.result is not None
    assert record.result["text"] == "one two"


def test_a_job_that_has_ended_costs_one_round_trip(
    ledger: Ledger, submit: Callable[..., JobRecord], client: redis.Redis
) -> None:
    job = submit()
    ledger.cancel(job.id, "default")
    before: Any = client.info("stats")
    assert ledger.wait(job.id, "default").state is State.CANCELLED
    after: Any = client.info("stats")
    # The reading of the figures itself is one.
    assert after["total_reads_processed"] - before["total_reads_processed"] == 2


def test_it_returns_the_record_as_it_is_when_the_time_is_over(ledger: Ledger, submit: Callable[..., JobRecord]) -> None:
    job = submit()
    began = time.monotonic()
    assert ledger.wait(job.id, "default", 0.2).state is State.QUEUED
    assert 0.2 <= time.monotonic() - began < 5
    assert ledger.wait(job.id, "default", 0).state is State.QUEUED


def test_jobs_that_are_not_there_or_anothers_are_not_waited_for(
    ledger: Ledger, submit: Callable[..., JobRecord]
) -> None:
    job = submit()
    for job_id, tenant in ((job.id, "other"), ("0" * 32, "default"), ("no id", "default")):
        with pytest.raises(JobNotFound):
            ledger.wait(job_id, tenant, 10)


def test_many_events_between_look_and_end_are_passed_over(ledger: Ledger, submit: Callable[..., JobRecord]) -> None:
    job = submit()
    attempt = ledger.claim(job.id, "w")
    assert attempt is not None
    done = threading.Event()

    def work() -> None:
        for number in range(1200):
            attempt.delta(f"{number} ")
            attempt._flushed = 0.0  # each piece an event of its own
        attempt.succeed(CompletionResult(text=""))
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    record = ledger.wait(job.id, "default", 60)
    assert record.state is State.SUCCEEDED
    assert done.wait(10)
    thread.join()
