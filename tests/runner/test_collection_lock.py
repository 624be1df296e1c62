"""One writer per collection, also while Redis comes and goes."""

from __future__ import annotations

import threading

import pytest
import redis

from workers import collection_lock as module
from workers.collection_lock import collection_lock
from workers.errors import LeaseLost, RedisUnavailable
from workers.stack.ports import free_port

pytestmark = pytest.mark.service


@pytest.fixture
def client(redis_url, monkeypatch):
    monkeypatch.setattr(module, "_RENEW", 0.05)
    with redis.Redis.from_url(redis_url, decode_responses=True) as made:
        yield made


def test_without_redis_the_job_is_to_be_tried_again():
    with (
        redis.Redis(port=free_port()) as nobody,
        pytest.raises(RedisUnavailable) as caught,
        collection_lock(nobody, "k", threading.Event()),
    ):
        pytest.fail("held without a Redis")
    assert caught.value.transient


@pytest.mark.parametrize("error", [redis.ConnectionError, redis.exceptions.BusyLoadingError])
def test_an_outage_shorter_than_the_lock_does_not_lose_it(client, monkeypatch, error, wait_until):
    from redis.lock import Lock

    proper, calls = Lock.reacquire, []

    def reacquire(self):
        calls.append(1)
        if len(calls) <= 3:
            raise error("away")
        return proper(self)

    monkeypatch.setattr(Lock, "reacquire", reacquire)
    with collection_lock(client, "k", threading.Event()) as lost:
        wait_until(lambda: len(calls) > 5, 10, "renewed after the outage")
        assert not lost.is_set()


def test_a_lock_that_is_anothers_is_lost(client):
    def write() -> None:
        with collection_lock(client, "k", threading.Event()) as lost:
            client.set("k", "another")
            assert lost.wait(10)

    with pytest.raises(LeaseLost):
        write()
    assert client.get("k") == "another"
