"""HTTP/1.1 towards clients that may be slow on purpose: uvicorn's own protocol with limits in time."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_SECONDS = 15.0
"""From the connection, or the first byte of a later request, until a request's headers are whole."""
STALL_SECONDS = 30.0
"""A client that takes nothing of an answer for so long is cut off; a stream of events can be taken up again."""


class PatientProtocol(H11Protocol):
    """Cuts off who sends headers or takes an answer too slowly. Bodies are watched in `gateway.http.limits`."""

    _headers_due: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: its first request is awaited from now on."""
        super().connection_made(transport)
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        """More came: whole headers end the wait for them, the beginning of new ones starts it."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._headers_due = _cancelled(self._headers_due)
        elif self._headers_due is None and self.timeout_keep_alive_task is None:
            self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._headers_due, self._stalled = _cancelled(self._headers_due), _cancelled(self._stalled)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes nothing just now."""
        super().pause_writing()
        self._stalled = _cancelled(self._stalled) or self.loop.call_later(STALL_SECONDS, self._cut)

    def resume_writing(self) -> None:
        """It takes again."""
        super().resume_writing()
        self._stalled = _cancelled(self._stalled)

    def _await_headers(self) -> None:
        self._headers_due = self.loop.call_later(HEADERS_SECONDS, self._cut)

    def _cut(self) -> None:
        # Not closed: that would wait until the client has taken what is written already.
        self.transport.abort()


def _cancelled(timer: asyncio.TimerHandle | None) -> Any:
    if timer is not None:
        timer.cancel()
