"""The service with real workers: Celery's processes, driven through the facade."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from workers.errors import EngineRefused, EngineUnknown, JobNotFound
from workers.jobs import State

pytestmark = pytest.mark.service


def test_jobs_run_stream_fail_and_are_cancelled(service, start_worker, complete, wait_until):
    early = service.submit(complete())
    assert service.waiting(early.id).reason == "no_worker"
    worker = start_worker()

    # Submitted before any worker lived.
    record = service.wait(early.id, timeout=30)
    assert record.state is State.SUCCEEDED, worker.log.read_text()
    assert record.parsed_result().engine == "fake"
    assert [a.worker for a in record.attempts] == ["w1"]

    # Text comes while the job runs.
    slow = service.submit(complete("a b c d e f", "fake:echo?rate=20"))
    seen = []
    for event in service.events(slow.id, timeout=30):
        seen.append((event.type, service.get(slow.id).state) if event.type == "delta" else (event.type, event.state))
    assert ("delta", State.RUNNING) in seen
    assert seen[-1] == ("end", State.SUCCEEDED)
    text = "".join(e.text for e in service.events(slow.id, follow=False))
    assert text == service.get(slow.id).result["text"]

    # A failure that may pass is tried again, up to its limit.
    dead = service.wait(service.submit(complete(model="fake:echo?fail=engine_lost&at=2", max_attempts=2)).id, 30)
    assert dead.state is State.DEAD
    assert dead.error["code"] == "engine_lost"
    assert len(dead.attempts) == 2

    # The user's fault is not.
    failed = service.wait(service.submit(complete("word " * 600, "fake:echo?context=100")).id, 30)
    assert (failed.state, failed.error["code"], failed.attempt) == (State.FAILED, "context_overflow", 1)

    # A running job is cancelled long before it would end.
    long = service.submit(complete(model="fake:words?count=100000&rate=50"))
    wait_until(lambda: service.get(long.id).state is State.RUNNING)
    asked = time.monotonic()
    service.cancel(long.id)
    assert service.wait(long.id, 10).state is State.CANCELLED
    assert time.monotonic() - asked < 3
    wait_until(lambda: service.workers()[0].running == [], 5, "slot free")

    # The worker took all of it without harm.
    assert worker.process.poll() is None
    assert service.wait(service.submit(complete()).id, 10).state is State.SUCCEEDED
    assert "one two three" not in worker.log.read_text()


@pytest.fixture
def two(service, launch, await_workers, complete, streaming):
    """Two workers and a job that has begun to stream on one: (holder, the other one, job's id)."""
    workers = {name: launch(name) for name in ("w1", "w2")}
    await_workers(*workers.values())
    job_id = streaming(complete(model="fake:words?count=90&rate=30"))
    holder = service.get(job_id).attempts[0].worker
    other = "w2" if holder == "w1" else "w1"
    return workers[holder], workers[other], job_id


def transcript(events):
    """What a reader has in the end who puts the pieces together; nothing may be void, missing or there twice."""
    text = ""
    for event in events:
        assert event.type not in ("restarted", "snapshot")
        if event.type == "delta":
            assert event.offset == len(text)
            text += event.text
    return text


def test_a_killed_workers_job_goes_on_on_another(service, complete, two, wait_until):
    holder, other, job_id = two
    followed = []
    reader = threading.Thread(target=lambda: followed.extend(service.events(job_id)))
    reader.start()
    before = list(service.events(job_id, follow=False))
    holder.kill()
    killed = time.monotonic()
    wait_until(lambda: service.get(job_id).attempt == 2, 10, "taken up again")
    assert time.monotonic() - killed < service.settings.lease_seconds + 3
    record = service.wait(job_id, timeout=30)
    assert record.state is State.SUCCEEDED
    assert [(a.worker, a.outcome) for a in record.attempts] == [(holder.name, "lost"), (other.name, "succeeded")]
    undisturbed = service.wait(service.submit(complete(model=record.model)).id, timeout=30).result
    assert record.result == undisturbed, "the text, and what it cost"
    reader.join(10)
    for events in (followed, [*before, *service.events(job_id, after=before[-1].id)], service.events(job_id)):
        assert transcript(events) == undisturbed["text"]
    first, second = record.attempts
    assert first.resumed == 0
    assert len(transcript(before)) <= second.resumed < len(undisturbed["text"])


def test_a_frozen_worker_writes_nothing_after_it_thaws(service, two, wait_until):
    holder, other, job_id = two
    holder.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: service.get(job_id).attempt == 2, 15, "taken up again")
    holder.process.send_signal(signal.SIGCONT)
    record = service.wait(job_id, timeout=30)
    assert record.state is State.SUCCEEDED
    assert record.attempts[-1].worker == other.name
    events = list(service.events(job_id, timeout=5))
    assert transcript(events) == record.result["text"]
    assert [e.attempt for e in events] == sorted(e.attempt for e in events), "nothing of the first after the second"
    wait_until(lambda: len(service.workers()) == 2, 10, "the thawed worker is back")


def test_sigterm_gives_running_jobs_back(service, two):
    leaving, staying, job_id = two
    leaving.signal()
    assert leaving.process.wait(timeout=20) == 0, leaving.log.read_text()
    assert [info.name for info in service.workers()] == [staying.name]
    record = service.wait(job_id, timeout=30)
    assert [(a.worker, a.outcome) for a in record.attempts] == [(leaving.name, "released"), (staying.name, "succeeded")]
    assert transcript(service.events(job_id)) == record.result["text"]
    assert 0 < record.attempts[1].resumed < len(record.result["text"])


def test_celery_users_submit_with_their_own_app(service, start_worker, wait_until):
    from celery import Celery

    start_worker()
    theirs = Celery(broker=service.settings.redis_url.get_secret_value(), set_as_current=False)
    theirs.conf.broker_transport_options = {"global_keyprefix": "phiq:broker:"}
    job = {"kind": "complete", "model": "fake:echo", "input": {"prompt": "from Celery"}}
    sent = [theirs.send_task("phiq.submit", args=[job], queue="phiq.submit") for _ in range(2)]
    theirs.send_task("phiq.submit", args=[{"kind": "nonsense"}], queue="phiq.submit")
    theirs.close()

    def found(task):
        try:
            return service.get(task.id.replace("-", ""))
        except JobNotFound:
            return None

    for task in sent:
        wait_until(lambda task=task: found(task), 10)
        assert service.wait(task.id.replace("-", ""), 10).state is State.SUCCEEDED
    assert len(service.list()) == 2


def test_models_are_checked_before_anything_is_kept(service, complete):
    for model, error in (("nonsense:x", EngineUnknown), ("openai:gpt", EngineRefused)):
        with pytest.raises(error):
            service.submit(complete(model=model))
    assert service.list() == []


def test_the_settings_tenant_is_meant_when_none_is_named(service, complete):
    mine = service.submit(complete())
    other = service.submit(complete(tenant="other"))
    assert [r.id for r in service.list()] == [mine.id]
    with pytest.raises(JobNotFound):
        service.get(other.id)
    assert service.get(other.id, tenant="other").tenant == "other"
