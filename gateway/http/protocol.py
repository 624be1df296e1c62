"""HTTP/1.1 towards clients that may be slow, or many, on purpose: uvicorn's own protocol with limits."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.http import problems
from gateway.http.limits import Busy

HEADERS_SECONDS = 15.0
"""From the connection, or the first byte of a later request, until a request's headers are whole."""
STALL_SECONDS = 30.0
"""A client that takes nothing of an answer for so long is cut off; a stream of events can be taken up again."""
LINGER_SECONDS = 3.0
"""How long the rest of a body is still read and thrown away after the answer: cut off at once, the client would not
see the answer."""


class PatientProtocol(H11Protocol):
    """Cuts off who sends headers, or takes an answer, too slowly. Bodies are watched in `gateway.http.limits`.

    Attributes:
        most: Connections that are served; those beyond are told to come back, and beyond half as many more cut off.
    """

    most: ClassVar[int] = 2000
    _headers_due: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _lingers: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn only ever gives one
        """A client is there: its first request is awaited from now on."""
        super().connection_made(transport)
        if len(self.connections) > self.most * 3 // 2:
            transport.abort()
        elif len(self.connections) > self.most:
            self.app = _busy
        self._headers_due = self.loop.call_later(HEADERS_SECONDS, self._cut)

    def data_received(self, data: bytes) -> None:
        """More came: whole headers end the wait for them, the beginning of new ones starts it."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            _cancel(self._headers_due)
            self._headers_due = None
        elif self._headers_due is None and self.timeout_keep_alive_task is None:
            self._headers_due = self.loop.call_later(HEADERS_SECONDS, self._cut)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        for timer in (self._headers_due, self._stalled, self._lingers):
            _cancel(timer)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """An answer is out, perhaps before its request was read."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._lingers = self.loop.call_later(LINGER_SECONDS, self._linger_over)

    def pause_writing(self) -> None:
        """The client takes nothing just now."""
        super().pause_writing()
        _cancel(self._stalled)
        self._stalled = self.loop.call_later(STALL_SECONDS, self._cut)

    def resume_writing(self) -> None:
        """It takes again."""
        super().resume_writing()
        _cancel(self._stalled)

    def _linger_over(self) -> None:
        if self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE:
            self._cut()

    def _cut(self) -> None:
        # Not closed: that would wait until the client has taken what is written already.
        self.transport.abort()


def protocol(most: int) -> type[PatientProtocol]:
    """The protocol for so many connections."""
    return type("LimitedProtocol", (PatientProtocol,), {"most": most})


async def _busy(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers instead of the application."""
    error = Busy("The gateway serves as many connections as it can.", hint="Try again in a moment.", retry_after=2)
    answer = problems.response(error)
    answer.headers["Connection"] = "close"
    await answer(scope, receive, send)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
