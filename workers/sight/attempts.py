"""What is counted of an attempt while it runs: how long its job waited, when its first text came, what it cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from agents.contract import Chunk, IngestResult, Result
from workers.ledger import Attempt
from workers.sight import tracing
from workers.sight.about import about
from workers.sight.tally import MODEL, TALLY


class Watch:
    """Sees an attempt's chunks go by.

    Attributes:
        waited: Seconds from when its job could start to its first start.
    """

    def __init__(self, attempt: Attempt, span: tracing.Span | None = None) -> None:
        record = attempt.record
        self._span = span or tracing.Span()
        self._kind, self._model = record.kind, record.model
        self._first = attempt.number == 1
        self._began = time.monotonic()
        # By Redis' clock, both of them; a job is not late while it was not to start yet.
        started = record.started_at or record.submitted_at
        self.waited = max(0.0, (started - record.submitted_at).total_seconds() - attempt.job.delay)
        if self._first:
            TALLY.time("wait", record.kind, record.lane.value, seconds=self.waited)

    def chunk(self, chunk: Chunk) -> None:
        """A chunk has come."""
        if chunk.delta and self._first:
            self._first = False
            self._span.event("first text")
            seconds = self.waited + time.monotonic() - self._began
            TALLY.time("first", self._kind, MODEL, seconds=seconds, model=self._model)
        if chunk.result is not None:
            self._result(chunk.result)

    def failed(self, code: str) -> None:
        """The attempt fails, with this stable code."""
        self._span.fail(code)

    def end(self) -> None:
        """The attempt has ended, one way or the other."""
        TALLY.time("run", self._kind, MODEL, seconds=time.monotonic() - self._began, model=self._model)

    def _result(self, result: Result) -> None:
        usage = result.usage
        TALLY.add("tokens", "in", MODEL, amount=usage.prompt_tokens, model=self._model)
        TALLY.add("tokens", "out", MODEL, amount=usage.completion_tokens, model=self._model)
        TALLY.add("cache", "prompt_tokens", amount=usage.cached_tokens)
        if isinstance(result, IngestResult):
            TALLY.add("cache", "documents", amount=sum(file.status == "unchanged" for file in result.files))


@contextmanager
def watched(attempt: Attempt) -> Iterator[Watch]:
    """Watch an attempt while the block runs: count it, trace it, and let the log's lines inside name it."""
    record = attempt.record
    facts = {
        "phiq.job.id": record.id,
        "phiq.job.kind": record.kind,
        "phiq.job.model": record.model,
        "phiq.job.lane": record.lane.value,
        "phiq.job.attempt": attempt.number,
        "phiq.tenant": record.tenant,
    }
    with (
        tracing.span(f"run {record.kind}", "consumer", record.trace, facts) as span,
        about(job=record.id, tenant=record.tenant, attempt=attempt.number, trace=span.trace_id),
    ):
        watch = Watch(attempt, span)
        span.set({"phiq.job.waited_seconds": watch.waited})
        try:
            yield watch
        finally:
            watch.end()
            span.set({"phiq.job.state": attempt.settled.value if attempt.settled else "lost"})
