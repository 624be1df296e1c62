"""Finds out whether the broker's messages still reach this worker.

A worker can be alive by every other sign (its heartbeat comes, Redis answers) and yet get no work: its consumer was
cancelled, Celery's loop hangs, a request leaked so that Celery takes its slots for busy. So each worker reads a queue
of its own and puts a message there when it has heard nothing else for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from knowledge.errors import PhiqError

PATIENCE = 4
"""So many intervals without a message, with a slot free all the while, and the worker is deaf."""
EXIT_DEAF = 75
"""The exit code of a worker that ends because it is deaf: "try again" in sysexits.h. Supervisors start it anew."""


class Canary:
    """One worker's ear. `heard` is called from any thread, `look` from one.

    Args:
        every: Seconds of silence before a message is sent to ourselves.
        send: Sends it; raises `RedisUnavailable` when the broker does not take it.
    """

    def __init__(self, every: float, send: Callable[[], None]) -> None:
        self._every = every
        self._send = send
        self._heard: float | None = None
        self._sent = float("-inf")
        self._looked = self._from = time.monotonic()

    @property
    def heard_ago(self) -> float | None:
        """Seconds since a message reached us; None before the first."""
        return None if self._heard is None else time.monotonic() - self._heard

    def heard(self) -> None:
        """A message reached us."""
        self._heard = time.monotonic()

    def look(self, free: bool) -> bool:
        """Look once, and send a message when it has been silent; returns whether the worker is deaf.

        Silence counts only from when a slot became free (before that nothing is read), and not over an outage of the
        broker or a time in which this process was frozen.

        Args:
            free: Whether a slot is free by our own count. Celery's may be wrong, which is one way to be deaf.
        """
        now = time.monotonic()
        if not free or now - self._looked > self._every:
            self._from = now
        self._looked = now
        quiet = now - max(self._heard or 0.0, self._from)
        if quiet < self._every:
            return False
        if now - self._sent >= self._every:
            self._sent = now
            try:
                self._send()
            except PhiqError:
                self._from = time.monotonic()
                raise
        return quiet > PATIENCE * self._every
