"""One writer per collection, across machines: a Redis lock that is held only while its holder lives."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from agents.errors import Interrupted
from workers.errors import LeaseLost
from workers.ledger.scripts import redis_errors

_TTL = 15.0
_RENEW = 4.0
_POLL = 0.25


@contextlib.contextmanager
def collection_lock(redis: Any, key: str, stop: threading.Event) -> Iterator[threading.Event]:
    """Wait for the lock, hold it, and keep renewing it.

    Yields:
        An event that is set when the lock was lost: the writer stops before another one's writes mix in.

    Raises:
        Interrupted: ``stop`` was set while waiting.
        LeaseLost: the lock was lost while it was held.
        RedisUnavailable: Redis does not answer.
    """
    from redis import RedisError
    from redis.exceptions import LockError

    lock = redis.lock(key, timeout=_TTL, blocking=False, thread_local=False)
    with redis_errors():
        while not lock.acquire():
            if stop.wait(_POLL):
                raise Interrupted
    released, lost = threading.Event(), threading.Event()

    def renew() -> None:
        held_until = time.monotonic() + _TTL - _RENEW
        while not released.wait(_RENEW):
            asked = time.monotonic()
            try:
                lock.reacquire()
            except LockError:
                lost.set()
                return
            except RedisError:
                # An outage that is shorter than the lock's life harms nobody.
                if time.monotonic() > held_until:
                    lost.set()
                    return
            else:
                held_until = asked + _TTL - _RENEW

    renewer = threading.Thread(target=renew, name=f"lock {key}", daemon=True)
    renewer.start()
    try:
        yield lost
        if lost.is_set():
            raise LeaseLost(
                "Another writer took over the collection.", hint="The job is tried again by itself.", subject=key
            )
    finally:
        released.set()
        renewer.join()
        # An expired lock is someone else's by now; there is nothing to give back.
        with contextlib.suppress(Exception):
            lock.release()
