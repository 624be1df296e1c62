"""Around every request: what is counted of it, and its line in the log. Never its path or query: they may quote."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from workers.jobs import is_job_id
from workers.sight import tracing
from workers.sight.about import about, note

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("gateway.access")

_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_QUIET = {"/healthz", "/readyz", "/metrics"}
"""Routes that machines ask all the time: their lines are of the level debug."""


class HttpMetrics:
    """What this gateway counts of its own requests; ``registry`` holds it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.requests = Counter(
            "phiq_http_requests",
            "Requests answered by this gateway.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "phiq_http_response_seconds",
            "Seconds until the answer began.",
            ("method", "route"),
            buckets=_BOUNDS,
            registry=self.registry,
        )
        self.open = Gauge("phiq_http_requests_open", "Requests not answered to their end.", registry=self.registry)
        self.streams = Gauge("phiq_http_event_streams_open", "Event streams open.", registry=self.registry)


def install(app: FastAPI) -> None:
    """Watch an application; last of all that goes around its requests, to see them all."""
    app.state.http_metrics = HttpMetrics()
    app.add_middleware(Watch, metrics=app.state.http_metrics)


class Watch:
    """ASGI middleware: counts and logs each request.

    Args:
        app: What answers.
        metrics: Where it is counted.
    """

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        traceparent = tracing.received({"traceparent": _header(scope, b"traceparent")})
        with about() as facts, tracing.incoming(traceparent), tracing.span(scope["method"], "server") as span:
            facts.update({"trace": span.trace_id} if span.trace_id else {})
            await self._seen(scope, receive, send, _Seen(self._metrics, scope, span))

    async def _seen(self, scope: Scope, receive: Receive, send: Send, seen: _Seen) -> None:

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.answered(message)
            await send(message)

        self._metrics.open.inc()
        try:
            await self._app(scope, receive, sent)
        except Exception:
            seen.failed()
            raise
        finally:
            self._metrics.open.dec()
            seen.end()


class _Seen:
    """One request."""

    def __init__(self, metrics: HttpMetrics, scope: Scope, span: tracing.Span) -> None:
        self._metrics = metrics
        self._scope = scope
        self._span = span
        self._began = time.perf_counter()
        self._status = 0
        self._first = 0.0
        self._stream = False
        self._method = scope["method"] if scope["method"] in _METHODS else "OTHER"

    def answered(self, message: Message) -> None:
        """The answer begins."""
        self._status = message["status"]
        self._first = time.perf_counter() - self._began
        kinds = [value for name, value in message.get("headers", ()) if name.lower() == b"content-type"]
        self._stream = bool(kinds) and kinds[0].startswith(b"text/event-stream")
        if self._stream:
            self._metrics.streams.inc()
        self._metrics.seconds.labels(self._method, route_of(self._scope)).observe(self._first)

    def failed(self) -> None:
        """It raised; who stands around this answers with 500."""
        self._status = self._status or 500

    def end(self) -> None:
        """The answer has ended, or the client has gone."""
        if self._stream:
            self._metrics.streams.dec()
        route = route_of(self._scope)
        self._metrics.requests.labels(self._method, route, str(self._status or 499)).inc()
        self._span.rename(f"{self._method} {route}")
        self._span.set(
            {
                "http.request.method": self._method,
                "http.route": route,
                "http.response.status_code": self._status or None,
            }
        )
        if self._status >= 500:
            self._span.fail(str(self._status))
        job_id = self._scope.get("path_params", {}).get("job_id")
        if is_job_id(job_id):
            note(job=job_id)
        took = time.perf_counter() - self._began
        log.log(
            logging.DEBUG if route in _QUIET else logging.INFO,
            "%s %s %d %.1f ms",
            self._method,
            route,
            self._status or 499,
            took * 1000,
            extra={"about": {"route": route, "status": self._status or 499, "ms": round(took * 1000, 1)}},
        )


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def route_of(scope: Scope) -> str:
    """The route as it was declared, such as ``/v1/jobs/{job_id}``; ``none`` where nothing lies at the address."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "") or "none")
