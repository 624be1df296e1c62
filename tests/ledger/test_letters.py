"""Dead letters: found, run again, dropped; and jobs forgotten whole."""

from __future__ import annotations

import pytest

from agents.contract import CompletionResult
from knowledge.errors import UserError
from workers.errors import EngineDown, JobNotFound, LeaseLost, NotReplayable
from workers.jobs import Capability, State

pytestmark = pytest.mark.service


@pytest.fixture
def die(ledger, submit):
    """A job that died, having streamed some text."""

    def dead(text="Hello", **fields):
        job_id = submit(text, **{"max_attempts": 1, **fields}).id
        attempt = ledger.claim(job_id, "w")
        attempt.delta("half an answer")
        assert attempt.fail(EngineDown("Down.")) is State.DEAD
        return job_id

    return dead


def test_the_dead_are_found_by_tenant_kind_model_and_code(ledger, die, a_job):
    ids = [die(), die(tenant="anna"), die()]
    other = ledger.submit(a_job(max_attempts=1), model="onnx:phi", capability=Capability.GENERATE).id
    ledger.claim(other, "w").fail(EngineDown("Down."))
    failed = ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id
    ledger.claim(failed, "w").fail(UserError("No."))

    def found(tenant, **by):
        return [record.id for record in ledger.dead(tenant, **by)]

    assert found("default") == [other, ids[2], ids[0]]
    assert found("anna") == [ids[1]]
    assert found(None) == [other, ids[2], ids[1], ids[0]]
    assert found("default", model="onnx:phi") == [other]
    assert found("default", code="engine_down", kind="complete") == [other, ids[2], ids[0]]
    assert found("default", code="poison") == found("default", kind="chat") == []
    assert found("default", limit=1) == [other]
    assert found("default", before=ids[2]) == [ids[0]]
    assert found(None, before=ids[2]) == [ids[1], ids[0]]
    with pytest.raises(JobNotFound):
        ledger.dead("anna", before=ids[0])


def test_dead_letters_outlive_other_results_and_go_in_their_time(make_ledger, a_job, client, wait_until):
    ledger = make_ledger(result_ttl=0.1, dead_ttl=1000.0)
    job_id = ledger.submit(a_job(max_attempts=1, idempotency_key="k"), model="m", capability=Capability.GENERATE).id
    ledger.claim(job_id, "w").fail(EngineDown("Down."))
    assert all(
        client.pttl(key) > 500_000 for key in (f"phiq:job:{job_id}", f"phiq:events:{job_id}", "phiq:idem:default:k")
    )
    short = make_ledger(dead_ttl=0.1)
    other = short.submit(a_job(max_attempts=1, tenant="b"), model="m", capability=Capability.GENERATE).id
    short.claim(other, "w").fail(EngineDown("Down."))
    wait_until(lambda: short.reap().swept, 5)
    assert [record.id for record in short.dead(None)] == [job_id]
    assert not client.exists("phiq:dead:b", "phiq:jobs:b")
    assert client.smembers("phiq:tenants") == {"default"}


def test_a_replayed_job_runs_as_new_with_its_history(ledger, die, client):
    job_id = die(idempotency_key="k", expires_in=1000)
    record = ledger.replay(job_id, "default")
    assert (record.state, record.error, record.finished_at, record.deaths) == (State.QUEUED, None, None, 0)
    assert [a.outcome for a in record.attempts] == ["failed"]
    assert ledger.dead("default") == []
    assert all(client.pttl(key) == -1 for key in [*client.keys(f"phiq:*{job_id}"), "phiq:idem:default:k"])
    assert client.zscore("phiq:finished", f"default {job_id}") is None
    attempt = ledger.claim(job_id, "w2")
    assert attempt.number == 2
    attempt.delta("all of it")
    assert attempt.succeed(CompletionResult(text="all of it")) is State.SUCCEEDED
    events = list(ledger.events(job_id, "default", timeout=5))
    assert "".join(e.text for e in events) == "all of it"
    assert [e.type for e in events].count("end") == 1


def test_who_has_read_the_first_end_reads_on_after_a_replay(ledger, die):
    job_id = die()
    seen = list(ledger.events(job_id, "default", timeout=5))
    ledger.replay(job_id, "default")
    attempt = ledger.claim(job_id, "w")
    attempt.delta("anew")
    attempt.succeed(CompletionResult(text="anew"))
    rest = list(ledger.events(job_id, "default", after=seen[-1].id, timeout=5))
    text = ""
    for event in rest:
        text = event.text if event.type == "snapshot" else "" if event.type == "restarted" else text + event.text
    assert text == "anew"
    assert all(int(e.id.split("-")[0]) >= int(seen[-1].id.split("-")[0]) for e in rest)
    assert rest[-1].state is State.SUCCEEDED


def test_a_replayed_jobs_limits_count_from_then_on(ledger, submit, client, wait_until):
    job_id = submit(expires_in=0.05, deadline=1000).id
    wait_until(lambda: ledger.reap().expired, 5)
    before = ledger.get(job_id, "default")
    record = ledger.replay(job_id, "default")
    assert record.deadline_at > before.deadline_at
    assert (
        abs((record.expires_at - before.expires_at) - (record.deadline_at - before.deadline_at)).total_seconds() < 0.01
    )
    wait_until(lambda: ledger.reap().expired, 5)


@pytest.mark.parametrize("end", ["cancelled", "failed", "expired", "dead"])
def test_all_ends_but_success_can_be_replayed(ledger, submit, end, wait_until):
    job_id = submit(max_attempts=1, **({"expires_in": 0.02} if end == "expired" else {})).id
    if end == "cancelled":
        ledger.cancel(job_id, "default")
    elif end == "expired":
        wait_until(lambda: ledger.reap().expired, 5)
    else:
        ledger.claim(job_id, "w").fail(EngineDown("Down.") if end == "dead" else UserError("No."))
    assert ledger.get(job_id, "default").state.value == end
    assert ledger.replay(job_id, "default").state is State.QUEUED


def test_what_has_not_ended_or_succeeded_is_not_replayed(ledger, submit):
    queued, running, done = (submit().id for _ in range(3))
    ledger.claim(running, "w")
    ledger.claim(done, "w").succeed(CompletionResult())
    for job_id in (queued, running, done):
        with pytest.raises(NotReplayable) as refused:
            ledger.replay(job_id, "default")
        assert job_id in refused.value.hint
    with pytest.raises(JobNotFound):
        ledger.replay(done, "another")


def test_a_repeated_replay_answers_as_the_first_also_when_the_job_has_begun(ledger, die):
    job_id = die()
    args = ("replay", job_id, "default", "nonce", 9)
    assert ledger.scripts.run(*args)[0] == "1"
    attempt = ledger.claim(job_id, "w")
    attempt.delta("text")
    assert ledger.scripts.run(*args)[0] == "1"
    assert attempt.succeed(CompletionResult(text="text")) is State.SUCCEEDED


def test_only_the_dead_are_dropped(ledger, die, submit, client):
    job_id, alive = die(), submit().id
    for one in (alive, "0" * 32, "nonsense"):
        with pytest.raises(JobNotFound):
            ledger.drop(one, "default")
    with pytest.raises(JobNotFound):
        ledger.drop(job_id, "another")
    ledger.drop(job_id, "default")
    assert ledger.dead(None) == []
    assert [r.id for r in ledger.list("default")] == [alive]


def fields_of(state):
    return {"delay": 60} if state == "delayed" else {}


@pytest.mark.parametrize("state", ["queued", "sent", "delayed", "running", "succeeded", "dead"])
def test_a_forgotten_job_leaves_nothing(ledger, submit, client, state):
    from workers.ledger import WorkerInfo

    ledger.heartbeat(WorkerInfo(name="w", serves=[Capability.GENERATE]))
    record = submit(
        "secret words", idempotency_key="k", deadline=600, max_attempts=1, subject="anna", **fields_of(state)
    )
    if state == "sent":
        ledger.dispatch(lambda *_: None)
    attempt = None
    if state in ("running", "succeeded", "dead"):
        attempt = ledger.claim(record.id, "w")
        attempt.delta("secret text")
        attempt.checkpoints["part"] = "secret part"
    if state == "succeeded":
        attempt.succeed(CompletionResult(text="secret text"))
    if state == "dead":
        attempt.fail(EngineDown("Down."))
    assert not ledger.forget(record.id, "another")
    assert ledger.forget(record.id, "default")
    assert not ledger.forget(record.id, "default")
    for key in client.keys("*"):
        assert record.id not in key
        assert "idem" not in key
        if not key.startswith("phiq:op:"):
            assert record.id.encode() not in client.dump(key) if client.type(key) != "stream" else True, key
    if state == "running":
        with pytest.raises(LeaseLost):
            attempt.succeed(CompletionResult(text="secret text"))
        assert attempt.stop_reason == "lost"
    with pytest.raises(JobNotFound):
        ledger.get(record.id, "default")
    # The key is free again, and the turn of the tenant is not lost.
    again = submit("other words", idempotency_key="k")
    assert ledger.claim(again.id, "w").succeed(CompletionResult()) is State.SUCCEEDED


def test_a_repeated_forget_answers_as_the_first(ledger, submit):
    job_id = submit().id
    assert [ledger.scripts.run("forget", job_id, "default", "nonce", "") for _ in range(2)] == [1, 1]


def test_ids_are_those_of_a_tenant_and_of_a_subject(ledger, submit):
    ids = [submit(subject=subject).id for subject in ("anna", None, "berta", "anna")]
    submit(subject="anna", tenant="other")
    assert list(ledger.ids("default")) == ids
    assert list(ledger.ids("default", "anna")) == [ids[0], ids[3]]
    assert ledger.get(ids[0], "default").subject == "anna"
    assert list(ledger.ids("nobody")) == []


def test_something_is_done_once_for_an_instant_by_one_caller(ledger, make_ledger):
    other = make_ledger()
    assert [one.once("sweep", "12:00", 60) for one in (ledger, other, ledger)] == [True, False, False]
    assert other.once("sweep", "13:00", 60)
    assert ledger.once("other", "12:00", 60)
    assert [ledger.scripts.run("once", "x", "nonce", 60000) for _ in range(2)] == [1, 1]
