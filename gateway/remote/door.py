"""The service over HTTP, with the methods of `workers.service.Service` that clients use."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from agents.contract import Attachment
from gateway.remote import answers, calls, wire
from gateway.remote.address import Address
from gateway.remote.calls import Call
from gateway.remote.errors import not_over_http
from gateway.remote.files import opener
from gateway.remote.following import SILENCE, Place
from gateway.remote.patience import Patience
from knowledge.errors import PhiqError
from workers.jobs import Event, Job, JobRecord, State, Waiting
from workers.ledger import Limits, QueueInfo, TenantInfo, WorkerInfo

if TYPE_CHECKING:
    import httpx

    from gateway.remote.access import HttpAccess
    from gateway.remote.batches import HttpBatches
    from gateway.remote.schedules import HttpSchedules
    from gateway.remote.webhooks import HttpWebhooks
    from workers.sight.stats import Stats

T = TypeVar("T")
_Records = list[JobRecord]  # inside the class `list` is the method
_Events = Iterator[Event]

LOOK = 20.0
"""Seconds that one request waits for a job's end."""


class HttpService:
    """Jobs, over HTTP. Safe between threads; connects at the first use.

    Each method raises what the same method of `Service` raises, and

        GatewayUnreachable: nothing answers within the patience.
        NotPhiq: something else answers.
        KeyMissing, KeyInvalid, ScopeMissing, RateLimited: the key won't do.

    Args:
        address: Of the gateway.
        patience: Seconds within which what may pass is tried again.
    """

    def __init__(self, address: Address, patience: float = 30.0) -> None:
        self.address = address
        self._patience = Patience(patience)

    def __getattr__(self, name: str) -> NoReturn:
        """What `Service` has and this lacks.

        Raises:
            NotOverHttp: always, but for names that it has not either.
        """
        from workers.service import Service

        if name.startswith("_") or not (hasattr(Service, name) or name in ("ledger", "settings")):
            raise AttributeError(name)
        raise not_over_http()

    def submit(self, job: Job) -> JobRecord:
        """Put a job in line; a reply that is lost on the way does not make it two."""
        return self._ask(calls.submit(job))

    def get(self, job_id: str, tenant: str | None = None) -> JobRecord:  # noqa: ARG002 - the key says whose
        """The whole record, contents and result included."""
        return self._ask(calls.get(job_id))

    def list(
        self,
        tenant: str | None = None,  # noqa: ARG002 - the key says whose
        states: Collection[State] | None = None,
        kind: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> _Records:
        """Jobs, the latest first, without contents and results."""
        found: _Records = []
        while len(found) < limit:
            page = self._ask(calls.jobs(states, kind, min(limit - len(found), calls.PAGE), before))
            found += page.data
            before = page.next
            if before is None:
                break
        return found

    def cancel(self, job_id: str, tenant: str | None = None) -> JobRecord:  # noqa: ARG002 - the key says whose
        """Cancel: a waiting job at once, a running one within a step of its engine."""
        return self._ask(calls.cancel(job_id))

    def waiting(self, job_id: str, tenant: str | None = None) -> Waiting:  # noqa: ARG002 - the key says whose
        """Why a job has not started, and its place in line."""
        return self._ask(calls.waiting(job_id))

    def wait(self, job_id: str, timeout: float | None = None, tenant: str | None = None) -> JobRecord:  # noqa: ARG002 - as get
        """The record once the job has ended, or as it is after ``timeout`` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = LOOK if until is None else max(0.0, min(LOOK, until - time.monotonic()))
            record = self._ask(calls.get(job_id, wait=left))
            if record.state.final or left <= 0:
                return record

    def events(self, job_id: str, tenant: str | None = None, after: str = "0-0") -> _Events:  # noqa: ARG002 - as get
        """The job's events after ``after``, up to ``end``; a stream that breaks is taken up where it broke."""
        import httpx
        from httpx_sse import EventSource

        place = Place(after, self.address.base, self._patience)
        timeout = httpx.Timeout(wire.READ, connect=wire.CONNECT, read=SILENCE)
        while not place.ended():
            error: PhiqError | None = None
            try:
                with self._http.stream("GET", calls.events(job_id), headers=place.headers, timeout=timeout) as answer:
                    if not answer.is_success:
                        raise answers.error(answer.status_code, answer.headers, answer.read(), self.address.base)
                    if not place.opened(answer.status_code, dict(answer.headers)):
                        return
                    for sent in EventSource(answer).iter_sse():
                        event = place.take(sent)
                        if event is not None:
                            yield event
                        if place.ended():
                            return
            except httpx.HTTPError as broken:
                error = wire.broken(self.address.base, broken)
            except PhiqError as refused:
                error = refused
            time.sleep(place.lost(error))

    def attach(self, file: Path | tuple[str, bytes]) -> Attachment:
        """Upload a file, or a name and its bytes; the job carries the reference."""
        name, opened = opener(file)
        return self._ask(calls.attach(name, opened))

    def kept(self, job_id: str, ref: str, tenant: str | None = None) -> bytes:  # noqa: ARG002 - as get
        """A file that a job's result refers to."""
        import httpx

        try:
            answer = self._http.get(calls.kept(job_id, ref))
        except httpx.HTTPError as broken:
            raise wire.broken(self.address.base, broken) from broken
        if not answer.is_success:
            raise answers.error(answer.status_code, answer.headers, answer.content, self.address.base)
        return answer.content

    def dead(
        self,
        tenant: str | None = None,  # noqa: ARG002 - the key says whose
        kind: str | None = None,
        model: str | None = None,
        code: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> _Records:
        """Dead letters, the latest death first."""
        found: _Records = []
        while len(found) < limit:
            page = self._ask(calls.dead(kind, model, code, min(limit - len(found), calls.PAGE), before))
            found += page.data
            before = page.next
            if before is None:
                break
        return found

    def replay(self, job_id: str, tenant: str | None = None) -> JobRecord:  # noqa: ARG002 - the key says whose
        """Run a job again that died, failed, expired or was cancelled."""
        return self._ask(calls.replay(job_id))

    def drop(self, job_id: str, tenant: str | None = None) -> None:  # noqa: ARG002 - the key says whose
        """Delete a dead letter and all it left."""
        self._ask(calls.drop(job_id))

    def workers(self) -> list[WorkerInfo]:  # type: ignore[valid-type]  # the method `list` shadows it
        """The workers that are alive."""
        return self._ask(calls.workers())

    def queues(self) -> list[QueueInfo]:  # type: ignore[valid-type]
        """The queues, by name."""
        return self._ask(calls.queues())

    def paused(self) -> list[str]:  # type: ignore[valid-type]
        """What is paused."""
        return self._ask(calls.paused())

    def pause(self, queue: str | None = None, tenant: str | None = None) -> None:
        """Let no job of a queue or of a tenant start."""
        self._ask(calls.pause(queue, tenant, held=True))

    def resume(self, queue: str | None = None, tenant: str | None = None) -> None:
        """Let them start again."""
        self._ask(calls.pause(queue, tenant, held=False))

    def tenants(self) -> list[TenantInfo]:  # type: ignore[valid-type]
        """The tenants, by name."""
        return self._ask(calls.tenants())

    def set_limits(self, tenant: str, limits: Limits) -> None:
        """Give a tenant limits and a share of its own."""
        self._ask(calls.set_limits(tenant, limits))

    def stats(self, seconds: float) -> Stats:
        """The numbers of the last so many seconds and of now."""
        return self._ask(calls.stats(seconds))

    @cached_property
    def access(self) -> HttpAccess:
        """Keys, use and the audit log."""
        from gateway.remote.access import HttpAccess

        return HttpAccess(self._ask)

    @cached_property
    def schedules(self) -> HttpSchedules:
        """The schedules."""
        from gateway.remote.schedules import HttpSchedules

        return HttpSchedules(self._ask)

    @cached_property
    def webhooks(self) -> HttpWebhooks:
        """Who is told of what happens."""
        from gateway.remote.webhooks import HttpWebhooks

        return HttpWebhooks(self._ask)

    def close(self) -> None:
        """Close the connections."""
        if "_http" in self.__dict__:
            self._http.close()

    @cached_property
    def batches(self) -> HttpBatches:
        """Batches and the files they read and write."""
        from gateway.remote.batches import HttpBatches

        return HttpBatches(self.address, self._ask, lambda: self._http)

    @cached_property
    def _http(self) -> httpx.Client:
        import httpx

        return httpx.Client(**wire.options(self.address))

    def _ask(self, call: Call[T]) -> T:
        import tenacity

        for attempt in tenacity.Retrying(**self._patience.options(repeatable=call.repeatable)):
            with attempt:
                return self._send(call)
        raise AssertionError("tenacity gives up by raising")

    def _send(self, call: Call[T]) -> T:
        import httpx

        stream = call.open() if call.open is not None else None
        try:
            with stream or contextlib.nullcontext():
                answer = self._http.request(**wire.request(call), content=stream)
        except (httpx.HTTPError, RuntimeError) as broken:  # the second: closed meanwhile, by another thread
            raise wire.broken(self.address.base, broken) from broken
        self._patience.met()
        return answers.value(answer.status_code, answer.headers, answer.content, self.address.base, call.read)
