"""Refuses what could be read in two ways, or is cheap to send and dear to check, before anything else looks at it."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http import problems
from knowledge.errors import UserError

MOST_VALUES = 50_000
"""Values of a JSON body, in lists and objects together. Each that does not fit costs some 20 µs to tell, while
nobody else is served."""
_SMALL = 64 * 1024
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)

problems.known(request_ambiguous=400, http_version=505, body_too_many_values=413)


class RequestAmbiguous(UserError):
    """Raised when a proxy before the gateway may see another end of the request than the gateway does."""

    code = "request_ambiguous"


class HttpVersion(UserError):
    """Raised when a request is of a version of HTTP that is not spoken here."""

    code = "http_version"


class TooManyValues(UserError):
    """Raised when a JSON body has more values than are looked at; ``details['limit']`` says how many."""

    code = "body_too_many_values"


class Strict:
    """ASGI middleware; goes inside the limits of bodies.

    Args:
        app: What is inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        error = _framing(scope["http_version"], headers)
        if error is not None:
            answer = problems.response(error)
            answer.headers["Connection"] = "close"
            await answer(scope, receive, send)
            return
        json_body = "json" in headers.get("content-type", "").lower()
        await self._app(scope, _Watched(receive).receive if json_body else receive, send)


class _Watched:
    """A JSON body on its way in."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._pieces: list[bytes] = []
        self._size = 0

    async def receive(self) -> Message:
        """The next piece; the last one only when the whole is simple enough."""
        message = await self._receive()
        if message["type"] == "http.request" and (piece := message.get("body", b"")):
            self._pieces.append(piece)
            self._size += len(piece)
        if not message.get("more_body", False):
            pieces, self._pieces = self._pieces, []
            if self._size > _SMALL and values(b"".join(pieces)) > MOST_VALUES:
                raise HTTPException(413) from TooManyValues(
                    f"The body has more than {MOST_VALUES:,} values.",
                    hint="Send less at once: many inputs are a batch (POST /v1/batches).",
                    limit=MOST_VALUES,
                )
        return message


def values(body: bytes) -> int:
    """About how many values a JSON text has: its separators outside strings, wherever they stand."""
    bare = _STRING.sub(b"", body)
    return bare.count(b",") + bare.count(b":") + bare.count(b"[") + bare.count(b"{")


def _framing(version: str, headers: Headers) -> UserError | None:
    if version not in ("1.0", "1.1"):
        return HttpVersion(f"HTTP/{version[:8]} is not spoken here.", hint="Use HTTP/1.1.")
    if "transfer-encoding" in headers and ("content-length" in headers or version == "1.0"):
        return RequestAmbiguous(
            "The request gives its length in two ways.", hint="Send Content-Length or Transfer-Encoding, not both."
        )
    return None
