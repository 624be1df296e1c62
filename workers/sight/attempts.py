"""What is counted of an attempt while it runs: how long its job waited, when its first text came, what it cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from agents.contract import Chunk, IngestResult, Result
from workers.ledger import Attempt
from workers.sight.tally import MODEL, TALLY


class Watch:
    """Sees an attempt's chunks go by."""

    def __init__(self, attempt: Attempt) -> None:
        record = attempt.record
        self._kind, self._model = record.kind, record.model
        self._first = attempt.number == 1
        self._began = time.monotonic()
        # By Redis' clock, both of them; a job is not late while it was not to start yet.
        started = record.started_at or record.submitted_at
        self._waited = max(0.0, (started - record.submitted_at).total_seconds() - attempt.job.delay)
        if self._first:
            TALLY.time("wait", record.kind, record.lane.value, seconds=self._waited)

    def chunk(self, chunk: Chunk) -> None:
        """A chunk has come."""
        if chunk.delta and self._first:
            self._first = False
            seconds = self._waited + time.monotonic() - self._began
            TALLY.time("first", self._kind, MODEL, seconds=seconds, model=self._model)
        if chunk.result is not None:
            self._result(chunk.result)

    def end(self) -> None:
        """The attempt has ended, one way or the other."""
        TALLY.time("run", self._kind, MODEL, seconds=time.monotonic() - self._began, model=self._model)

    def _result(self, result: Result) -> None:
        usage = result.usage
        TALLY.add("tokens", "in", MODEL, amount=usage.prompt_tokens, model=self._model)
        TALLY.add("tokens", "out", MODEL, amount=usage.completion_tokens, model=self._model)
        TALLY.add("cache", "prompt_tokens", amount=getattr(usage, "cached_tokens", 0))
        if isinstance(result, IngestResult):
            TALLY.add("cache", "documents", amount=sum(file.status == "unchanged" for file in result.files))


@contextmanager
def watched(attempt: Attempt) -> Iterator[Watch]:
    """Watch an attempt while the block runs."""
    watch = Watch(attempt)
    try:
        yield watch
    finally:
        watch.end()
