"""What is promised when Redis comes back with an earlier file: a backup, or an append-only file that lost its end.

What happened after that point has not happened: jobs taken since are gone, ended ones may run again. But nothing of
the lost time gets in: no token, no text, no result; and readers are told.
"""

from __future__ import annotations

import threading

import pytest
from proofs_servers import Worker, grow_older

from agents.contract import CompletionResult
from workers.errors import JobNotFound, LeaseLost
from workers.jobs import Capability, State, parse_job
from workers.ledger import Ledger, LedgerConfig
from workers.service import Service

pytestmark = pytest.mark.service


@pytest.fixture
def ledger(rewindable):
    rewindable.begin_anew()
    made = Ledger(rewindable.client(), LedgerConfig(flush=0.0))
    yield made
    made.scripts.client.close()


@pytest.fixture
def submit(ledger):
    def make(**fields):
        job = parse_job({"kind": "complete", "input": {"prompt": "x"}, **fields})
        return ledger.submit(job, model="m", capability=Capability.GENERATE).id

    return make


def shown(ledger, job_id, after="0-0", text=""):
    """What a reader shows who reads on from an event with the text it had."""
    for event in ledger.events(job_id, "default", after, timeout=10, follow=False):
        if event.type in ("restarted", "snapshot"):
            text = event.text
        elif event.type == "delta":
            assert event.offset == len(text)
            text += event.text
    return text


def end_by_cancel(ledger, job_id):
    """Its holder, which is refused, falls silent, and the reaper ends the job."""
    ledger.cancel(job_id, "default")
    ledger.reap()  # which learns of the restart, and waits for one lease
    grow_older(ledger.scripts.client, 2 * ledger.config.lease)
    assert ledger.reap().lost == {job_id: "cancelled"}


def test_an_attempt_of_the_lost_time_is_refused(rewindable, ledger, submit):
    job_id = submit()
    point = rewindable.remember()
    ghost = ledger.claim(job_id, "w")
    ghost.delta("of the lost time")
    rewindable.roll_back(point)
    assert ledger.get(job_id, "default").state is State.QUEUED
    holder = ledger.claim(job_id, "w")
    assert holder.number == ghost.number, "the number comes again, its owner does not"
    for write in (
        lambda: ghost.delta("x"),
        lambda: ghost.checkpoints.put("a", 1),
        lambda: ghost.succeed(CompletionResult(text="of the lost time")),
        lambda: ghost.release(),
    ):
        with pytest.raises(LeaseLost):
            write()
    ghost.renew()
    assert ghost.stop_reason == "lost"
    holder.delta("right")
    assert holder.succeed(CompletionResult(text="right")) is State.SUCCEEDED
    assert shown(ledger, job_id) == "right"


def test_a_text_of_the_same_length_is_not_the_same_text(rewindable, ledger, submit):
    """The holder has voided what earlier attempts streamed, and Redis knows nothing of it."""
    job_id = submit()
    first = ledger.claim(job_id, "w")
    first.delta("abc")
    first.release()
    for write in ("delta", "succeed"):
        holder = ledger.claim(job_id, "w")
        point = rewindable.remember()
        holder.delta("xyz")
        rewindable.roll_back(point)
        with pytest.raises(LeaseLost):
            holder.delta("!") if write == "delta" else holder.succeed(CompletionResult(text="xyz"))
        assert shown(ledger, job_id) == "abc"
        ledger.reap()
        grow_older(ledger.scripts.client, 2 * ledger.config.lease)
        ledger.reap()


@pytest.mark.parametrize("write", ["delta", "succeed"])
def test_a_holder_whose_text_was_lost_leaves_no_hole(rewindable, ledger, submit, write):
    """It held the job before and after, but Redis knows less of it than it does itself."""
    job_id = submit()
    holder = ledger.claim(job_id, "w")
    holder.delta("one ")
    point = rewindable.remember()
    holder.delta("two ")
    rewindable.roll_back(point)
    calls = {
        "delta": lambda: holder.delta("three"),
        "succeed": lambda: holder.succeed(CompletionResult(text="one two ")),
    }
    with pytest.raises(LeaseLost):
        calls[write]()
    assert shown(ledger, job_id) == "one "
    assert ledger.get(job_id, "default").state is State.RUNNING, "until its lease is over"


def test_readers_are_told(rewindable, ledger, submit):
    job_id = submit()
    holder = ledger.claim(job_id, "w")
    holder.delta("one ")
    point = rewindable.remember()
    holder.delta("two ")
    *_, last = ledger.events(job_id, "default", follow=False)
    rewindable.roll_back(point)
    assert shown(ledger, job_id, last.id, "one two ") == "one "
    # Also once newer events have come: their ids are larger than the one that is gone.
    end_by_cancel(ledger, job_id)
    assert shown(ledger, job_id, last.id, "one two ") == "one "


def test_a_reader_that_follows_through_it_ends_with_what_is_kept(rewindable, ledger, submit, wait_until):
    job_id = submit()
    holder = ledger.claim(job_id, "w")
    holder.delta("one ")
    point = rewindable.remember()
    holder.delta("two ")
    seen = []

    texts = lambda: "".join(event.text for event in seen)  # noqa: E731 - looked at while it grows
    reader = Ledger(rewindable.client(), ledger.config)

    def follow():
        seen.extend(reader.events(job_id, "default", timeout=20))

    thread = threading.Thread(target=follow)
    thread.start()
    wait_until(lambda: texts() == "one two ", 10, "read")
    rewindable.roll_back(point)
    end_by_cancel(ledger, job_id)
    thread.join(20)
    text = ""
    for event in seen:
        text = event.text if event.type in ("restarted", "snapshot") else text + event.text
    assert (text, seen[-1].type) == ("one ", "end")
    reader.scripts.client.close()


def test_jobs_of_the_lost_time_are_gone_and_their_ids_do_not_come_again(rewindable, ledger, submit):
    kept = submit(idempotency_key="before")
    point = rewindable.remember()
    lost = {submit() for _ in range(20)}
    keyed = submit(idempotency_key="after")
    ledger.claim(kept, "w").succeed(CompletionResult())
    rewindable.roll_back(point)
    for job_id in (*lost, keyed):
        with pytest.raises(JobNotFound):
            ledger.get(job_id, "default")
        assert ledger.claim(job_id, "w") is None, "its message may still be on the broker"
    assert submit(idempotency_key="before") == kept
    assert ledger.get(kept, "default").state is State.QUEUED, "it had ended, and runs again"
    again = submit(idempotency_key="after")
    assert not {again, *(submit() for _ in range(20))} & (lost | {keyed})


def test_a_job_that_streams_through_a_rollback_ends_whole(rewindable, settings, tmp_path, wait_until):
    rewindable.begin_anew()
    service = Service.connect(
        settings(redis_url=f"redis://127.0.0.1:{rewindable.port}/0", allow_fake_engine=True, lease_seconds=2.0, slots=2)
    )
    worker = Worker(service.settings, "w1", tmp_path / "worker.log")
    try:
        wait_until(lambda: worker.lives() and service.workers(), 60, "worker up")
        job = {"kind": "complete", "input": {"prompt": "x"}, "model": "fake:words?count=80&rate=20"}
        job_id = service.submit(parse_job(job)).id

        def length():
            return len("".join(event.text for event in service.events(job_id, follow=False)))

        wait_until(lambda: length() > 20, 20, "it streams")
        point = rewindable.remember()
        copied = length()
        wait_until(lambda: length() > copied + 60, 20, "it streams on")
        rewindable.roll_back(point)
        record = service.wait(job_id, 60)
        assert record.state is State.SUCCEEDED, worker.log[-3000:]
        assert shown(service.ledger, job_id) == record.result["text"]
        assert worker.lives()
    finally:
        worker.kill()
        service.close()
