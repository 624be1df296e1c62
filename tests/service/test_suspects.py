"""A job that may have ended two workers runs alone, and takes no other job with it if it was the cause."""

from __future__ import annotations

import time

import pytest

from workers.jobs import State

pytestmark = pytest.mark.service


@pytest.fixture
def suspect(service, complete, wait_until):
    """A job that was running when two workers died, held back by a pause of its tenant; its id."""
    service.pause(tenant="odd")
    job_id = service.submit(complete("die of this", tenant="odd")).id
    service.resume(tenant="odd")
    for ghost in ("ghost1", "ghost2"):
        assert service.ledger.claim(job_id, ghost) is not None
        wait_until(lambda: job_id in service.ledger.reap().lost, 15, "its lease is over")
    service.pause(tenant="odd")
    record = service.get(job_id, tenant="odd")
    assert (record.state, record.deaths, record.suspect) == (State.QUEUED, 2, True)
    return job_id


def test_a_suspect_waits_for_the_others_dies_alone_and_is_a_dead_letter(
    service, suspect, start_worker, complete, streaming, outcomes, wait_until
):
    worker = start_worker("w1", odd="mortal", slots=3)
    beside = [streaming(complete(model="fake:words?count=60&rate=20")) for _ in range(2)]
    service.resume(tenant="odd")
    wait_until(lambda: service.workers()[0].alone, 15, "the suspect waits")
    assert {one.id for one in service.workers()[0].doing} == set(beside)
    assert service.get(suspect, tenant="odd").state is State.QUEUED
    late = service.submit(complete()).id
    worker.process.wait(30)

    # The others had ended before; what came later was not begun.
    for job_id in beside:
        assert outcomes(job_id) == [("w1", "succeeded")]
    assert outcomes(late) == []
    start_worker("w2", odd="mortal")
    assert service.wait(late, 20).state is State.SUCCEEDED
    dead = service.wait(suspect, 20, tenant="odd")
    assert (dead.state, dead.error["code"]) == (State.DEAD, "poison")
    assert [(a.worker, a.outcome, a.death, a.alone) for a in dead.attempts] == [
        ("ghost1", "lost", True, False),
        ("ghost2", "lost", True, False),
        ("w1", "lost", True, True),
    ]
    assert [record.id for record in service.dead(tenant="odd")] == [suspect]


def test_an_innocent_suspect_ends_well_and_its_worker_goes_on_as_ever(
    service, suspect, start_worker, complete, wait_until
):
    start_worker("w1")
    service.resume(tenant="odd")
    record = service.wait(suspect, 30, tenant="odd")
    assert record.state is State.SUCCEEDED
    assert [(a.worker, a.alone) for a in record.attempts][-1] == ("w1", True)
    assert service.wait(service.submit(complete()).id, 20).state is State.SUCCEEDED
    wait_until(lambda: not service.workers()[0].alone, 10, "open to all again")


def test_a_worker_that_drains_gives_its_suspect_to_another(
    service, suspect, start_worker, complete, streaming, outcomes, wait_until
):
    leaving = start_worker("w1", drain_seconds=0.5)
    beside = streaming(complete(model="fake:words?count=100000&rate=20"))
    service.resume(tenant="odd")
    wait_until(lambda: service.workers()[0].alone, 15, "the suspect waits")
    leaving.signal()
    assert leaving.process.wait(30) == 0
    assert outcomes(beside) == [("w1", "released")]
    service.cancel(beside)
    started = time.monotonic()
    start_worker("w2")
    record = service.wait(suspect, 30, tenant="odd")
    assert record.state is State.SUCCEEDED
    assert record.attempts[-1].worker == "w2"
    assert time.monotonic() - started < 40, "not kept for the one that left until that ran out"
