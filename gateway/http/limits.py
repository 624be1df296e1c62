"""Bodies are bounded while they are read: in size by route, in time, and all together in memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http import problems
from knowledge.errors import PhiqError, ServiceError, UserError

Admit = Callable[[Scope], Awaitable[None]]

IDLE_SECONDS = 15.0
"""The longest pause within a body."""
FREE_SECONDS = 20.0
SLOWEST = 4096.0
"""After the free seconds, the bytes a second that a body must have come with on the whole."""
KEPT_BYTES = 256 * 1024 * 1024
"""Bodies of requests under way that are kept in memory, all together."""


class BodyTooLarge(UserError):
    """Raised when a request's body is larger than its route takes; ``details['limit']`` is in bytes."""

    code = "body_too_large"


class BodyTooSlow(UserError):
    """Raised when a request's body comes too slowly or not at all."""

    code = "body_too_slow"


class Busy(ServiceError):
    """Raised when the gateway has its hands full; ``details['retry_after']`` is seconds to come back."""

    code = "busy"
    transient = True


class BodyLimits:
    """Watches over the bodies of all requests; an ASGI middleware.

    Args:
        app: What it stands around.
        default: Bytes of a body where no route says otherwise; such bodies are kept in memory while they are read.
        routes: Bytes by the path's beginning, for routes that take their bodies as a stream.
        admit: Called before a body is read; raises what it should not be read for. The framework reads bodies before
            it asks for keys, and strangers could make it read for nothing.
    """

    def __init__(self, app: ASGIApp, *, default: int, routes: Mapping[str, int], admit: Admit) -> None:
        self._app = app
        self._admit = admit
        self._default = default
        # The longest first: /v1/files/x before /v1/files.
        self._routes = sorted(routes.items(), key=lambda item: -len(item[0]))
        self._kept = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        streamed = next((size for start, size in self._routes if path.startswith(start)), None)
        body = _Body(self._default if streamed is None else streamed, receive, _declared(scope))
        if body.expected:
            body.admit = partial(self._admit, scope)
        if streamed is not None:
            await self._app(scope, body.receive, send)
            return

        async def counted() -> Message:
            before = body.size
            message = await body.receive()
            self._kept += body.size - before
            if self._kept > KEPT_BYTES:
                raise HTTPException(503) from Busy(
                    "The gateway is reading as many large requests as it can.",
                    hint="Try again in a moment.",
                    retry_after=2,
                )
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._kept -= body.size


class _Body:
    """One request's body on its way in. What it raises is the framework's, with ours as the cause: so it passes."""

    def __init__(self, limit: int, receive: Receive, declared: int) -> None:
        self.size = 0
        self._limit = limit
        self._receive = receive
        self._declared = declared
        self._began = time.monotonic()
        self._whole = False
        self.expected = declared != 0
        self.admit: Callable[[], Awaitable[None]] | None = None

    async def receive(self) -> Message:
        """The next piece."""
        if self._whole:
            return await self._receive()  # waits until the client is gone, however long that takes
        if self.admit is not None:
            admit, self.admit = self.admit, None
            try:
                await admit()
            except PhiqError as error:
                raise HTTPException(problems.status_of(error)) from error
        if self._declared > self._limit:
            raise self._too_large()
        message: Message | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS):
                message = await self._receive()
        if message is None:
            raise self._too_slow()
        self.size += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self.size > self._limit:
            raise self._too_large()
        took = time.monotonic() - self._began
        if not self._whole and took > FREE_SECONDS + self.size / SLOWEST:
            raise self._too_slow()
        return message

    def _too_large(self) -> HTTPException:
        error = HTTPException(413)
        error.__cause__ = BodyTooLarge(
            f"The body is larger than the {self._limit} bytes this address takes.",
            hint="Send less at once; docs/http.md has the limits.",
            limit=self._limit,
        )
        return error

    def _too_slow(self) -> HTTPException:
        error = HTTPException(408)
        error.__cause__ = BodyTooSlow("The body came too slowly.", hint="Send it again over a better connection.")
        return error


def _declared(scope: Scope) -> int:
    """Bytes that the headers announce; -1 when there is a body of a length that they don't tell."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else -1
        if name == b"transfer-encoding":
            return -1
    return 0
