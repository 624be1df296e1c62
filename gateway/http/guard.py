"""Around every request: which pages may read the answers (CORS), and headers that a key's limits ask for.

Closed by default: an answer names an origin only when PHIQ_CORS_ORIGINS or a publishable key does.
"""

from __future__ import annotations

import time

from anyio.to_thread import run_sync
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http import peer, problems
from knowledge.errors import PhiqError
from workers.access.errors import OriginRefused
from workers.service import Service

_REMEMBERED = 5.0
_SHOWN = "Location, Retry-After, RateLimit, RateLimit-Policy, Last-Event-ID"
_TAKEN = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Phiq-Visitor"


class Guard:
    """ASGI middleware; it reads no bodies and holds nothing back.

    Args:
        app: What is inside.
        service: Whose keys and settings.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._allowed = peer.origins(service.settings.cors_origins)
        self._keyed: tuple[float, frozenset[str]] = (0.0, frozenset())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or hand on and add headers to the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        readable = origin is not None and await self._readable(origin)
        if origin is not None and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await self._preflight(origin, readable)(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                made = MutableHeaders(scope=message)
                made.update(state.get("phiq_headers", {}))
                made.setdefault("X-Content-Type-Options", "nosniff")
                if readable and origin is not None:
                    made["Access-Control-Allow-Origin"] = origin
                    made["Access-Control-Expose-Headers"] = _SHOWN
                if origin is not None:
                    made.add_vary_header("Origin")
            await send(message)

        await self._app(scope, receive, answer)

    def _preflight(self, origin: str, readable: bool) -> Response:
        if not readable:
            return problems.response(
                OriginRefused(
                    f"Pages of {origin[:100]} may not use this gateway.",
                    hint="Name the origin in PHIQ_CORS_ORIGINS, or in a publishable key.",
                )
            )
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
                "Access-Control-Allow-Headers": _TAKEN,
                "Access-Control-Max-Age": "600",
                "Vary": "Origin",
            },
        )

    async def _readable(self, origin: str) -> bool:
        if origin in self._allowed:
            return True
        since, known = self._keyed
        if not since or time.monotonic() - since > _REMEMBERED:
            try:
                known = await run_sync(self._service.access.keys.origins)
            except PhiqError:
                return False  # the request itself says what is wrong
            self._keyed = (time.monotonic(), known)
        return origin in known
