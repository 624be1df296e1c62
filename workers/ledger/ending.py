"""Waiting for a job to end: what it streams meanwhile is passed over, and its place need not be whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from workers.errors import RedisUnavailable
from workers.ledger.scripts import Scripts, redis_errors

_BLOCK = 5.0
"""Seconds of silence after which the record is looked at again: it may have been forgotten, or Redis rolled back."""
_OUTAGE = 30.0
"""Seconds without Redis that are waited out."""


def await_end(
    scripts: Scripts, job_id: str, timeout: float | None, final: Callable[[dict[str, str]], bool]
) -> dict[str, str]:
    """The job's fields once ``final`` says it has ended, or as they are after ``timeout`` seconds.

    Args:
        scripts: Where the job is.
        job_id: Which.
        timeout: None: for as long as it takes.
        final: Whether these fields are of a job that has ended, or is none; may raise what ends the waiting.

    Raises:
        RedisUnavailable: no answer for half a minute.
    """
    until = None if timeout is None else time.monotonic() + timeout
    away_since: float | None = None
    while True:
        try:
            fields, last = _look(scripts, job_id)
            over = final(fields)
            left = _BLOCK if until is None else min(_BLOCK, until - time.monotonic())
            if over or left <= 0:
                return fields
            if last is None:
                time.sleep(0.01)
            else:
                _follow(scripts, job_id, last, left)
            away_since = None
        except RedisUnavailable:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > _OUTAGE or (until is not None and time.monotonic() > until):
                raise
            time.sleep(0.2)


def _look(scripts: Scripts, job_id: str) -> tuple[dict[str, str], str | None]:
    """The record's fields, and the id to follow the stream from; None when its end is in it already."""
    with redis_errors():
        pipe = scripts.client.pipeline(transaction=False)
        pipe.hgetall(scripts.key("job", job_id))
        pipe.xrevrange(scripts.key("events", job_id), count=1)
        fields, newest = pipe.execute()
    if not newest:
        return fields, "0-0"
    # The record was read before the stream: an end that came in between is in the record of the next look.
    return fields, None if newest[0][1]["t"] == "end" else newest[0][0]


def _follow(scripts: Scripts, job_id: str, last: str, seconds: float) -> None:
    """Return when the stream ends, or nothing came for a while."""
    key = scripts.key("events", job_id)
    until = time.monotonic() + seconds
    while True:
        left = until - time.monotonic()
        if left <= 0:
            return
        with redis_errors():
            reply: Any = scripts.client.xread({key: last}, count=500, block=max(1, int(left * 1000)))
        entries = _entries(reply)
        if not entries or any(fields["t"] == "end" for _, fields in entries):
            return
        last = entries[-1][0]


def _entries(reply: Any) -> list[tuple[str, dict[str, str]]]:
    # redis-py answers a list of pairs on the old protocol and a mapping on the new one.
    if not reply:
        return []
    found = next(iter(reply.values())) if isinstance(reply, dict) else reply[0][1]
    return list(found[0] if found and isinstance(found[0], list) else found)
