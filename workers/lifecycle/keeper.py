"""Keeps the leases of the jobs that run here: renews, writes out text, and stops what must stop.

Two threads: one speaks to Redis; the other only looks at this machine's clock, so that a Redis that hangs can't
keep a job from stopping before its lease runs out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from knowledge.errors import PhiqError
from workers.errors import LeaseLost
from workers.ledger import Attempt, LedgerConfig
from workers.ledger.registry import Doing

log = logging.getLogger(__name__)

_STOP_GRACE = 15.0
"""Seconds a job has to end after it was told to; then it is settled over its head."""


class Keeper:
    """Looks after the attempts it is given."""

    def __init__(self, config: LedgerConfig) -> None:
        self._config = config
        self._held: dict[str, Attempt] = {}
        self._renew_at: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=f"phiq-{target.__name__.strip('_')}", daemon=True)
            for target in (self._keep, self._guard)
        ]

    def start(self) -> None:
        """Start looking."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()

    @contextmanager
    def hold(self, attempt: Attempt) -> Iterator[None]:
        """Look after an attempt while the block runs."""
        with self._lock:
            self._held[attempt.id] = attempt
            self._since[attempt.id] = time.monotonic()
            self._renew_at[attempt.id] = time.monotonic() + self._config.lease / 3
        try:
            yield
        finally:
            with self._lock:
                if self._held.get(attempt.id) is attempt:
                    for kept in (self._held, self._renew_at, self._since):
                        kept.pop(attempt.id, None)

    def held(self) -> list[Attempt]:
        """The attempts in its care."""
        with self._lock:
            return list(self._held.values())

    def doing(self) -> list[Doing]:
        """What is known of each of them."""
        now = time.monotonic()
        with self._lock:
            return [
                Doing(
                    id=attempt.id,
                    kind=attempt.record.kind,
                    model=attempt.record.model,
                    tenant=attempt.record.tenant,
                    attempt=attempt.number,
                    since=now - self._since[attempt.id],
                    progress_ago=attempt.silent_for,
                )
                for attempt in self._held.values()
            ]

    def interrupt(self, job_id: str) -> None:
        """A cancel was announced: ask Redis at once instead of at the next renewal."""
        attempt = self._held.get(job_id)
        if attempt is not None:
            self._renew(attempt)

    def _keep(self) -> None:
        """Renew every third of a lease, and write out text that waits."""
        while not self._closing.wait(self._config.flush):
            for attempt in self.held():
                if attempt.settled or attempt.stop_reason == "lost":
                    continue
                try:
                    attempt.flush_if_due()
                except LeaseLost:
                    continue
                except PhiqError as error:
                    log.warning("job %s: %s", attempt.id, error.message)
                if time.monotonic() >= self._renew_at.get(attempt.id, 0.0):
                    self._renew(attempt)
                if attempt.stopped_for > _STOP_GRACE:
                    self._settle(attempt)

    def _renew(self, attempt: Attempt) -> None:
        try:
            attempt.renew()
            self._renew_at[attempt.id] = time.monotonic() + self._config.lease / 3
        except PhiqError as error:
            log.warning("lease of job %s not renewed: %s", attempt.id, error.message)
            self._renew_at[attempt.id] = time.monotonic() + self._config.lease / 30

    def _settle(self, attempt: Attempt) -> None:
        """End an attempt whose thread does not come back; what that thread writes later is refused."""
        log.error("job %s did not stop within %g s; settled without it", attempt.id, _STOP_GRACE)
        try:
            match attempt.stop_reason:
                case "cancelled":
                    attempt.cancelled()
                case "expired":
                    attempt.expired()
                case _:
                    attempt.release()
        except PhiqError as error:
            log.warning("job %s: %s", attempt.id, error.message)

    def _guard(self) -> None:
        while not self._closing.wait(min(0.2, self._config.lease / 10)):
            for attempt in self.held():
                attempt.watch()
                if attempt.silent_for > self._config.max_silence and not attempt.stop.is_set():
                    log.error("job %s showed no life for %g s; given up", attempt.id, attempt.silent_for)
                    attempt.interrupt("lost")
