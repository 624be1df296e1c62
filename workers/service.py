"""The service as the command line and the client see it: submit, follow, cancel, ask why."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from agents.contract import Attachment
from workers.access.stamp import asking, stamped
from workers.connections import default_model, redis_client
from workers.errors import ContentMissing, JobInvalid
from workers.jobs import Event, Job, JobRecord, State, Waiting, capability, is_job_id
from workers.ledger import Ledger, LedgerConfig, WorkerInfo
from workers.ledger.letters import not_found
from workers.ledger.pages import JobFilter, JobList
from workers.ledger.scripts import redis_errors
from workers.operations import Operations
from workers.payloads import Payloads
from workers.settings import Settings
from workers.sight import tracing
from workers.sight.about import note

if TYPE_CHECKING:
    from workers.access.access import Access
    from workers.batches.store import Batches
    from workers.content import ContentStore
    from workers.documents import Documents
    from workers.engines.registry import Registry
    from workers.schedules import Schedules
    from workers.uploads import Uploads
    from workers.webhooks import Webhooks

_Workers = list[WorkerInfo]
_Records = list[JobRecord]  # inside the class `list` is the method

_NO_MODEL = ("embed", "search", "ingest")
"""Kinds that no engine runs."""


def ledger_config(settings: Settings) -> LedgerConfig:
    """The ledger's part of the settings."""
    return LedgerConfig(
        prefix=settings.key_prefix,
        lease=settings.lease_seconds,
        result_ttl=settings.result_ttl,
        stream_bytes=settings.stream_bytes,
        max_job_bytes=settings.max_job_bytes,
        max_silence=max(600.0, 2 * settings.engine_timeout),
        dead_ttl=settings.dead_ttl,
        tenant_queued=settings.tenant_queued,
        tenant_running=settings.tenant_running,
        interactive_slots=settings.interactive_slots,
    )


class Service(Operations):
    """Jobs, over the Redis that the settings name. Safe between threads.

    Methods that take a tenant use the settings' when none is given. All raise `RedisUnavailable` when Redis does
    not answer and `StorageFull` when it takes no more; those with an id raise `JobNotFound`.
    """

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self.settings = settings
        self.ledger = ledger

    @classmethod
    def connect(cls, settings: Settings) -> Service:
        """A service; nothing is sent before the first call.

        Raises:
            NotRunning: no Redis is set and none runs with this data folder.
        """
        return cls(settings, Ledger(redis_client(settings), ledger_config(settings), Payloads.of(settings)))

    def submit(self, job: Job, *, job_id: str | None = None) -> JobRecord:
        """Check a job and put it in line. Workers are told at once; nothing else need run for it to be kept.

        Args:
            job: The job; where it names no tenant or model, the settings' are meant; see also `default_model`.
            job_id: An id of the caller's own making (32 hex digits), with which asking twice is one job.

        Raises:
            EngineUnknown, EngineRefused: the model can't be meant, or a setting forbids it.
            JobInvalid: `job_id` is none.
            JobTooLarge: Above the limit.
            IdempotencyConflict: The key was used for another request.
            QuotaExceeded, RateLimited: The tenant or the key has had its share; the details say when to come back.
            ScopeMissing, CollectionNotFound: The key that asks may not submit such a job.
            WebhookNotFound: The tenant has no endpoint of the name that the job gives.
        """
        if job_id is not None and not is_job_id(job_id):
            raise JobInvalid(f"'{job_id[:40]}' is not a job's id.", hint="Use 32 lower-case hex digits.")
        job = stamped(job)
        if "tenant" not in job.model_fields_set:
            job = job.model_copy(update={"tenant": self.settings.tenant})
        model = "extractive" if job.kind in _NO_MODEL else job.model or default_model(self.settings)
        route = self._registry.check_route(model)
        if len(route) > 1 and job.kind not in _NO_MODEL:
            # In the job too, so that its record says which version of phiq can run it.
            model = ",".join(map(str, route))
            job = job.model_copy(update={"model": model})
        if job.webhook is not None:
            self.webhooks.get(job.tenant, job.webhook)
        facts = {"phiq.job.kind": job.kind, "phiq.job.model": model, "phiq.tenant": job.tenant}
        with tracing.span("submit", "producer", job.trace, facts) as span:
            if span.traceparent:
                job = job.model_copy(update={"trace": span.traceparent})
            record = self.ledger.submit(job, model=model, capability=capability(job, str(route[0])), job_id=job_id)
            span.set({"phiq.job.id": record.id})
            note(job=record.id)
            return record

    def get(self, job_id: str, tenant: str | None = None) -> JobRecord:
        """The whole record, contents and result included."""
        return self.ledger.get(job_id, self._tenant(tenant))

    def kept(self, job_id: str, ref: str, tenant: str | None = None) -> bytes:
        """A file that a job's result refers to, such as a masked picture.

        Raises:
            ContentMissing: its result refers to no such file, or it is gone from the content store.
        """
        result = self.get(job_id, tenant).parsed_result()
        if result is None or ref not in result.kept():
            raise ContentMissing(
                f"The result of job {job_id} has no file {ref[:80]}.",
                hint=f"See what it has: phiq jobs show {job_id} --json",
                subject=job_id,
            )
        return self._content.get(ref)

    def list(
        self,
        tenant: str | None = None,
        states: Collection[State] | None = None,
        kind: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> _Records:
        """Jobs, the latest first, without contents and results; ``before`` pages on from a job's id."""
        return self.ledger.list(self._tenant(tenant), states, kind, limit, before)

    def page(
        self,
        wanted: JobFilter,
        tenant: str | None = None,
        limit: int = 50,
        before: str | None = None,
        look: int | None = None,
    ) -> JobList:
        """Jobs that a filter leaves, the latest first, in pages; see `workers.ledger.pages.page`."""
        return self.ledger.page(self._tenant(tenant), wanted, limit, before, look)

    def cancel(self, job_id: str, tenant: str | None = None) -> JobRecord:
        """Cancel: a waiting job at once, a running one within a step of its engine."""
        record = self.ledger.cancel(job_id, self._tenant(tenant))
        who = asking.get()
        if who is not None and who.key_id != record.key:
            self.access.audit.did("job.cancel", f"job {job_id}", tenant=record.tenant)
        return record

    def check_key(self, job_id: str, tenant: str | None = None, key: str | None = None) -> None:
        """Nothing when a job was submitted with this key (None: without one); its contents are not read."""
        scripts = self.ledger.scripts
        with redis_errors():
            found: Any = scripts.client.hmget(scripts.key("job", job_id), ["tenant", "key"])
        if not is_job_id(job_id) or found != [self._tenant(tenant), key]:
            raise not_found(job_id)

    def events(
        self,
        job_id: str,
        tenant: str | None = None,
        after: str = "0-0",
        follow: bool = True,
        timeout: float | None = None,
    ) -> Iterator[Event]:
        """The job's events after ``after``, up to ``end``; see `Ledger.events`."""
        return self.ledger.events(job_id, self._tenant(tenant), after, follow, timeout)

    def waiting(self, job_id: str, tenant: str | None = None) -> Waiting:
        """Why a job has not started, and its place in line."""
        return self.ledger.waiting(job_id, self._tenant(tenant))

    def wait(self, job_id: str, timeout: float | None = None, tenant: str | None = None) -> JobRecord:
        """The record once the job has ended, or as it is after ``timeout`` seconds."""
        return self.ledger.wait(job_id, self._tenant(tenant), timeout)

    def workers(self) -> _Workers:
        """The workers that are alive."""
        return self.ledger.workers()

    def attach(self, file: Path | tuple[str, bytes]) -> Attachment:
        """Put a file, or a name and its bytes, into the content store; the job carries the reference.

        Raises:
            DocumentUnreadable: the file is missing or may not be read.
            JobTooLarge: Above the limit.
            StorageFull: no room.
        """
        if isinstance(file, tuple):
            name, data = file
            return self._content.put(data, name)
        return self._content.put_file(file)

    def attach_stream(self, name: str, stream: IO[bytes]) -> Attachment:
        """Put a stream, read to its end, into the content store; see `attach`."""
        return self._content.put(stream, name)

    def close(self) -> None:
        """Close the connections."""
        self.ledger.scripts.client.close()
        if "documents" in self.__dict__:
            self.documents.close()

    @cached_property
    def uploads(self) -> Uploads:
        """Who uploaded what over HTTP."""
        from workers.uploads import Uploads

        return Uploads(self.ledger)

    @cached_property
    def documents(self) -> Documents:
        """What lies in the collections."""
        from workers.documents import Documents

        return Documents(self.ledger, self.settings)

    def _tenant(self, tenant: str | None) -> str:
        return self.settings.tenant if tenant is None else tenant

    @cached_property
    def batches(self) -> Batches:
        """Batches and the files they read and write."""
        from workers.batches.store import Batches

        return Batches(self.ledger, self.settings)

    @cached_property
    def schedules(self) -> Schedules:
        """The schedules."""
        from workers.schedules import Schedules

        return Schedules(self)

    @cached_property
    def webhooks(self) -> Webhooks:
        """Who is told of what happens."""
        from workers.webhooks import Webhooks

        return Webhooks(self.ledger, self.settings)

    @cached_property
    def access(self) -> Access:
        """Keys, limits and the audit log."""
        from workers.access.access import Access

        return Access(self.ledger.scripts.client, self.settings.key_prefix)

    @cached_property
    def _registry(self) -> Registry:
        from workers.engines.registry import Registry

        return Registry(self.settings)

    @cached_property
    def _content(self) -> ContentStore:
        from workers.content import open_content

        return open_content(self.settings)
