"""Celery's consumer, which comes back soon after an outage of the broker."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from celery.worker.consumer import Consumer as CelerysConsumer

_REFUSED = 1.0
"""Seconds until the next try when Redis answers with a refusal: it is full, or has become a replica."""
_FIRST, _LONGER, _LONGEST = 0.5, 0.5, 3.0
"""Seconds between tries to connect. Celery's own grow to 30: so long nothing would run, for no reason to be seen."""


class Consumer(CelerysConsumer):
    """Tries again every few seconds, however long the outage."""

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, as Celery does, with other pauses."""
        # Celery offers no setting for them, and calls the connection's own method without any.
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_start=_FIRST, interval_step=_LONGER, interval_max=_LONGEST
        )
        try:
            return super().ensure_connected(conn)
        finally:
            del conn.ensure_connection

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Say so, and wait a moment: a refusal comes at once, each time."""
        super().on_connection_error_before_connected(exc)
        _wait_out(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """The same."""
        super().on_connection_error_after_connected(exc)
        _wait_out(exc)


def _wait_out(error: Exception) -> None:
    from redis import ResponseError

    if isinstance(error, ResponseError):
        time.sleep(_REFUSED)
