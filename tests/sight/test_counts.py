"""What is counted, where, and that nothing is counted twice or without bound."""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import redis

from agents.contract import Chunk, CompletionResult, Usage
from knowledge.errors import UserError
from workers.errors import EngineDown, RedisUnavailable
from workers.jobs import Capability, Lane, parse_job
from workers.ledger import Ledger, LedgerConfig
from workers.lifecycle.execute import execute
from workers.sight import counts
from workers.sight.attempts import Watch
from workers.sight.counts import Reporter
from workers.sight.histogram import BOUNDS, bucket, quantile
from workers.sight.stats import stats
from workers.sight.tally import MODEL, TALLY, Tally


@pytest.fixture
def ledger(redis_server):
    with redis.Redis.from_url(redis_server, decode_responses=True) as client:
        yield Ledger(client, LedgerConfig(prefix=f"s{secrets.token_hex(4)}", lease=2.0))


def submit(ledger, model="fake:echo", **fields):
    job = parse_job({"kind": "complete", "input": {"prompt": "one"}, "model": model, **fields})
    return ledger.submit(job, model=model, capability=Capability.GENERATE).id


class Says:
    """A runner whose jobs say a word and end with a result, or fail."""

    def __init__(self, error=None):
        self.error = error

    def run(self, job, stop, checkpoints=None, told=None):
        yield Chunk(delta="word")
        if self.error:
            raise self.error
        usage = Usage(prompt_tokens=5, completion_tokens=7, cached_tokens=2)
        yield Chunk(result=CompletionResult(text="word", usage=usage))


def test_a_quantile_lies_in_its_bucket_and_none_has_none():
    amounts = [0] * (len(BOUNDS) + 1)
    assert quantile(amounts, 0.5) is None
    for seconds in (0.03,) * 90 + (2.0,) * 10:
        amounts[bucket(seconds)] += 1
    assert 0.025 < quantile(amounts, 0.5) <= 0.05
    assert 1.0 < quantile(amounts, 0.95) <= 2.5
    assert quantile([0] * len(BOUNDS) + [3], 0.5) == BOUNDS[-1]


def test_every_end_is_counted_by_kind_state_and_model(ledger):
    TALLY.take()
    execute(ledger.claim(submit(ledger), "w"), Says())
    execute(ledger.claim(submit(ledger), "w"), Says(UserError("No.")))
    execute(ledger.claim(submit(ledger, max_attempts=1), "w"), Says(EngineDown("Down.")))
    ledger.cancel(submit(ledger), "default")
    ledger.claim(submit(ledger), "w").release()
    Reporter(ledger.scripts).report()
    seen = counts.total(ledger.scripts)
    ended = {name: amount for name, amount in seen.items() if name.startswith("jobs ")}
    assert ended == {f"jobs complete {state} fake:echo": 1 for state in ("succeeded", "failed", "dead", "cancelled")}
    assert {name: amount for name, amount in seen.items() if name.startswith("attempts ")} == {
        "attempts succeeded": 1,
        "attempts failed": 2,
        "attempts released": 1,
    }
    assert seen["tokens in fake:echo"] == 5
    assert seen["tokens out fake:echo"] == 7
    assert seen["cache prompt_tokens"] == 2
    found = stats(ledger, 60)
    one = found.kinds["complete"]
    assert one.states == {"succeeded": 1, "failed": 1, "dead": 1, "cancelled": 1}
    # The claim outside `execute` is no worker's: it is not seen to wait or run.
    assert (one.wait.count, one.run.count, one.first_text.count) == (3, 3, 3)
    assert (found.prompt_tokens, found.completion_tokens, found.waiting, found.dead_letters) == (5, 7, 1, 1)
    assert one.wait.p50 < 1


def test_a_job_that_was_to_start_later_has_not_waited_until_then():
    TALLY.take()
    at = datetime.now(UTC)
    record = SimpleNamespace(
        kind="complete", model="fake:echo", lane=Lane.BATCH, submitted_at=at, started_at=at + timedelta(seconds=100.2)
    )
    Watch(SimpleNamespace(record=record, number=1, job=SimpleNamespace(delay=100.0)))
    assert TALLY.take() == {(f"wait complete batch {bucket(0.2)}", ""): 1, ("wait complete batch ms", ""): 200}


def test_a_report_whose_answer_was_lost_counts_once(ledger):
    tally = Tally()
    reporter = Reporter(ledger.scripts, tally)
    run, answers = ledger.scripts.run, iter([RedisUnavailable("Lost."), None])

    def losing(*args):
        reply = run(*args)
        if error := next(answers):
            raise error
        return reply

    ledger.scripts.client.sadd(ledger.scripts.key("sight", "models"), "fake:echo")
    ledger.scripts.run = losing
    tally.add("tokens", "in", MODEL, amount=3, model="fake:echo")
    with pytest.raises(RedisUnavailable):
        reporter.report()
    tally.add("tokens", "in", MODEL, amount=4, model="fake:echo")
    reporter.report()
    ledger.scripts.run = run
    assert counts.total(ledger.scripts) == {"tokens in fake:echo": 3}
    reporter.report()
    reporter.report()
    assert counts.total(ledger.scripts) == {"tokens in fake:echo": 7}


def test_models_beyond_the_fortieth_and_those_that_never_did_a_job_are_one(ledger):
    tally = Tally()
    models = [f"fake:words?count={number}%1" for number in range(45)]
    for model in models:
        ledger.claim(submit(ledger, model), "w").succeed(CompletionResult(text=""))
    for model in [*models, "fake:tried"]:
        tally.add("tokens", "in", MODEL, model=model)
    Reporter(ledger.scripts, tally).report()
    seen = counts.total(ledger.scripts)
    assert sum(name.startswith("tokens") for name in seen) == 41
    assert seen["tokens in other"] == 6
    assert seen[f"tokens in {models[39]}"] == 1
    assert seen["jobs complete succeeded other"] == 5
    ledger.cancel(submit(ledger, "fake:invented"), "default")
    assert counts.total(ledger.scripts)["jobs complete cancelled other"] == 1


def test_a_process_that_never_reports_keeps_little():
    tally = Tally()
    for number in range(10_000):
        tally.add("hosts", str(number))
    assert len(tally.take()) == 5000
    assert tally.take() == {}


def test_hours_go_by_themselves_and_tenants_are_named_nowhere(ledger):
    ledger.cancel(submit(ledger, tenant="somebody"), "somebody")
    client = ledger.scripts.client
    keys = {key: client.ttl(key) for key in client.keys(ledger.scripts.key("sight", "*"))}
    hours = [left for key, left in keys.items() if ":hour:" in key]
    assert len(hours) in (1, 2)
    assert all(7 * 86400 < left <= 8 * 86400 for left in hours)
    assert not any("somebody" in str(client.hgetall(key)) for key in keys)


def test_many_threads_lose_no_count():
    tally = Tally()
    threads = [threading.Thread(target=lambda: [tally.add("x") for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.take() == {("x", ""): 4000}
