"""What all processes counted together, in Redis: since ever, and by the hour for eight days.

How attempts and jobs end is counted by the ledger's scripts, in the step in which they do. The rest each worker adds
every few seconds.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from knowledge.errors import PhiqError
from workers.ledger.scripts import Scripts, redis_errors
from workers.sight.histogram import BOUNDS
from workers.sight.tally import TALLY, Counts, Tally

log = logging.getLogger(__name__)

HOUR = 3600
KEPT_HOURS = 8 * 24
"""As in ``count`` of lua/prelude.lua."""


@dataclass
class Times:
    """How long something took, by bucket, and all together in seconds."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    sum: float = 0.0

    def add(self, what: str, amount: int) -> None:
        """Add a count: of a bucket, by its number, or the sum (``ms``)."""
        if what == "ms":
            self.sum += amount / 1000
        elif what.isdecimal() and int(what) < len(self.buckets):
            self.buckets[int(what)] += amount


class Reporter:
    """Carries one process's counts to Redis. Safe between threads.

    What could not be brought is brought with the next report; a report whose answer was lost does not count twice.
    """

    def __init__(self, scripts: Scripts, tally: Tally = TALLY) -> None:
        self._scripts = scripts
        self._tally = tally
        self._process = uuid.uuid4().hex
        self._number = 0
        self._pending: Counts = {}
        self._lock = threading.Lock()

    def report(self) -> None:
        """Bring what was counted since the last report.

        Raises:
            RedisUnavailable, StorageFull: not brought now.
        """
        with self._lock:
            if not self._pending:
                self._pending = self._tally.take()
                self._number += 1
            if self._pending:
                flat = [str(part) for (name, model), amount in self._pending.items() for part in (name, model, amount)]
                self._scripts.run("tally", self._process, self._number, *flat)
                self._pending = {}

    def try_report(self) -> None:
        """The same; what keeps it from being brought is only logged."""
        try:
            self.report()
        except PhiqError as error:
            log.warning("what was counted is not reported yet: %s", error.message)


def total(scripts: Scripts) -> dict[str, int]:
    """All counts since ever, by name and labels."""
    return _read(scripts, [scripts.key("sight", "total")])


def since(scripts: Scripts, seconds: float) -> tuple[dict[str, int], float]:
    """The counts of the last so many seconds, in whole hours, and the instant at which these begin (Unix seconds)."""
    with redis_errors():
        clock: Any = scripts.client.time()
    last = int(clock[0]) // HOUR
    first = max(last - KEPT_HOURS + 1, int(clock[0] - seconds) // HOUR)
    return _read(scripts, [scripts.key("sight", "hour", str(hour)) for hour in range(first, last + 1)]), first * HOUR


def matching(counts: Mapping[str, int], name: str) -> Iterable[tuple[list[str], int]]:
    """The labels and amount of each count of a name."""
    for key, amount in counts.items():
        found, *labels = key.split(" ")
        if found == name:
            yield labels, amount


def times(counts: Mapping[str, int], name: str) -> dict[tuple[str, ...], Times]:
    """The times of a name, by their labels."""
    found: dict[tuple[str, ...], Times] = {}
    for labels, amount in matching(counts, name):
        found.setdefault(tuple(labels[:-1]), Times()).add(labels[-1], amount)
    return found


def _read(scripts: Scripts, keys: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    with redis_errors(), scripts.client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hgetall(key)
        for counts in pipe.execute():
            for name, amount in counts.items():
                found[name] = found.get(name, 0) + int(amount)
    return found
