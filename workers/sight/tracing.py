"""OpenTelemetry traces, where an address for them is set; else nothing is imported and nothing done.

One trace goes from the HTTP request through the queue (a job carries its ``traceparent``) to the attempt, its chain,
the calls of the model and the searches. Attributes name jobs, models, counts and times: never what people wrote.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from knowledge.errors import PhiqError
from workers.settings import traces_address

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from workers.settings import Settings

log = logging.getLogger(__name__)

TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
Kind = Literal["internal", "server", "producer", "consumer", "client"]

_tracer: Tracer | None = None
_provider: Any = None
_ENDING_SECONDS = 3.0
_current: ContextVar[str | None] = ContextVar("phiq_traceparent", default=None)
"""The ``traceparent`` of the span around, or the one that came in while traces are off."""


class Span:
    """Something that is timed. This one goes nowhere: traces are off, but a trace that came in is handed on."""

    def __init__(self, traceparent: str | None = None) -> None:
        self.traceparent = traceparent

    @property
    def trace_id(self) -> str | None:
        """The trace's id in hex."""
        return self.traceparent.split("-")[1] if self.traceparent else None

    @property
    def recorded(self) -> bool:
        """Whether anybody will see it."""
        return False

    def rename(self, name: str) -> None:
        """Give it a better name."""

    def set(self, facts: Mapping[str, Any]) -> None:
        """Add attributes; None is left out."""

    def event(self, name: str) -> None:
        """Say that something happened just now."""

    def fail(self, code: str) -> None:
        """Say that it failed, and with which stable code or class of error."""

    def end(self) -> None:
        """Stop the clock."""


class _Recorded(Span):
    def __init__(self, span: Any) -> None:
        self._span = span
        context = span.get_span_context()
        super().__init__(f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}")

    @property
    def recorded(self) -> bool:
        return True

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, facts: Mapping[str, Any]) -> None:
        self._span.set_attributes(_attributes(facts))

    def event(self, name: str) -> None:
        self._span.add_event(name)

    def fail(self, code: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("error.type", code)
        self._span.set_status(Status(StatusCode.ERROR, code))

    def end(self) -> None:
        self._span.end()


def begin(settings: Settings, part: str) -> None:
    """Send this process's traces where the settings say; nothing when they say nowhere.

    Args:
        settings: Say where.
        part: Which of our parts it is; the service's name is ``phiq-PART``.
    """
    address = traces_address(settings)
    if address is None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("no traces: %s is missing; install phiq with its extra otel, or set PHIQ_TRACES=off", error.name)
        return
    provider = TracerProvider(resource=Resource.create({"service.name": f"phiq-{part}"}), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{address.rstrip('/')}/v1/traces", timeout=_ENDING_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    use(provider)


def use(provider: Any) -> None:
    """Make spans with a provider of the OpenTelemetry SDK; None: make none. It is not made everybody's default."""
    global _tracer, _provider
    _provider = provider
    _tracer = None if provider is None else provider.get_tracer("phiq")


def end() -> None:
    """Send what waits, for a few seconds at most, and make no more spans."""
    provider = _provider
    use(None)
    if provider is not None:
        # Its own limit is half a minute, which a worker that is to end does not have.
        last = threading.Thread(target=provider.shutdown, name="phiq-traces", daemon=True)
        last.start()
        last.join(_ENDING_SECONDS)


def on() -> bool:
    """Whether spans are made."""
    return _tracer is not None


def current() -> str | None:
    """The ``traceparent`` of the span around."""
    return _current.get()


def start(
    name: str, kind: Kind = "internal", parent: str | None = None, facts: Mapping[str, Any] | None = None
) -> Span:
    """A span that is not the current one; whoever starts it ends it.

    Args:
        name: What is timed.
        kind: Of OpenTelemetry's kinds.
        parent: A ``traceparent``; None: the current span, or what came in.
        facts: Its first attributes.
    """
    if _tracer is None:
        return Span(parent or _current.get())
    from opentelemetry.trace import SpanKind

    return _Recorded(
        _tracer.start_span(
            name,
            context=_context(parent),
            kind=SpanKind[kind.upper()],
            attributes=_attributes(facts or {}),
            record_exception=False,
        )
    )


@contextmanager
def span(
    name: str, kind: Kind = "internal", parent: str | None = None, facts: Mapping[str, Any] | None = None
) -> Iterator[Span]:
    """A span around a block, the current one inside it. A failure is recorded by its code or class, not its words."""
    made = start(name, kind, parent, facts)
    token = _current.set(made.traceparent)
    try:
        yield made
    except GeneratorExit:
        raise
    except BaseException as error:
        made.fail(error.code if isinstance(error, PhiqError) else type(error).__name__)
        raise
    finally:
        made.end()
        try:
            _current.reset(token)
        except ValueError:
            pass  # a generator that was closed elsewhere than it ran


@contextmanager
def incoming(traceparent: str | None) -> Iterator[None]:
    """Let what happens inside belong to a trace that came in."""
    token = _current.set(traceparent)
    try:
        yield
    finally:
        _current.reset(token)


def received(headers: Mapping[str, str]) -> str | None:
    """The ``traceparent`` of a request, where it is one."""
    value = headers.get("traceparent", "")
    return value if TRACEPARENT.fullmatch(value) else None


def _context(parent: str | None) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    traceparent = parent or _current.get()
    carrier = {"traceparent": traceparent} if traceparent else {}
    return TraceContextTextMapPropagator().extract(carrier, Context())


def _attributes(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}
