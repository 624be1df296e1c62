"""Workers that die of a job, or not: deaths, suspects that run alone, poison."""

from __future__ import annotations

import time

import pytest

from agents.contract import CompletionResult
from workers.errors import LeaseLost
from workers.jobs import Capability, State
from workers.ledger import MustRunAlone, WorkerInfo

pytestmark = pytest.mark.service

LEASE = 0.25


@pytest.fixture
def short(make_ledger):
    """A ledger whose leases run out soon and that has seen its Redis before, so nothing pauses."""
    ledger = make_ledger(lease=LEASE, worker_ttl=60.0)
    ledger.reap()
    return ledger


@pytest.fixture
def made(short, a_job):
    return lambda **fields: short.submit(a_job(**fields), model="fake:echo", capability=Capability.GENERATE).id


@pytest.fixture
def lose(short, wait_until, client):
    """Claim a job and let its lease run out, as when its worker is killed; what became of it."""

    def lost(job_id, worker="w", alone=False, alive=False):
        short.heartbeat(WorkerInfo(name=worker))
        assert short.claim(job_id, worker, alone) is not None
        wait_until(lambda: _over(client, job_id), 10, "lease over")

        def reaped():
            if alive:
                short.heartbeat(WorkerInfo(name=worker))
            return short.reap().lost

        return wait_until(reaped, 10)[job_id]

    return lost


def _over(client, job_id):
    seconds, micros = client.time()
    return client.zscore("phiq:leases", job_id) < seconds * 1000 + micros // 1000


def test_a_death_uses_up_no_attempt_and_is_told_by_the_record(short, made, lose):
    job_id = made(max_attempts=2)
    assert lose(job_id, "w1") == "queued"
    record = short.get(job_id, "default")
    assert (record.deaths, record.suspect) == (1, False)
    assert [(a.worker, a.outcome, a.death, a.alone) for a in record.attempts] == [("w1", "lost", True, False)]
    # Both attempts are left.
    assert lose(job_id, "w2", alive=True) == "queued"


def test_a_lost_lease_of_a_living_worker_is_no_death_and_uses_up_an_attempt(short, made, lose):
    job_id = made(max_attempts=2)
    assert lose(job_id, alive=True) == "queued"
    assert lose(job_id, alive=True) == "dead"
    record = short.get(job_id, "default")
    assert (record.deaths, record.suspect, record.error["code"]) == (0, False, "worker_lost")
    assert [a.death for a in record.attempts] == [False, False]


def test_a_worker_started_anew_under_its_old_name_does_not_hide_the_death(short, made, lose, wait_until):
    job_id = made()
    short.heartbeat(WorkerInfo(name="w", pid=1))
    assert short.claim(job_id, "w") is not None
    time.sleep(0.002)  # instants are milliseconds

    def reaped():
        short.heartbeat(WorkerInfo(name="w", pid=2))
        return short.reap().lost

    wait_until(reaped, 10)
    assert short.get(job_id, "default").deaths == 1


def test_what_may_run_once_only_does_not_run_again_after_a_death(short, made, lose):
    job_id = made(max_attempts=1)
    assert lose(job_id) == "dead"
    assert short.get(job_id, "default").error["code"] == "worker_lost"


def test_two_deaths_make_a_suspect_that_runs_alone_and_may_succeed(short, made, lose):
    job_id = made(max_attempts=2)
    lose(job_id)
    lose(job_id)
    assert short.get(job_id, "default").suspect
    with pytest.raises(MustRunAlone):
        short.claim(job_id, "w1")
    attempt = short.claim(job_id, "w1", alone=True)
    assert attempt.succeed(CompletionResult()) is State.SUCCEEDED
    assert [a.alone for a in short.get(job_id, "default").attempts] == [False, False, True]


def test_a_death_alone_is_poison_with_the_evidence(short, made, lose):
    job_id = made(max_attempts=20)
    lose(job_id, "w1")
    lose(job_id, "w2")
    assert lose(job_id, "w3", alone=True) == "dead"
    record = short.get(job_id, "default")
    assert (record.state, record.error["code"], record.deaths) == (State.DEAD, "poison", 3)
    assert [(a.worker, a.death, a.alone) for a in record.attempts] == [
        ("w1", True, False),
        ("w2", True, False),
        ("w3", True, True),
    ]
    assert [letter.id for letter in short.dead("default", code="poison")] == [job_id]


def test_one_that_hangs_alone_is_no_poison(short, made, lose):
    job_id = made(max_attempts=5)
    lose(job_id)
    lose(job_id)
    assert lose(job_id, alone=True, alive=True) == "queued"
    assert short.get(job_id, "default").suspect


def test_a_suspect_is_kept_for_one_worker_until_it_gives_it_up(short, made, lose):
    job_id = made()
    lose(job_id)
    lose(job_id)
    for _ in range(2):
        with pytest.raises(MustRunAlone):
            short.claim(job_id, "w1")
    assert short.claim(job_id, "w2") is None
    assert short.claim(job_id, "w2", alone=True) is None
    short.unreserve(job_id, "w2")
    assert short.claim(job_id, "w2", alone=True) is None
    short.unreserve(job_id, "w1")
    assert short.claim(job_id, "w2", alone=True) is not None


def test_a_reservation_ends_by_itself(make_ledger, a_job, client, wait_until):
    ledger = make_ledger(reservation=0.1)
    job_id = ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id
    client.hset(f"phiq:job:{job_id}", "suspect", 1)
    with pytest.raises(MustRunAlone):
        ledger.claim(job_id, "w1")
    wait_until(lambda: ledger.claim(job_id, "w2", alone=True), 5)


def test_a_suspects_message_is_not_sent_again_while_it_is_kept_and_at_once_afterwards(make_ledger, a_job, client):
    ledger = make_ledger(resend_after=0.0)
    ledger.heartbeat(WorkerInfo(name="w1", serves=[Capability.GENERATE], slots=2))
    job_id = ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id
    client.hset(f"phiq:job:{job_id}", "suspect", 1)
    sent = []
    ledger.dispatch(lambda _, one: sent.append(one))
    with pytest.raises(MustRunAlone):
        ledger.claim(job_id, "w1")
    ledger.dispatch(lambda _, one: sent.append(one))
    assert sent == [job_id]
    assert ledger.waiting(job_id, "default").reason == "alone"
    assert "w1" in ledger.waiting(job_id, "default").message
    ledger.unreserve(job_id, "w1")
    ledger.dispatch(lambda _, one: sent.append(one))
    assert sent == [job_id, job_id]


def test_a_cancelled_job_whose_worker_died_is_cancelled_and_late_writes_are_refused(short, made, wait_until):
    job_id = made()
    attempt = short.claim(job_id, "w")
    short.cancel(job_id, "default")
    assert wait_until(lambda: short.reap().lost, 10) == {job_id: "cancelled"}
    with pytest.raises(LeaseLost):
        attempt.succeed(CompletionResult())
