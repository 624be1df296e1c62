"""Keeps warnings that come again and again from filling the log, most of all while the disk is full."""

from __future__ import annotations

import logging
import threading
import time

_SECONDS = 10.0
_AT_ONCE = 5
_KINDS = 200
"""So many kinds are remembered; then it begins anew."""


class Repeats(logging.Filter):
    """Lets five warnings of a kind pass in ten seconds; the next one says how many were left out.

    A kind is a logger, its sentence, and what the sentence ends with (the reason); which job it is about does not
    count. Everything else passes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record passes."""
        if record.levelno != logging.WARNING or record.exc_info:
            return True
        last = str(record.args[-1]) if isinstance(record.args, tuple) and record.args else ""
        kind = (record.name, str(record.msg), last)
        now = time.monotonic()
        with self._lock:
            since, count = self._seen.get(kind, (float("-inf"), 0))
            fresh = now - since >= _SECONDS
            if fresh and len(self._seen) >= _KINDS:
                self._seen.clear()
            self._seen[kind] = (now, 1) if fresh else (since, count + 1)
        if not fresh:
            return count < _AT_ONCE
        left_out = count - _AT_ONCE
        if left_out > 0:
            record.msg = f"{record.getMessage()} (and {left_out} more like it)"
            record.args = ()
        return True
