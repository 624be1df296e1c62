"""The outbox: what is told of a job's end, to whom, and that nothing of it is lost or kept for ever."""

from __future__ import annotations

import threading

import pytest

from agents.contract import CompletionResult, Usage
from knowledge.errors import UserError
from workers import outbox as outbox_module
from workers.jobs import State
from workers.outbox import Outbox

pytestmark = pytest.mark.service


@pytest.fixture
def outbox(ledger):
    return Outbox(ledger)


@pytest.fixture
def taken(outbox):
    """What a reader is handed now."""

    def take(reader="usage"):
        found = []
        outbox.once(reader, found.extend)  # the first call may only make the group
        outbox.once(reader, found.extend)
        return found

    return take


def test_each_way_to_end_is_told_once(ledger, submit, taken, client):
    done, cancelled, refused = (submit(origin=f"batch/b1/{n}") for n in range(3))
    late = submit(webhook="crm", expires_in=0.05)
    ledger.cancel(cancelled.id, "default")
    ledger.claim(done.id, "w").succeed(CompletionResult(text="x", usage=Usage(prompt_tokens=7, completion_tokens=3)))
    ledger.claim(refused.id, "w").fail(UserError("No."))
    client.zadd("phiq:limits", {late.id: 1})
    client.hset(f"phiq:job:{late.id}", "expires", 1)
    ledger.reap()
    found = {one.id: one for one in taken()}
    assert {one.id: one.state for one in found.values()} == {
        done.id: State.SUCCEEDED,
        cancelled.id: State.CANCELLED,
        refused.id: State.FAILED,
        late.id: State.EXPIRED,
    }
    one = found[done.id]
    assert (one.prompt_tokens, one.completion_tokens, one.origin, one.tenant) == (7, 3, "batch/b1/0", "default")
    assert one.at == round(ledger.get(done.id, "default").finished_at.timestamp() * 1000)
    assert one.seconds >= 0
    assert found[late.id].webhook == "crm"
    assert taken() == []


def test_jobs_nobody_waits_for_are_not_told(ledger, submit, client):
    ledger.cancel(submit().id, "default")
    assert not client.exists("phiq:outbox")
    client.sadd("phiq:webhook:listening", "default")
    ledger.cancel(submit().id, "default")
    assert client.xlen("phiq:outbox") == 1


def test_readers_do_not_take_from_each_other(ledger, submit, taken):
    ended = submit(origin="batch/b/1").id
    ledger.cancel(ended, "default")
    assert [one.id for one in taken("usage")] == [one.id for one in taken("webhooks")] == [ended]


def test_what_a_reader_failed_on_comes_again_alone_and_is_given_up_at_last(
    ledger, submit, outbox, taken, client, monkeypatch, caplog
):
    monkeypatch.setattr(outbox_module, "_AGAIN", 0.0)
    bad, good = (submit(origin=f"batch/b/{n}").id for n in range(2))
    assert taken() == []
    for job in (bad, good):
        ledger.cancel(job, "default")
    seen = []

    def handler(entries):
        if bad in [one.id for one in entries]:
            raise ValueError("broken")
        seen.extend(one.id for one in entries)

    with pytest.raises(ValueError, match="broken"):
        outbox.once("usage", handler)
    assert seen == []
    for _ in range(10):
        outbox.once("usage", handler)
    assert seen == [good]
    assert client.xpending("phiq:outbox", "usage")["pending"] == 0
    assert "given up" in caplog.text


def test_read_waits_for_what_comes_and_stops(ledger, submit, outbox, wait_until):
    found, stop = [], threading.Event()
    thread = threading.Thread(target=outbox.read, args=("usage", found.extend, stop))
    thread.start()
    try:
        ended = submit(origin="batch/b/1").id
        ledger.cancel(ended, "default")
        wait_until(lambda: [one.id for one in found] == [ended], 10, "told")
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def test_it_does_not_grow_for_ever(ledger, submit, outbox, taken, client, monkeypatch):
    monkeypatch.setattr(outbox_module, "_KEPT", -1.0)
    monkeypatch.setattr(outbox_module, "_AGAIN", 0.0)
    taken("usage")
    taken("batches")
    for n in range(300):
        client.xadd("phiq:outbox", {"id": f"{n}"}, id=f"{1000 + n}-0")
    old = client.xlen("phiq:outbox")
    client.xgroup_setid("phiq:outbox", "usage", "$")
    outbox.once("usage", list)
    assert client.xlen("phiq:outbox") == old, "batches has read nothing yet"
    client.xgroup_setid("phiq:outbox", "batches", "$")
    outbox.once("usage", list)
    assert client.xlen("phiq:outbox") < 100


def test_old_entries_go_though_nobody_reads(ledger, client):
    for n in range(300):
        client.xadd("phiq:outbox", {"id": f"{n}"}, id=f"{1000 + n}-0")
    ledger.reap()
    assert client.xlen("phiq:outbox") < 100
