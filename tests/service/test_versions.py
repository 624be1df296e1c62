"""A rolling restart: workers of two versions side by side, and no job lost between them."""

from __future__ import annotations

import json

import pytest

from workers.jobs import RECORD_VERSION, SINCE, State

pytestmark = pytest.mark.service


@pytest.fixture
def submit_newer(service, complete, monkeypatch):
    """Submit a job as the version of phiq after this one would; its id."""
    from workers.ledger import submit

    def make(**fields: object) -> str:
        with monkeypatch.context() as later:
            later.setattr(submit, "INLINE_VERSION", RECORD_VERSION + 1)
            return service.submit(complete(**fields)).id

    return make


def test_an_old_worker_leaves_newer_jobs_to_new_ones_and_a_mixed_fleet_ends_all(
    service, launch, start_worker, await_workers, complete, submit_newer, outcomes, wait_until
):
    old = start_worker("old")
    early = submit_newer()
    # The old worker reads the message and does nothing: the one it does after that shows that it has.
    assert service.wait(service.submit(complete()).id, 20).state is State.SUCCEEDED
    assert (service.get(early).state, service.get(early).attempt) == (State.QUEUED, 0)
    why = service.waiting(early)
    assert (why.reason, why.workers) == ("no_worker", 0)
    assert "older version" in why.message

    new = launch("new", odd="newer")
    await_workers(new)
    # Its first message is used up: the ledger sends another when nobody has claimed it for a while.
    assert service.wait(early, 75).state is State.SUCCEEDED, new.log.read_text()
    assert outcomes(early) == [("new", "succeeded")]

    # All at work when the old one is told to leave.
    slow = "fake:words?count=30&rate=20"
    plain = [service.submit(complete(model=slow)).id for _ in range(6)]
    newer = [submit_newer(model=slow) for _ in range(4)]
    wait_until(lambda: sum(len(info.running) for info in service.workers()) >= 3, 20, "both at work")
    old.signal()
    assert old.process.wait(30) == 0, old.log.read_text()
    for job_id in plain + newer:
        assert service.wait(job_id, 60).state is State.SUCCEEDED
    for job_id in plain:
        *given_back, last = outcomes(job_id)
        assert last[1] == "succeeded"
        assert set(given_back) <= {("old", "released")}
    assert {name for job_id in newer for name, _ in outcomes(job_id)} == {"new"}
    assert any(worker == "old" for job_id in plain for worker, _ in outcomes(job_id))


def test_a_record_carries_only_what_its_job_uses_so_that_older_workers_can_read_it(service, complete):
    def kept(job_id: str) -> tuple[str, dict[str, object]]:
        version, job = service.ledger.scripts.client.hmget(f"phiq:job:{job_id}", "version", "job")
        return version, json.loads(job)

    plain = service.submit(complete(), job_id="0" * 32).id
    assert kept(plain)[0] == "1"
    assert not set(kept(plain)[1]) & set(SINCE)
    version, job = kept(service.submit(complete(subject="customer 7")).id)
    assert (version, job["subject"]) == ("2", "customer 7")
    # And the same request is the same job for both versions.
    assert service.submit(complete(), job_id="0" * 32).id == plain


def test_a_record_that_nobody_can_read_fails_at_once_and_costs_no_worker_a_lease(service, complete):
    job_id = service.submit(complete()).id
    service.ledger.scripts.client.hset(f"phiq:job:{job_id}", "job", '{"kind": "complete", "input": {}, "odd": 1}')
    assert service.ledger.claim(job_id, "w1") is None
    record = service.get(job_id)
    assert (record.state, record.error["code"]) == (State.FAILED, "job_invalid")
