"""How a worker leaves: with its jobs ended or given back, and for certain."""

from __future__ import annotations

import signal
import time

import pytest

from workers.jobs import State

pytestmark = pytest.mark.service


def test_running_jobs_may_end_and_nothing_new_begins(service, start_worker, complete, streaming, outcomes):
    worker = start_worker(drain_seconds=30)
    running = streaming(complete(model="fake:words?count=45&rate=30"))
    worker.signal()
    later = service.submit(complete()).id
    assert worker.process.wait(20) == 0, worker.log.read_text()
    assert outcomes(running) == [("w1", "succeeded")]
    assert service.get(later).state is State.QUEUED
    assert service.workers() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_asked_twice_it_gives_its_jobs_back_at_once(
    service, start_worker, complete, streaming, outcomes, wait_until, number
):
    worker = start_worker(drain_seconds=600)
    job_id = streaming(complete(model="fake:words?count=100000&rate=30"))
    worker.signal(number)
    wait_until(lambda: service.workers()[0].draining, 10, "draining")
    assert service.get(job_id).state is State.RUNNING
    worker.signal(number)
    asked = time.monotonic()
    assert worker.process.wait(20) == 0, worker.log.read_text()
    assert time.monotonic() - asked < 8
    assert outcomes(job_id) == [("w1", "released")]
    assert service.get(job_id).state is State.QUEUED


def test_a_job_that_does_not_stop_is_given_back_and_the_process_ends_without_it(
    service, start_worker, complete, streaming, outcomes
):
    worker = start_worker("w1", odd="stubborn", drain_seconds=0.5, lease_seconds=9)
    job_id = streaming(complete())
    worker.signal()
    assert worker.process.wait(20) == 0, worker.log.read_text()
    assert outcomes(job_id) == [("w1", "released")]
    # Given back, not lost: it is to be had at once, and has used up no attempt.
    assert service.get(job_id).state is State.QUEUED
    start_worker("w2")
    assert service.wait(job_id, 30).state is State.SUCCEEDED
    assert outcomes(job_id) == [("w1", "released"), ("w2", "succeeded")]


def test_a_worker_whose_loop_hangs_ends_all_the_same(start_worker):
    worker = start_worker(odd="hung_loop", drain_seconds=0.5)
    worker.misbehave()
    worker.signal()
    assert worker.process.wait(20) == 0, worker.log.read_text()
