"""Closes our own Redis to new jobs while the disk still has a little room, and opens it again.

With ``appendfsync always`` Redis ends when it can't write. So before the disk is full it is told that its memory is:
then it refuses what is new with `storage_full`, and what was accepted can still be written down to its end.
"""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

from workers.stack.folders import NEEDED_BYTES

log = logging.getLogger(__name__)

_EVERY = 5.0
_SECONDS = 2.0
CLOSED = "1"
"""The ``maxmemory`` of a closed Redis."""


class Room:
    """Looks every few seconds.

    Args:
        folder: On the disk that Redis writes to.
        limit: The ``maxmemory`` it has while it is open.
    """

    def __init__(self, folder: Path, limit: str) -> None:
        self._folder = folder
        self._limit = limit
        self._closed = False
        self._next = 0.0

    def look(self, url: str) -> str:
        """Close or open the Redis at this address if need be; returns a sentence when that changed, else nothing."""
        if time.monotonic() < self._next:
            return ""
        self._next = time.monotonic() + _EVERY
        free = shutil.disk_usage(self._folder).free
        # Twice the room to open again, or it would flutter.
        low = free < (2 * NEEDED_BYTES if self._closed else NEEDED_BYTES)
        if not low and not self._closed:
            return ""
        # Said again at each look: a Redis that was started anew in between knows nothing of it.
        if not _tell(url, CLOSED if low else self._limit):
            return ""
        changed, self._closed = low != self._closed, low
        if not changed:
            return ""
        if low:
            return (
                f"Only {free // 1_000_000} MB are free for {self._folder}: no new jobs are taken until there is more."
            )
        return f"There is room again for {self._folder}: jobs are taken."


def _tell(url: str, limit: str) -> bool:
    import redis

    from workers import redis_libraries
    from workers.redis_address import parse

    try:
        with redis_libraries.client(parse(url), socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS) as client:
            client.config_set("maxmemory", limit)
    except redis.RedisError as error:
        log.warning("Redis could not be told of the room on its disk (%s)", type(error).__name__)
        return False
    return True
