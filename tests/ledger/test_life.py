"""A job's life in the ledger: submitted, claimed, streamed, ended."""

from __future__ import annotations

import time

import pytest

from agents.contract import CompletionResult, Progress
from knowledge.errors import UserError
from workers.errors import EngineDown, IdempotencyConflict, JobInvalid, JobNotFound, JobTooLarge, LeaseLost
from workers.jobs import Capability, State

pytestmark = pytest.mark.service


def test_a_submitted_job_waits_with_its_contents(ledger, submit):
    record = submit("Say hello", metadata={"case": "7"})
    assert record.state is State.QUEUED
    assert record.job["input"] == {"prompt": "Say hello"}
    assert (record.capability, record.model, record.metadata) == (Capability.GENERATE, "fake:echo", {"case": "7"})
    assert ledger.get(record.id, "default") == record


def test_the_stream_tells_the_whole_life(ledger, submit):
    job_id = submit().id
    attempt = ledger.claim(job_id, "w1")
    attempt.delta("Grüße, ")
    attempt.progress(Progress(done=1, total=2))
    attempt.delta("Welt")
    assert attempt.succeed(CompletionResult(text="Grüße, Welt", engine="fake")) is State.SUCCEEDED
    events = list(ledger.events(job_id, "default", timeout=5))
    assert [(e.type, e.state) for e in events if e.type in ("state", "end")] == [
        ("state", State.QUEUED),
        ("state", State.RUNNING),
        ("end", State.SUCCEEDED),
    ]
    deltas = [e for e in events if e.type == "delta"]
    assert "".join(e.text for e in deltas) == "Grüße, Welt"
    assert all("Grüße, Welt"[e.offset :].startswith(e.text) for e in deltas)
    assert [e.progress for e in events if e.progress] == [Progress(done=1, total=2)]
    record = ledger.get(job_id, "default")
    assert record.parsed_result().text == "Grüße, Welt"
    assert [a.outcome for a in record.attempts] == ["succeeded"]
    assert record.finished_at >= record.started_at >= record.submitted_at


def test_of_two_claims_one_gets_the_job(ledger, submit):
    job_id = submit().id
    assert ledger.claim(job_id, "w1") is not None
    assert ledger.claim(job_id, "w2") is None


def test_a_retried_failure_runs_again_after_a_delay_and_then_dies(make_ledger, a_job):
    ledger = make_ledger(retry_base=0.001)
    job_id = ledger.submit(a_job(max_attempts=2), model="m", capability=Capability.GENERATE).id
    assert ledger.claim(job_id, "w").fail(EngineDown("Down.")) is State.DELAYED
    assert ledger.claim(job_id, "w") is None
    time.sleep(0.01)  # the delay itself, by Redis' clock
    assert ledger.reap().due == 1
    assert ledger.claim(job_id, "w").fail(EngineDown("Down again.")) is State.DEAD
    record = ledger.get(job_id, "default")
    assert record.error["message"] == "Down again."
    assert [a.error["message"] for a in record.attempts] == ["Down.", "Down again."]


def test_who_refused_for_now_says_when_to_come_back(make_ledger, a_job):
    ledger = make_ledger(retry_base=0.001)
    job_id = ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id
    assert ledger.claim(job_id, "w").fail(EngineDown("Busy.", retry_after=30)) is State.DELAYED
    record = ledger.get(job_id, "default")
    assert 25 < (record.available_at - record.attempts[0].ended_at).total_seconds() < 31
    assert ledger.waiting(job_id, "default").reason == "retry"


def test_a_users_fault_is_never_retried(ledger, submit):
    job_id = submit().id
    assert ledger.claim(job_id, "w").fail(UserError("No.")) is State.FAILED
    assert ledger.get(job_id, "default").error["fault"] == "user"


def test_a_second_attempt_voids_what_the_first_streamed(make_ledger, a_job):
    ledger = make_ledger(retry_base=0.001)
    job_id = ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id
    first = ledger.claim(job_id, "w")
    first.delta("half an ans")
    first.checkpoints.update({"part 1": [1, 2]})
    first.fail(EngineDown("Down."))
    time.sleep(0.01)
    ledger.reap()
    second = ledger.claim(job_id, "w")
    assert dict(second.checkpoints) == {"part 1": [1, 2]}
    second.delta("whole answer")
    second.succeed(CompletionResult(text="whole answer"))
    kinds = [
        (e.type, e.attempt, e.offset) for e in ledger.events(job_id, "default", timeout=5) if e.text or not e.state
    ]
    assert kinds == [("delta", 1, 0), ("restarted", 2, 0), ("delta", 2, 0)]


def test_released_does_not_count_as_a_try(ledger, submit):
    job_id = submit(max_attempts=1).id
    assert ledger.claim(job_id, "w").release() is State.QUEUED
    assert ledger.claim(job_id, "w").succeed(CompletionResult()) is State.SUCCEEDED
    assert [a.outcome for a in ledger.get(job_id, "default").attempts] == ["released", "succeeded"]


def test_cancel_of_a_waiting_job_is_at_once(ledger, submit):
    for fields in ({}, {"delay": 60}):
        job_id = submit(**fields).id
        assert ledger.cancel(job_id, "default").state is State.CANCELLED
        assert ledger.claim(job_id, "w") is None
        assert [e.state for e in ledger.events(job_id, "default", timeout=5)][-1] is State.CANCELLED


def test_who_was_told_cancelled_gets_no_result(ledger, submit):
    job_id = submit().id
    attempt = ledger.claim(job_id, "w")
    record = ledger.cancel(job_id, "default")
    assert record.state is State.RUNNING
    assert record.cancel_requested
    assert attempt.succeed(CompletionResult(text="too late")) is State.CANCELLED
    assert ledger.get(job_id, "default").result is None


def test_a_running_job_learns_of_its_cancel_with_its_next_write_and_renewal(ledger, submit):
    for step in ("delta", "renew"):
        job_id = submit().id
        attempt = ledger.claim(job_id, "w")
        ledger.cancel(job_id, "default")
        attempt.delta("x") if step == "delta" else attempt.renew()
        assert attempt.stop.is_set()
        assert attempt.stop_reason == "cancelled"


def test_cancelling_an_ended_job_changes_nothing(ledger, submit):
    job_id = submit().id
    ledger.claim(job_id, "w").succeed(CompletionResult(text="done"))
    assert ledger.cancel(job_id, "default").state is State.SUCCEEDED


def test_lost_leases_are_reaped_and_late_writes_refused(make_ledger, a_job, wait_until):
    ledger = make_ledger(lease=0.25)
    job_id = ledger.submit(a_job(max_attempts=2), model="m", capability=Capability.GENERATE).id
    ledger.reap()  # the first sight of a Redis pauses reaping for one lease
    late = ledger.claim(job_id, "w1")
    late.delta("old")
    lost = wait_until(lambda: ledger.reap().lost, 5)
    assert lost == {job_id: "queued"}
    holder = ledger.claim(job_id, "w2")
    with pytest.raises(LeaseLost):
        late.succeed(CompletionResult(text="old"))
    late.watch()
    assert late.stop_reason == "lost"
    assert holder.succeed(CompletionResult(text="new")) is State.SUCCEEDED
    record = ledger.get(job_id, "default")
    assert record.result["text"] == "new"
    assert [(a.worker, a.outcome) for a in record.attempts] == [("w1", "lost"), ("w2", "succeeded")]
    assert record.attempts[0].error["code"] == "worker_lost"


def test_a_job_whose_workers_all_die_is_dead(make_ledger, a_job, wait_until):
    ledger = make_ledger(lease=0.25)
    job_id = ledger.submit(a_job(max_attempts=1), model="m", capability=Capability.GENERATE).id
    ledger.claim(job_id, "w1")
    assert wait_until(lambda: ledger.reap().lost, 5) == {job_id: "dead"}
    assert ledger.get(job_id, "default").error["code"] == "worker_lost"


def test_a_write_after_the_lease_ran_out_is_refused_before_anyone_reaps(make_ledger, a_job):
    ledger = make_ledger(lease=0.25)
    job_id = ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id
    attempt = ledger.claim(job_id, "w1")
    time.sleep(0.3)
    with pytest.raises(LeaseLost):
        attempt.succeed(CompletionResult())
    assert ledger.get(job_id, "default").state is State.RUNNING


def test_renewals_keep_a_lease(make_ledger, a_job):
    ledger = make_ledger(lease=0.4)
    job_id = ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id
    attempt = ledger.claim(job_id, "w1")
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        attempt.renew()
        attempt.watch()
        assert not ledger.reap().lost
        time.sleep(0.05)
    assert not attempt.stop.is_set()
    assert attempt.succeed(CompletionResult()) is State.SUCCEEDED


def test_jobs_expire_while_they_wait_but_not_once_they_ran(ledger, submit):
    waiting = submit(expires_in=0.02).id
    started = submit(expires_in=5).id
    claimed = submit(expires_in=0.02).id
    ledger.claim(started, "w").release()
    time.sleep(0.03)
    assert ledger.claim(claimed, "w") is None
    assert ledger.reap().expired == 1
    assert [ledger.get(i, "default").state for i in (waiting, started, claimed)] == [
        State.EXPIRED,
        State.QUEUED,
        State.EXPIRED,
    ]


def test_a_deadline_stops_a_running_job(ledger, submit, client):
    job_id = submit(deadline=60).id
    attempt = ledger.claim(job_id, "w")
    client.hset(f"phiq:job:{job_id}", "deadline", 1)  # long ago
    attempt.renew()
    assert attempt.stop_reason == "expired"
    assert attempt.succeed(CompletionResult()) is State.EXPIRED


def test_the_same_key_gives_the_same_job_and_another_request_a_conflict(ledger, submit):
    first = submit("A", idempotency_key="k")
    assert submit("A", idempotency_key="k").id == first.id
    assert submit("A", idempotency_key="k", tenant="other").id != first.id
    with pytest.raises(IdempotencyConflict) as caught:
        submit("B", idempotency_key="k")
    assert caught.value.details["job_id"] == first.id


def test_jobs_above_the_size_limit_are_refused(make_ledger, a_job):
    ledger = make_ledger(max_job_bytes=1000)
    with pytest.raises(JobTooLarge) as caught:
        ledger.submit(a_job("x" * 1000), model="m", capability=Capability.GENERATE)
    assert caught.value.details["limit"] == 1000


@pytest.mark.parametrize("job_id", ["", "nonsense", "0" * 32, "*", "../x"])
def test_unknown_ids_are_not_found(ledger, job_id):
    for call in (ledger.get, ledger.cancel, ledger.waiting, ledger.events):
        with pytest.raises(JobNotFound) as missing:
            list(call(job_id, "default"))
        assert missing.value.hint == "phiq jobs"
    assert ledger.claim(job_id, "w") is None


def test_another_tenants_job_is_not_found(ledger, submit):
    job_id = submit(tenant="anna").id
    for call in (ledger.get, ledger.cancel, ledger.waiting, ledger.events):
        with pytest.raises(JobNotFound):
            list(call(job_id, "berta"))
    assert ledger.get(job_id, "anna").state is State.QUEUED


def test_lists_are_latest_first_filtered_and_paged(ledger, submit):
    ids = [submit(str(i)).id for i in range(5)]
    submit(tenant="other")
    ledger.cancel(ids[2], "default")
    assert [r.id for r in ledger.list("default")] == ids[::-1]
    assert [r.id for r in ledger.list("default", states=[State.CANCELLED])] == [ids[2]]
    assert [r.id for r in ledger.list("default", limit=2, before=ids[3])] == [ids[2], ids[1]]
    assert ledger.list("default", kind="chat") == []


def test_finished_jobs_go_when_their_time_is_over(make_ledger, a_job, wait_until, client):
    ledger = make_ledger(result_ttl=0.1)
    job_id = ledger.submit(a_job(idempotency_key="k"), model="m", capability=Capability.GENERATE).id
    attempt = ledger.claim(job_id, "w")
    attempt.delta("text")
    attempt.checkpoints.update({"a": 1})
    attempt.succeed(CompletionResult(text="text"))
    wait_until(lambda: ledger.reap().swept, 5)
    with pytest.raises(JobNotFound):
        ledger.get(job_id, "default")
    assert ledger.list("default") == []
    wait_until(lambda: [k for k in client.keys("phiq:*") if job_id in k or "idem" in k] == [], 5)


def test_events_ask_for_an_events_id(ledger, submit):
    with pytest.raises(JobInvalid):
        list(ledger.events(submit().id, "default", after="yesterday"))
