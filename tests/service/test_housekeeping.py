"""What workers do now and then: by one of them, once a period."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
import redis

from workers.errors import RedisUnavailable
from workers.ledger import Ledger, LedgerConfig
from workers.lifecycle.housekeeping import Chore, keep_house

pytestmark = pytest.mark.service


@pytest.fixture
def house(redis_url):
    """Let so many workers, each with a connection of its own, do chores until the test ends."""
    stop = threading.Event()
    threads, clients = [], []

    def begin(workers: int, chores: list[Chore]) -> None:
        for _ in range(workers):
            clients.append(redis.Redis.from_url(redis_url, decode_responses=True))
            ledger = Ledger(clients[-1], LedgerConfig())
            threads.append(threading.Thread(target=keep_house, args=(ledger, chores, stop, 0.01)))
            threads[-1].start()

    yield begin
    stop.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    for client in clients:
        client.close()


def test_each_period_of_a_chore_is_done_by_one_of_many_workers(house, redis_url, wait_until):
    done: list[int] = []
    with redis.Redis.from_url(redis_url) as client:
        house(5, [Chore("tidy", 1.0, lambda: done.append(client.time()[0]))])
        wait_until(lambda: len(done) >= 3, 20, "three periods")
    assert set(Counter(done).values()) == {1}


def test_a_chore_that_fails_is_told_and_keeps_no_other_from_being_done(house, wait_until, caplog):
    done = []

    def fail(error: Exception):
        def do():
            raise error

        return do

    house(
        1,
        [
            Chore("ours", 1.0, fail(RedisUnavailable("Away for now."))),
            Chore("theirs", 1.0, fail(ValueError("odd"))),
            Chore("tidy", 1.0, lambda: done.append(1)),
        ],
    )
    wait_until(lambda: len(done) >= 2, 20, "two periods")
    assert "housekeeping (ours): Away for now." in caplog.text
    assert "housekeeping (theirs) failed" in caplog.text
