"""What an attempt takes over from those before it: streamed text, token ids, and what readers see of the change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.contract import CompletionResult, Progress
from workers.errors import LeaseLost, RedisUnavailable
from workers.jobs import State
from workers.ledger.shown import Shown
from workers.ledger.writing import Writing

WORDS = "one two three"


@pytest.fixture
def job(make_ledger, a_job):
    """A job whose attempts write at once: (ledger, id, claim)."""
    from workers.jobs import Capability

    ledger = make_ledger(flush=0.0)
    job_id = ledger.submit(a_job(max_attempts=9), model="m", capability=Capability.GENERATE).id
    return ledger, job_id, lambda: ledger.claim(job_id, "w")


def deltas(ledger, job_id, after="0-0"):
    return [(e.type, e.attempt, e.offset, e.text) for e in ledger.events(job_id, "default", after, follow=False)
            if e.type in ("delta", "restarted", "snapshot")]  # fmt: skip


def test_the_same_words_are_not_streamed_twice(job):
    ledger, job_id, claim = job
    first = claim()
    first.delta("one two")
    first.release()
    *_, seen = ledger.events(job_id, "default", follow=False)
    second = claim()
    for piece in ("o", "ne ", "two th", "ree"):
        second.delta(piece)
    assert second.succeed(CompletionResult(text=WORDS)) is State.SUCCEEDED
    assert deltas(ledger, job_id) == [("delta", 1, 0, "one two"), ("delta", 2, 7, " th"), ("delta", 2, 10, "ree")]
    assert deltas(ledger, job_id, seen.id) == [("delta", 2, 7, " th"), ("delta", 2, 10, "ree")]
    assert [attempt.resumed for attempt in ledger.get(job_id, "default").attempts] == [0, 7]


@pytest.mark.parametrize("pieces", [["one ", "tool"], ["x"], ["one twelve"]])
def test_other_words_void_what_was_streamed_and_come_whole(job, pieces):
    ledger, job_id, claim = job
    first = claim()
    first.delta("one two")
    first.release()
    second = claim()
    for piece in pieces:
        second.delta(piece)
    text = "".join(pieces)
    second.succeed(CompletionResult(text=text))
    assert deltas(ledger, job_id) == [("delta", 1, 0, "one two"), ("restarted", 2, 0, ""), ("delta", 2, 0, text)]
    assert ledger.get(job_id, "default").attempts[1].resumed == 0


def test_who_says_less_in_the_end_voids_the_rest(job):
    ledger, job_id, claim = job
    first = claim()
    first.delta(WORDS)
    first.release()
    second = claim()
    second.delta("one")
    assert deltas(ledger, job_id) == [("delta", 1, 0, WORDS)], "it may yet say the rest"
    second.succeed(CompletionResult(text="one"))
    assert deltas(ledger, job_id)[1:] == [("restarted", 2, 0, ""), ("delta", 2, 0, "one")]


def test_an_engine_that_starts_over_says_so_even_with_the_same_words(job):
    ledger, job_id, claim = job
    first = claim()
    first.delta("one two")
    first.release()
    second = claim()
    second.checkpoints.start_over()
    second.delta("one")
    second.delta(" two")
    assert deltas(ledger, job_id)[1:] == [("restarted", 2, 0, ""), ("delta", 2, 0, "one"), ("delta", 2, 3, " two")]


def test_a_third_attempt_goes_on_from_what_the_second_added(job):
    ledger, job_id, claim = job
    for number, text in enumerate(("on", "one t", "one two th"), 1):
        attempt = claim()
        for letter in text:
            attempt.delta(letter)
        attempt.release()
        assert attempt.number == number
    attempt = claim()
    attempt.delta(WORDS)
    attempt.succeed(CompletionResult(text=WORDS))
    assert "restarted" not in [kind for kind, *_ in deltas(ledger, job_id)]
    assert "".join(text for *_, text in deltas(ledger, job_id)) == WORDS
    assert [attempt.resumed for attempt in ledger.get(job_id, "default").attempts] == [0, 2, 5, 10]


def test_ids_are_kept_in_the_same_write_as_their_text(job, monkeypatch):
    _, _, claim = job
    first = claim()
    run, writes = first._scripts.run, []
    monkeypatch.setattr(first._scripts, "run", lambda *args: writes.append(args[0]) or run(*args))
    assert first.checkpoints.tokens("call") == []
    first.checkpoints.extend("call", [7, 8])
    first.delta("one")
    first.checkpoints.extend("call", [9])
    first.delta(" two")
    assert writes == ["stream", "stream"]
    monkeypatch.undo()
    first.release()
    second = claim()
    assert second.checkpoints.tokens("call") == [7, 8, 9]
    assert second.checkpoints.tokens("call") == [], "once: the same prompt asked again is another answer"
    second.checkpoints.extend("call", [1])
    second.delta("one two")
    second.release()
    assert claim().checkpoints.tokens("call") == [1]


def test_ids_go_on_from_those_taken_over(job):
    _, _, claim = job
    for ids in ([1, 2], [3], [4, 5]):
        attempt = claim()
        attempt.checkpoints.tokens("call")
        attempt.checkpoints.extend("call", ids)
        attempt.release()
    assert claim().checkpoints.tokens("call") == [1, 2, 3, 4, 5]


def test_ids_of_another_call_are_of_no_use(job):
    _, _, claim = job
    first = claim()
    first.checkpoints.extend("call", [1])
    first.checkpoints.extend("other", [2])
    first.release()
    second = claim()
    assert second.checkpoints.tokens("call") == []
    second.checkpoints.extend("call", [3])
    second.release()
    assert claim().checkpoints.tokens("call") == [3]


def test_a_finished_part_takes_the_place_of_its_ids(job, client):
    _, job_id, claim = job
    first = claim()
    first.checkpoints.extend("call", [1])
    first.progress(Progress(done=1, total=2))
    assert client.get(f"phiq:tokens:{job_id}") == "call 1"
    first.checkpoints.extend("call", [2])
    first.checkpoints.put("call", "text")
    assert not client.exists(f"phiq:tokens:{job_id}")
    first.release()
    second = claim()
    assert second.checkpoints.tokens("call") == []
    assert dict(second.checkpoints) == {"call": "text"}
    second.checkpoints.extend("next", [3])
    second.release()
    assert client.get(f"phiq:tokens:{job_id}") == "next 3"


def test_nothing_of_it_outlives_the_job(job, client):
    _, job_id, claim = job
    attempt = claim()
    attempt.checkpoints.put("part", "text")
    attempt.checkpoints.extend("call", [1])
    attempt.delta("one")
    attempt.succeed(CompletionResult(text="one"))
    assert not client.exists(f"phiq:tokens:{job_id}", f"phiq:checkpoints:{job_id}")


def test_what_goes_beyond_the_bound_is_not_kept(make_ledger, submit):
    ledger = make_ledger(checkpoint_bytes=100, flush=0.0)
    job_id = submit().id
    first = ledger.claim(job_id, "w")
    first.checkpoints.put("small", "x")
    first.checkpoints.put("large", "x" * 200)
    assert first.checkpoints["large"], "it serves this attempt"
    for number in range(100):
        first.checkpoints.extend("call", [number])
        first.delta("x")
    first.release()
    second = ledger.claim(job_id, "w")
    assert dict(second.checkpoints) == {"small": "x"}
    assert 0 < len(second.checkpoints.tokens("call")) < 50


def test_a_redis_that_was_set_back_makes_its_holder_stop(job, client):
    """Its token is still good, but what it would add leaves a hole in the stream."""
    ledger, job_id, claim = job
    attempt = claim()
    attempt.delta("abc")
    client.hset(f"phiq:job:{job_id}", "offset", 0)
    client.delete(f"phiq:text:{job_id}")
    with pytest.raises(LeaseLost):
        attempt.delta("d")
    with pytest.raises(LeaseLost):
        attempt.succeed(CompletionResult(text="abcd"))
    assert ledger.get(job_id, "default").state is State.RUNNING


def test_a_log_that_was_set_back_makes_its_holder_stop(job, client):
    _, job_id, claim = job
    attempt = claim()
    attempt.checkpoints.extend("call", [1, 2])
    attempt.progress(Progress(done=1, total=2))
    client.set(f"phiq:tokens:{job_id}", "call 1")
    attempt.checkpoints.extend("call", [3])
    with pytest.raises(LeaseLost):
        attempt.progress(Progress(done=2, total=2))


def test_a_write_without_a_reply_is_made_once(job, monkeypatch):
    ledger, job_id, claim = job
    attempt = claim()
    run = attempt._scripts.run

    def loses_the_reply(*args):
        run(*args)
        raise RedisUnavailable("Gone.")

    monkeypatch.setattr(attempt._scripts, "run", loses_the_reply)
    attempt.checkpoints.extend("call", [1])
    attempt.delta("one")
    monkeypatch.undo()
    attempt.checkpoints.extend("call", [2])
    attempt.delta(" two")
    attempt.release()
    assert deltas(ledger, job_id) == [("delta", 1, 0, "one"), ("delta", 1, 3, " two")]
    assert claim().checkpoints.tokens("call") == [1, 2]


def test_a_part_may_be_finished_while_ids_wait_for_redis(job, monkeypatch):
    _, _, claim = job
    attempt = claim()
    run = attempt._scripts.run
    monkeypatch.setattr(attempt._scripts, "run", lambda *_: (_ for _ in ()).throw(RedisUnavailable("Gone.")))
    attempt.checkpoints.extend("call", [1])
    attempt.delta("one")
    monkeypatch.setattr(attempt._scripts, "run", run)
    attempt.checkpoints.put("call", "one")
    attempt.delta(" two")
    assert attempt.release() is State.QUEUED


def test_a_reader_notices_other_text_of_the_same_length(job, client):
    """The words it missed were trimmed away, and so was the word that they are void."""
    ledger, job_id, claim = job
    first = claim()
    first.delta("one two")
    reader = ledger.events(job_id, "default", timeout=20)
    for event in reader:
        if event.type == "delta":
            break
    first.release()
    second = claim()
    second.delta("another")
    entries = client.xrange(f"phiq:events:{job_id}")
    gone = [entry for entry, fields in entries if fields["t"] == "restarted" or fields.get("x") == "another"]
    client.xdel(f"phiq:events:{job_id}", *gone)
    second.delta("!")
    second.succeed(CompletionResult(text="another!"))
    rest = list(reader)
    assert next(event.type for event in rest if event.type != "state") in ("restarted", "snapshot")


@given(st.text("ab", max_size=6), st.lists(st.text("ab", max_size=3), max_size=5), st.booleans())
def test_whatever_is_said_readers_have_it_in_the_end(before, pieces, anew):
    shown, stream = Shown(before), before
    if anew:
        shown.start_over()
    for restart, text in [*(shown.feed(piece) for piece in pieces), shown.finish()]:
        stream = text if restart else stream + text
    assert stream == "".join(pieces)


@given(st.lists(st.tuples(st.booleans(), st.text("ab", max_size=3), st.integers(0, 20000)), max_size=6), st.booleans())
def test_writes_add_up_to_what_was_said(steps, each):
    writing, stream, said = Writing(2, 1, 0, 0), "", ""

    def write():
        nonlocal stream
        while out := writing.next():
            assert writing.next() is out, "until it is answered"
            _, offset, text, length, _, restart, *_ = out
            assert (offset, length) == (len(stream), len(text))
            assert length <= 16384
            stream = text if restart else stream + text
            writing.written()

    for restart, text, times in steps:
        said = text * times if restart else said + text * times
        writing.text(restart, text * times)
        if each:
            write()
    write()
    assert stream == said
