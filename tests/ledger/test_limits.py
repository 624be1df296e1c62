"""Limits and shares of tenants, pauses, slots kept for interactive jobs, and the counts that are shown."""

from __future__ import annotations

from collections import Counter

import pytest

from agents.contract import CompletionResult
from workers.errors import QueueUnknown, QuotaExceeded, StorageFull
from workers.jobs import Capability, State
from workers.ledger import Limits, WorkerInfo

pytestmark = pytest.mark.service


@pytest.fixture
def worker(ledger):
    def lives(slots=4, serves=(Capability.GENERATE,), name="w", to=ledger, **fields):
        to.heartbeat(WorkerInfo(name=name, serves=list(serves), slots=slots, **fields))

    return lives


@pytest.fixture
def sent(ledger):
    """Dispatch; the ids that were sent now."""

    def now(by=ledger):
        out = []
        by.dispatch(lambda _, job_id: out.append(job_id))
        return out

    return now


def finish(ledger, job_id):
    ledger.claim(job_id, "w").succeed(CompletionResult())


# At submit


def test_a_tenant_with_enough_jobs_waiting_is_told_when_to_come_back(ledger, submit, worker):
    ledger.set_limits("default", Limits(queued=3))
    ids = [submit("a", idempotency_key="k").id, submit(delay=60).id, submit().id]
    with pytest.raises(QuotaExceeded) as refused:
        submit()
    details = refused.value.details
    assert (details["limit"], details["queued"]) == (3, 3)
    assert 0 < details["retry_after"] <= 3600
    assert len(ledger.list("default")) == 3, "nothing of it was kept"
    # The same request again is answered, others' are taken, and one that starts makes room.
    assert submit("a", idempotency_key="k").id == ids[0]
    submit(tenant="other")
    ledger.claim(ids[0], "w")
    assert submit().state is State.QUEUED


def test_jobs_handed_to_the_broker_still_count_as_waiting(ledger, submit, worker, sent):
    ledger.set_limits("default", Limits(queued=2))
    worker()
    submit(), submit()
    assert len(sent()) == 2
    with pytest.raises(QuotaExceeded):
        submit()


def test_the_settings_limit_who_has_no_limit_of_its_own(make_ledger, a_job):
    ledger = make_ledger(tenant_queued=1)

    def submit(tenant):
        return ledger.submit(a_job(tenant=tenant), model="m", capability=Capability.GENERATE)

    ledger.set_limits("rich", Limits(queued=0))
    submit("poor")
    with pytest.raises(QuotaExceeded):
        submit("poor")
    for _ in range(3):
        submit("rich")
    ledger.set_limits("rich", Limits())
    with pytest.raises(QuotaExceeded):
        submit("rich")


def test_when_to_come_back_follows_the_pace_of_the_queue(ledger, submit, worker, client):
    worker(slots=2)
    ledger.set_limits("default", Limits(queued=1))
    finish(ledger, submit().id)
    client.hset("phiq:pace", "generate.interactive", 60_000)
    submit()
    with pytest.raises(QuotaExceeded) as refused:
        submit()
    assert refused.value.details["retry_after"] == 30.0


# At dispatch


def test_a_tenant_never_has_more_running_than_it_may(ledger, submit, worker, sent):
    worker(slots=8)
    ledger.set_limits("default", Limits(running=2))
    ids = [submit().id for _ in range(5)]
    other = submit(tenant="other").id
    assert set(sent()) == {ids[0], ids[1], other}
    waiting = ledger.waiting(ids[3], "default")
    assert (waiting.reason, "2" in waiting.message) == ("quota", True)
    running = [ledger.claim(job_id, "w") for job_id in ids[:2]]
    assert sent() == []
    running[0].succeed(CompletionResult())
    assert sent() == [ids[2]]
    running[1].release()
    assert sent() == [ids[1]]
    ledger.set_limits("default", Limits())
    assert sent() == ids[3:]


def test_a_tenant_held_back_by_its_limit_has_not_saved_up_turns(ledger, submit, worker, sent, client):
    worker(slots=1)
    ledger.set_limits("a", Limits(running=1))
    ids = {submit(tenant=tenant).id: tenant for tenant in ("a", "b") for _ in range(20)}
    attempt = ledger.claim(sent()[0], "w")
    assert attempt.record.tenant == "a"
    for _ in range(10):
        for job_id in sent():
            finish(ledger, job_id)
    ledger.set_limits("a", Limits())
    served = []
    for _ in range(8):
        for job_id in sent():
            served.append(ids[job_id])
            finish(ledger, job_id)
    counts = Counter(served)
    assert abs(counts["a"] - counts["b"]) <= 2, served


def test_shares_weigh_turns(ledger, submit, worker, sent):
    worker(slots=1)
    ledger.set_limits("big", Limits(share=3))
    owners = {submit(tenant=tenant).id: tenant for tenant in ("big", "small") for _ in range(30)}
    served = []
    while len(served) < 20:
        for job_id in sent():
            served.append(owners[job_id])
            finish(ledger, job_id)
    assert Counter(served[:20]) == {"big": 15, "small": 5}


def test_the_place_in_line_follows_the_shares(ledger, submit, worker, sent):
    worker(slots=1)
    ledger.set_limits("big", Limits(share=2))
    for _ in range(20):
        submit(tenant="big")
    ids = [submit(tenant="small").id for _ in range(5)]
    ahead = {job_id: ledger.waiting(job_id, "small").ahead for job_id in ids}
    order = []
    while len(order) < 25:
        for job_id in sent():
            order.append(job_id)
            finish(ledger, job_id)
    assert {job_id: order.index(job_id) for job_id in ids} == ahead


def test_batch_jobs_leave_the_last_slots_to_interactive_ones(ledger, submit, worker, sent):
    worker(slots=3, serves=(Capability.GENERATE, Capability.CORE))
    batch = [submit(lane="batch").id for _ in range(5)]
    assert sent() == batch[:2]
    running = [ledger.claim(job_id, "w") for job_id in batch[:2]]
    assert sent() == []
    assert "kept for interactive" in ledger.waiting(batch[4], "default").message
    # Another capability of the same worker takes from the same slots.
    core = ledger.submit(running[0].job, model="extractive", capability=Capability.CORE).id
    assert core not in sent()
    interactive = submit().id
    assert sent() == [interactive]
    running[0].succeed(CompletionResult())
    assert len(sent()) == 1


def test_the_only_slot_takes_batch_jobs_too_and_no_slot_need_be_kept(make_ledger, submit, worker, sent):
    worker(slots=1)
    ids = [submit(lane="batch").id for _ in range(4)]
    assert sent() == ids[:2]
    greedy = make_ledger(interactive_slots=0)
    worker(slots=2, name="w2", to=greedy)
    assert sent(greedy) == ids[2:]


# Pauses


@pytest.mark.parametrize("what", [{"queue": "generate.interactive"}, {"tenant": "default"}])
def test_what_is_paused_does_not_start_and_goes_on_when_resumed(ledger, submit, worker, sent, client, what):
    worker()
    early, late, other = submit().id, submit().id, submit(tenant="other", lane="batch").id
    ledger.claim(early, "w")
    ledger.dispatch(lambda *_: None)
    ledger.pause(**what)
    # Its message was sent before: it goes back into the line, and the place it had is kept.
    assert ledger.claim(late, "w") is None
    assert ledger.get(late, "default").state is State.QUEUED
    assert client.zcard("phiq:sent:generate.interactive") == 0
    assert (ledger.waiting(late, "default").reason, sent()) == ("paused", [])
    assert "phiq resume" in ledger.waiting(late, "default").message
    assert ledger.claim(other, "w") is not None, "others go on"
    assert ledger.paused() == [
        *(f"tenant:{name}" for name in [what.get("tenant")] if name),
        *filter(None, [what.get("queue")]),
    ]
    ledger.resume(**what)
    assert ledger.paused() == []
    assert sent() == [late]
    assert ledger.claim(late, "w") is not None


def test_only_queues_and_tenants_that_can_be_are_paused(ledger):
    for what in ({}, {"queue": "generate"}, {"queue": "x.batch"}, {"tenant": "a b"}, {"tenant": ""}):
        with pytest.raises(QueueUnknown) as refused:
            ledger.pause(**what)
        assert refused.value.hint
    with pytest.raises(QueueUnknown):
        ledger.set_limits("a:b", Limits(queued=1))


def test_a_full_redis_can_be_paused(ledger, client, submit):
    submit()
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StorageFull):
            submit()
        ledger.pause("core.batch")
        ledger.set_limits("default", Limits(queued=1))
    finally:
        client.config_set("maxmemory", 0)
    assert ledger.paused() == ["core.batch"]


# What is shown


def test_queues_tell_what_waits_and_runs(ledger, submit, worker, sent, client):
    worker(slots=2)
    ids = [submit().id for _ in range(6)]
    submit(lane="batch", tenant="other")
    sent()
    ledger.claim(ids[0], "w")
    finish(ledger, ids[1])
    ledger.pause("generate.batch")
    found = {info.name: info for info in ledger.queues()}
    assert list(found) == ["generate.batch", "generate.interactive"]
    one = found["generate.interactive"]
    assert (one.waiting, one.sent, one.running, one.slots, one.workers, one.paused) == (4, 2, 1, 2, 1, False)
    assert one.oldest_age >= 0
    assert one.pace is not None
    assert (found["generate.batch"].waiting, found["generate.batch"].paused, found["generate.batch"].pace) == (
        1,
        True,
        None,
    )


def test_tenants_tell_their_jobs_and_limits(ledger, submit, worker, sent, wait_until):
    worker(slots=1)
    ids = [submit(tenant="a").id for _ in range(4)]
    submit(tenant="a", delay=60)
    ledger.set_limits("rich", Limits(share=2.5, queued=9))
    ledger.pause(tenant="held")
    sent()
    ledger.claim(ids[0], "w")
    told = {info.name: info for info in ledger.tenants()}
    assert sorted(told) == ["a", "held", "rich"]
    assert (told["a"].queued, told["a"].running, told["a"].limits) == (4, 1, Limits())
    assert (told["rich"].limits, told["held"].paused) == (Limits(share=2.5, queued=9), True)


def test_counts_that_another_version_left_wrong_are_mended(ledger, submit, worker, sent, client):
    worker()
    ids = [submit().id for _ in range(2)]
    sent()
    # As a worker that knows nothing of these counts would: it takes the job and ends it.
    finish(ledger, ids[0])
    client.sadd("phiq:handed:default", ids[0], "0" * 32)
    client.sadd("phiq:busy:default", ids[0])
    client.zadd("phiq:running:generate.interactive", {ids[0]: 1})
    client.zadd("phiq:sent:generate.interactive", {"0" * 32: 1})
    ledger.reap()
    assert client.smembers("phiq:handed:default") == {ids[1]}
    assert client.zrange("phiq:sent:generate.interactive", 0, -1) == [ids[1]]
    assert not client.exists("phiq:busy:default", "phiq:running:generate.interactive")


def test_expected_start_follows_the_pace(ledger, submit, worker, sent, client):
    client.hset("phiq:pace", "generate.interactive", 10_000)
    worker(slots=2, running=["x", "y"])
    ids = [submit().id for _ in range(4)]
    assert [ledger.waiting(one, "default").expected_start for one in ids] == [5.0, 10.0, 15.0, 20.0]
    worker(slots=2)
    assert [ledger.waiting(one, "default").expected_start for one in ids] == [0.0, 0.0, 5.0, 10.0]
    delayed = submit(delay=50).id
    assert 45 < ledger.waiting(delayed, "default").expected_start <= 50
    ledger.pause("generate.interactive")
    assert ledger.waiting(ids[0], "default").expected_start is None


def test_a_broker_that_cant_be_reached_is_the_reason(ledger, submit, worker):
    job_id = submit().id
    worker(broker_error="Connection refused.")
    told = ledger.waiting(job_id, "default")
    assert (told.reason, "refused" in told.message) == ("broker_unreachable", True)
    worker(name="another")
    assert ledger.waiting(job_id, "default").reason == "slots_full"


def test_a_limit_as_large_as_it_may_be_is_read_back(ledger):
    """Redis' scripts write such a number as 1e+09."""
    most = Limits(queued=1_000_000_000, tokens_day=10**15, share=2)
    ledger.set_limits("big", most)
    assert next(one for one in ledger.tenants() if one.name == "big").limits == most


@pytest.mark.parametrize("value", [True, "5", [1]])
def test_a_limit_is_a_number(value):
    with pytest.raises(ValueError, match="number"):
        Limits(queued=value)
