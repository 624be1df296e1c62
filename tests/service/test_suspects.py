"""A job that may have ended two workers runs in a process of its own, and harms nobody if it was the cause."""

from __future__ import annotations

import os
import signal
import time

import pytest

from workers.jobs import State

pytestmark = pytest.mark.service


@pytest.fixture
def make_suspect(service, complete, wait_until):
    """Makes a job that was running when two workers died, held back by a pause of its tenant; returns its id."""

    def make(prompt="one two three", **fields):
        service.resume(tenant="odd")
        job_id = service.submit(complete(prompt, tenant="odd", **fields)).id
        for ghost in ("ghost1", "ghost2"):
            assert service.ledger.claim(job_id, ghost) is not None
            wait_until(lambda: job_id in service.ledger.reap().lost, 15, "its lease is over")
        service.pause(tenant="odd")
        record = service.get(job_id, tenant="odd")
        assert (record.state, record.deaths, record.suspect) == (State.QUEUED, 2, True)
        return job_id

    return make


def processes(service):
    return [info for info in service.workers() if info.alone]


def test_a_poisonous_job_ends_its_own_process_only_and_is_a_dead_letter(
    service, make_suspect, start_worker, complete, streaming, outcomes, wait_until
):
    suspect = make_suspect("die of this")
    worker = start_worker("w1", odd="mortal", slots=3)
    beside = streaming(complete(model="fake:words?count=60&rate=20"))
    service.resume(tenant="odd")
    dead = service.wait(suspect, 30, tenant="odd")
    assert (dead.state, dead.error["code"]) == (State.DEAD, "poison")
    assert [(a.outcome, a.death, a.alone) for a in dead.attempts] == [
        ("lost", True, False),
        ("lost", True, False),
        ("lost", True, True),
    ]
    assert dead.attempts[-1].worker.startswith("w1/alone-")
    assert [record.id for record in service.dead(tenant="odd")] == [suspect]
    assert service.wait(beside, 30).state is State.SUCCEEDED
    assert outcomes(beside) == [("w1", "succeeded")]
    assert worker.process.poll() is None


def test_an_innocent_suspect_ends_well_while_others_run_beside_it(
    service, make_suspect, start_worker, complete, wait_until
):
    suspect = make_suspect(model="fake:words?count=200&rate=20")
    start_worker("w1")
    service.resume(tenant="odd")
    wait_until(lambda: processes(service) and processes(service)[0].running == [suspect], 30, "it runs apart")
    assert service.wait(service.submit(complete()).id, 20).state is State.SUCCEEDED
    assert service.get(suspect, tenant="odd").state is State.RUNNING
    record = service.wait(suspect, 30, tenant="odd")
    assert record.state is State.SUCCEEDED
    assert record.attempts[-1].alone
    wait_until(lambda: not processes(service), 10, "its process has left")


def test_a_killed_worker_is_no_evidence_against_the_suspect_beside_it(service, make_suspect, start_worker, wait_until):
    suspect = make_suspect(model="fake:words?count=100&rate=20")
    worker = start_worker("w1")
    service.resume(tenant="odd")
    wait_until(lambda: service.get(suspect, tenant="odd").state is State.RUNNING, 30, "it runs apart")
    worker.kill()
    wait_until(lambda: service.get(suspect, tenant="odd").state is State.QUEUED, 20, "given back")
    record = service.get(suspect, tenant="odd")
    assert (record.deaths, record.attempts[-1].outcome) == (2, "released")
    start_worker("w2")
    assert service.wait(suspect, 30, tenant="odd").state is State.SUCCEEDED


def test_a_suspect_that_died_together_with_its_worker_runs_again(service, make_suspect, start_worker, wait_until):
    suspect = make_suspect(model="fake:words?count=100&rate=20")
    worker = start_worker("w1")
    service.resume(tenant="odd")
    (apart,) = wait_until(lambda: [info for info in processes(service) if info.running], 30, "it runs apart")
    os.kill(apart.pid, signal.SIGKILL)
    worker.kill()
    wait_until(lambda: suspect in service.ledger.reap().lost, 30, "its lease is over")
    record = service.get(suspect, tenant="odd")
    assert (record.state, record.deaths, record.suspect) == (State.QUEUED, 3, True)
    start_worker("w2")
    assert service.wait(suspect, 30, tenant="odd").state is State.SUCCEEDED


def test_a_worker_that_drains_gives_its_suspect_to_another(service, make_suspect, start_worker, wait_until):
    suspect = make_suspect(model="fake:words?count=400&rate=20")
    leaving = start_worker("w1", drain_seconds=0.5)
    service.resume(tenant="odd")
    wait_until(lambda: service.get(suspect, tenant="odd").state is State.RUNNING, 30, "it runs apart")
    leaving.signal()
    assert leaving.process.wait(30) == 0
    assert service.get(suspect, tenant="odd").attempts[-1].outcome == "released"
    started = time.monotonic()
    start_worker("w2")
    wait_until(lambda: service.get(suspect, tenant="odd").state is State.RUNNING, 30, "it runs on")
    assert time.monotonic() - started < 40, "not kept for the one that left until that ran out"
    service.cancel(suspect, tenant="odd")
    assert service.wait(suspect, 20, tenant="odd").state is State.CANCELLED


def test_without_the_process_that_begins_them_suspects_go_back_in_line(service, make_suspect, start_worker, wait_until):
    import psutil

    suspect = make_suspect(model="fake:words?count=100&rate=20")
    start_worker("w1")
    service.resume(tenant="odd")
    (apart,) = wait_until(lambda: [info for info in processes(service) if info.running], 30, "it runs apart")
    nursery = psutil.Process(apart.pid).parent()
    assert "solo" in nursery.cmdline()
    nursery.kill()
    assert service.wait(suspect, 60, tenant="odd").state is State.SUCCEEDED
    record = service.get(suspect, tenant="odd")
    assert [a.outcome for a in record.attempts][-2:] == ["released", "succeeded"]
    assert record.deaths == 2, "no evidence against it"
