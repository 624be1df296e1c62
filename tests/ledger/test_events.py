"""Reading a job's stream: going on, trimmed entries, restarts, outages."""

from __future__ import annotations

import socket
import threading

import pytest
import redis

from agents.contract import CompletionResult
from workers.errors import JobNotFound, RedisUnavailable
from workers.jobs import Capability, State
from workers.ledger import Ledger

pytestmark = pytest.mark.service


@pytest.fixture
def trimmed(make_ledger, a_job):
    """A running job whose stream has lost its older half more than once: (ledger, attempt, the whole text)."""
    ledger = make_ledger(stream_bytes=10_000, flush=0.0)
    job_id = ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id
    attempt = ledger.claim(job_id, "w")
    words = [f"word{i} " * 10 for i in range(400)]
    for word in words:
        attempt.delta(word)
    return ledger, attempt, "".join(words)


def text_of(events):
    """What a client shows that follows the rules."""
    text = ""
    for event in events:
        if event.type == "snapshot":
            text = event.text
        elif event.type == "restarted":
            text = ""
        elif event.type == "delta":
            assert event.offset == len(text), "a gap, or seen twice"
            text += event.text
    return text


def test_a_stream_stays_near_its_bound(trimmed, client):
    _, attempt, text = trimmed
    kept = client.xrange(f"phiq:events:{attempt.id}")
    assert 0 < sum(len(str(fields)) for _, fields in kept) < 20_000
    assert len(text) > 20_000


def test_a_reader_of_a_trimmed_stream_gets_a_snapshot(trimmed):
    ledger, attempt, text = trimmed
    events = list(ledger.events(attempt.id, "default", follow=False))
    assert events[0].type == "snapshot"
    assert text_of(events) == text
    # Also once it has ended, and the end still comes.
    attempt.succeed(CompletionResult(text=text))
    events = list(ledger.events(attempt.id, "default", timeout=5))
    assert [(e.type, e.state) for e in events][-1] == ("end", State.SUCCEEDED)
    assert text_of(events) == text


def test_a_reader_goes_on_from_any_event(ledger, submit):
    job_id = submit().id
    attempt = ledger.claim(job_id, "w")
    for word in ("eins ", "zwei ", "drei"):
        attempt.delta(word)
        attempt.flush_if_due()
    attempt.succeed(CompletionResult(text="eins zwei drei"))
    events = list(ledger.events(job_id, "default", timeout=5))
    for cut in range(len(events)):
        rest = list(ledger.events(job_id, "default", after=events[cut].id, timeout=5))
        assert rest == events[cut + 1 :]


def test_a_reader_whose_place_was_rolled_back_gets_a_snapshot(ledger, submit):
    job_id = submit().id
    attempt = ledger.claim(job_id, "w")
    attempt.delta("what is there")
    events = list(ledger.events(job_id, "default", after="99999999999999-0", follow=False))
    assert [(e.type, e.text) for e in events] == [("snapshot", "what is there")]


def test_a_slow_reader_is_not_left_with_a_gap(make_ledger, a_job):
    ledger = make_ledger(stream_bytes=10_000, flush=0.0)
    job_id = ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id
    attempt = ledger.claim(job_id, "w")
    attempt.delta("first ")
    reading = ledger.events(job_id, "default", timeout=10)
    seen = [next(reading) for _ in range(3)]
    assert seen[-1].type == "delta"
    words = [f"word{i} " * 20 for i in range(300)]
    for word in words:
        attempt.delta(word)
    attempt.succeed(CompletionResult(text="x"))
    seen += list(reading)
    assert "snapshot" in [e.type for e in seen]
    assert text_of(seen) == "first " + "".join(words)


def test_a_follower_sees_each_event_as_it_is_written(ledger, submit):
    job_id = submit().id
    seen, done = [], threading.Event()

    def follow():
        seen.extend(ledger.events(job_id, "default", timeout=20))
        done.set()

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    attempt = ledger.claim(job_id, "w")
    attempt.delta("text")
    attempt.succeed(CompletionResult(text="text"))
    assert done.wait(10)
    assert text_of(seen) == "text"
    assert seen[-1].type == "end"


def test_following_ends_with_its_time(ledger, submit):
    events = list(ledger.events(submit().id, "default", timeout=0.2))
    assert [(e.type, e.state) for e in events] == [("state", State.QUEUED)]


def test_a_reader_waits_an_outage_out(ledger, submit, monkeypatch):
    job_id = submit().id
    ledger.cancel(job_id, "default")
    real, failures = ledger.scripts.client.xread, iter(range(3))

    def broken(*args, **kwargs):
        if next(failures, None) is not None:
            raise redis.ConnectionError("gone for a moment")
        return real(*args, **kwargs)

    monkeypatch.setattr(ledger.scripts.client, "xread", broken)
    assert [e.type for e in ledger.events(job_id, "default", timeout=10)][-1] == "end"


def test_a_follower_of_a_job_that_goes_is_told(ledger, submit, client, monkeypatch):
    monkeypatch.setattr("workers.ledger.events.LOOK_EVERY", 0.0)
    job_id = submit().id
    reading = ledger.events(job_id, "default", timeout=20)
    next(reading)
    client.flushdb()
    with pytest.raises(JobNotFound):
        list(reading)


def test_redis_that_is_not_there_is_named_with_what_to_do():
    # A port that was free a moment ago: nobody listens.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    nobody = Ledger(redis.Redis(port=port, decode_responses=True, retry=None))
    for call in (nobody.workers, nobody.reap, lambda: nobody.get("0" * 32, "default"), lambda: nobody.list("default")):
        with pytest.raises(RedisUnavailable) as caught:
            call()
        assert "phiq up" in caught.value.hint
