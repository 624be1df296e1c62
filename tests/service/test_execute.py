"""One attempt under a runner that misbehaves: the ledger hears of everything, the worker lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis

from agents.contract import Chunk, CompletionResult, Progress
from agents.errors import Interrupted
from workers.errors import EngineDown
from workers.jobs import Capability, State, parse_job
from workers.ledger import Ledger, LedgerConfig
from workers.lifecycle.execute import execute
from workers.lifecycle.keeper import Keeper

pytestmark = pytest.mark.service

SECRET = "the customer's words"


class Runner:
    """A runner that does what a test says."""

    def __init__(self, script: Callable[..., Iterator[Chunk]]) -> None:
        self._script = script

    def run(self, job, stop, checkpoints=None, told=None):
        return self._script(job, stop, checkpoints)


@pytest.fixture
def make_ledger(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield lambda **values: Ledger(client, LedgerConfig(**values))


@pytest.fixture
def claimed(make_ledger):
    """Claim a fresh job: (ledger, attempt)."""

    def make(**config):
        ledger = make_ledger(**config)
        job = parse_job({"kind": "complete", "input": {"prompt": SECRET}})
        return ledger, ledger.claim(ledger.submit(job, model="m", capability=Capability.GENERATE).id, "w")

    return make


def run(claimed, script, **config):
    ledger, attempt = claimed(**config)
    execute(attempt, Runner(script))
    return ledger.get(attempt.id, "default"), list(ledger.events(attempt.id, "default", follow=False))


def test_chunks_become_events_and_the_last_result_counts(claimed):
    def script(job, stop, checkpoints):
        assert job.model == "m", "the model chosen at submission, not the worker's default"
        checkpoints.put("part", "done")
        assert checkpoints.get("part") == "done"
        yield Chunk(delta="a", progress=Progress(done=1, total=2))
        yield Chunk(delta="b", result=CompletionResult(text="ab"))

    record, events = run(claimed, script)
    assert record.state is State.SUCCEEDED
    assert record.result["text"] == "".join(e.text for e in events) == "ab"


@pytest.mark.parametrize(
    ("raised", "state", "code"),
    [
        (ValueError(SECRET), State.FAILED, "internal"),
        (SystemExit(1), State.FAILED, "internal"),
        (MemoryError(), State.DELAYED, "out_of_memory"),
        (EngineDown("Down."), State.DELAYED, "engine_down"),
        (Interrupted(), State.FAILED, "internal"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_whatever_is_raised_becomes_an_error_of_ours(claimed, caplog, raised, state, code):
    def script(job, stop, checkpoints):
        yield Chunk(delta="begun")
        raise raised

    record, _ = run(claimed, script)
    assert record.state is state
    assert record.attempts[0].error["code"] == code
    assert SECRET not in str(record.attempts[0].error)
    assert SECRET not in caplog.text


def test_an_end_without_a_result_is_a_failure_that_may_pass(claimed):
    def script(job, stop, checkpoints):
        yield Chunk(delta="text")

    record, _ = run(claimed, script)
    assert record.state is State.DELAYED
    assert record.attempts[0].error["code"] == "model_misbehaved"


def test_an_engine_that_fails_because_it_was_told_to_stop_is_cancelled(claimed):
    ledger, attempt = claimed()

    def script(job, stop, checkpoints):
        ledger.cancel(job_id := attempt.id, "default")
        attempt.renew()
        yield Chunk(delta=job_id)
        raise RuntimeError("session terminated")

    execute(attempt, Runner(script))
    assert ledger.get(attempt.id, "default").state is State.CANCELLED


@pytest.fixture
def keep(monkeypatch):
    """Run an attempt under a keeper, in a thread as Celery does; all is stopped in the end."""
    keepers = []
    done = threading.Event()

    def begin(ledger, attempt, script):
        keeper = Keeper(ledger.config)
        keepers.append(keeper)
        keeper.start()

        def work():
            with keeper.hold(attempt):
                execute(attempt, Runner(script))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return keeper, thread

    yield begin, done
    done.set()
    for keeper in keepers:
        keeper.close()


def test_leases_are_kept_while_the_job_lives_and_text_does_not_wait_for_more(claimed, keep, wait_until):
    begin, done = keep
    ledger, attempt = claimed(lease=0.6, flush=0.02)

    def script(job, stop, checkpoints):
        yield Chunk(delta="a")
        yield Chunk(delta="b")  # within the time in which text is collected, and then nothing for long
        assert done.wait(20)
        yield Chunk(result=CompletionResult(text="ab"))

    _, thread = begin(ledger, attempt, script)
    started = time.monotonic()
    seen = lambda: "".join(e.text for e in ledger.events(attempt.id, "default", follow=False))  # noqa: E731
    wait_until(lambda: seen() == "ab", 5)
    assert not wait_until(lambda: time.monotonic() - started > 1.5 and [ledger.reap().lost], 5)[0]
    done.set()
    thread.join(10)
    assert ledger.get(attempt.id, "default").state is State.SUCCEEDED


def test_a_job_without_a_sign_of_life_loses_its_lease(claimed, keep, wait_until):
    begin, done = keep
    ledger, attempt = claimed(lease=0.5, max_silence=0.6)

    def script(job, stop, checkpoints):
        yield Chunk(delta="a")
        done.wait(20)  # hung: hears no stop
        yield Chunk(result=CompletionResult(text="too late"))

    _, thread = begin(ledger, attempt, script)
    assert wait_until(lambda: ledger.reap().lost, 10) == {attempt.id: "queued"}
    other = ledger.claim(attempt.id, "other")
    done.set()
    thread.join(10)
    assert other.succeed(CompletionResult(text="in time")) is State.SUCCEEDED
    assert ledger.get(attempt.id, "default").result["text"] == "in time"


def test_a_cancelled_job_that_does_not_stop_is_settled_over_its_head(claimed, keep, wait_until, monkeypatch):
    monkeypatch.setattr("workers.lifecycle.keeper._STOP_GRACE", 0.2)
    begin, done = keep
    ledger, attempt = claimed()

    def script(job, stop, checkpoints):
        yield Chunk(delta="a")
        done.wait(20)
        yield Chunk(result=CompletionResult(text="too late"))

    keeper, thread = begin(ledger, attempt, script)
    ledger.cancel(attempt.id, "default")
    keeper.interrupt(attempt.id)
    wait_until(lambda: ledger.get(attempt.id, "default").state is State.CANCELLED, 5)
    done.set()
    thread.join(10)
    assert ledger.get(attempt.id, "default").result is None
