"""The ledger: every step of a job's life behind one object."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from workers.errors import JobInvalid, MustRunAlone
from workers.jobs import RECORD_VERSION, Capability, Event, Job, JobRecord, State, Waiting, is_job_id
from workers.ledger import dispatch, ending, pages, reap, records, registry, submit, waiting
from workers.ledger.attempt import Attempt
from workers.ledger.config import LedgerConfig
from workers.ledger.events import Reader
from workers.ledger.letters import not_found
from workers.ledger.operations import Operations
from workers.ledger.pages import JobFilter, JobList
from workers.ledger.registry import WorkerInfo
from workers.ledger.scripts import Scripts, redis_errors
from workers.payloads import Payloads

if TYPE_CHECKING:
    import redis

_Records = list[JobRecord]
_Workers = list[WorkerInfo]  # inside the class `list` is the method


class Ledger(Operations):
    """Jobs in Redis.

    Args:
        client: As `workers.connections.redis_client` makes it; shared between threads.
        config: Times and sizes.
        payloads: Where large jobs and results go; None keeps all of them in Redis.

    Every method raises `RedisUnavailable` when Redis does not answer and `StorageFull` when it takes no more.
    """

    def __init__(
        self, client: redis.Redis, config: LedgerConfig | None = None, payloads: Payloads | None = None
    ) -> None:
        self.config = config or LedgerConfig()
        self.payloads = payloads
        self.scripts = Scripts(client, self.config.prefix)

    # For those who submit

    def submit(self, job: Job, *, model: str, capability: Capability, job_id: str | None = None) -> JobRecord:
        """Take a job; see `workers.ledger.submit.submit` for what it raises."""
        known, fields = submit.submit(
            self.scripts,
            self.config,
            job,
            model=model,
            capability=capability,
            job_id=job_id,
            payloads=self.payloads,
        )
        return self.get(known, job.tenant) if fields is None else records.to_record(fields)

    def get(self, job_id: str, tenant: str) -> JobRecord:
        """The whole record, contents and result included.

        Where those lie in the content store and can't be read, the record's ``missing`` says why.

        Raises:
            JobNotFound: no job of this tenant has the id.
        """
        fields: Any = {}
        if is_job_id(job_id):
            with redis_errors():
                fields = self.scripts.client.hgetall(self.scripts.key("job", job_id))
        if fields.get("tenant") != tenant or "id" not in fields:
            raise not_found(job_id)
        return records.to_record(self._whole(fields))

    def wait(self, job_id: str, tenant: str, timeout: float | None = None) -> JobRecord:
        """The whole record once the job has ended, or as it is after ``timeout`` seconds.

        Outages of Redis up to half a minute are waited out.

        Raises:
            JobNotFound: no job of this tenant has the id, or no longer.
        """

        def over(fields: dict[str, str]) -> bool:
            if fields.get("tenant") != tenant or "id" not in fields:
                raise not_found(job_id)
            return State(fields["state"]).final

        if not is_job_id(job_id):
            raise not_found(job_id)
        return records.to_record(self._whole(ending.await_end(self.scripts, job_id, timeout, over)))

    def list(
        self,
        tenant: str,
        states: Collection[State] | None = None,
        kind: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> _Records:
        """Jobs of a tenant, the latest first, without contents, results and attempts (``get`` has them).

        Args:
            tenant: Whose.
            states: Only these; None: all.
            kind: Only this kind.
            limit: At most this many.
            before: Only jobs submitted before the one with this id.

        Raises:
            JobNotFound: ``before`` is no job of this tenant.
        """
        wanted = JobFilter(states=frozenset(states or ()), kind=kind)
        return self.page(tenant, wanted, limit, before).jobs

    def page(
        self, tenant: str, wanted: JobFilter, limit: int, before: str | None = None, look: int | None = None
    ) -> JobList:
        """Jobs of a tenant that a filter leaves, in pages; see `workers.ledger.pages.page`."""
        return pages.page(self.scripts, tenant, wanted, limit, before, look)

    def cancel(self, job_id: str, tenant: str) -> JobRecord:
        """Cancel: a waiting job at once, a running one through its holder; an ended one stays as it is.

        Raises:
            JobNotFound: no job of this tenant has the id.
        """
        if not is_job_id(job_id) or self.scripts.run("cancel", job_id, tenant) is None:
            raise not_found(job_id)
        return self.get(job_id, tenant)

    def events(
        self, job_id: str, tenant: str, after: str = "0-0", follow: bool = True, timeout: float | None = None
    ) -> Iterator[Event]:
        """The job's events after ``after``; ends after the ``end`` event.

        Outages of Redis up to half a minute are waited out. Where entries were trimmed or rolled back, a
        ``snapshot`` takes their place.

        Args:
            job_id: Whose events.
            tenant: Whose job.
            after: The id of the last event seen.
            follow: Wait for more; False ends with what is there.
            timeout: Stop following after so many seconds.

        Raises:
            JobNotFound: no job of this tenant has the id.
            JobInvalid: ``after`` is not an event's id.
        """
        if not is_job_id(job_id):
            raise not_found(job_id)
        return Reader(self.scripts, job_id, tenant, after).read(follow, timeout, not_found(job_id))

    def waiting(self, job_id: str, tenant: str) -> Waiting:
        """Why a job has not started, and its place.

        Raises:
            JobNotFound: no job of this tenant has the id.
        """
        reply = self.scripts.run("waiting", job_id, tenant, self.config.tenant_running) if is_job_id(job_id) else None
        if reply is None:
            raise not_found(job_id)
        return waiting.explain(waiting.Facts.model_validate_json(reply), self.workers(), self.config)

    def workers(self) -> _Workers:
        """The workers that are alive."""
        return registry.alive(self.scripts, self.config)

    # For workers

    def claim(self, job_id: str, worker: str, alone: bool = False) -> Attempt | None:
        """Take a queued job with a lease; None when it is not to be had (taken, ended, paused, newer than us).

        Args:
            job_id: Which.
            worker: The name of the worker that will run it.
            alone: In a process with no other job, whose name is that of its worker and ``/alone-ID``.

        Raises:
            MustRunAlone: it is a suspect. It is kept for this worker for ``reservation`` seconds, and longer when
                that asks again; others get None meanwhile. Claim it with ``alone``, or give it up with `unreserve`.
        """
        if not is_job_id(job_id):
            return None
        owner = secrets.token_hex(8)
        lease, kept = round(self.config.lease * 1000), round(self.config.reservation * 1000)
        reply = self.scripts.run("claim", job_id, owner, worker, lease, RECORD_VERSION, int(alone), kept)
        if reply[0] == "alone":
            raise MustRunAlone(
                f"Workers died while they ran job {job_id}; it runs again in a process of its own.",
                hint="Nothing is to be done.",
                subject=job_id,
                model=reply[1],
            )
        if reply[0] != "ok":
            return None
        fields = self._whole(_pairs(reply[2]))
        if "job" not in fields and "missing" in fields:
            self._give_up(job_id, reply[1], fields["missing"])
            return None
        points, text, ids = _pairs(reply[3]), reply[4], reply[5]
        try:
            return Attempt(self.scripts, self.config, reply[1], fields, points, text, ids, self.payloads)
        except JobInvalid as error:
            # Written past our front doors. Held but never run, it would cost every worker that meets it a lease.
            self._give_up(job_id, reply[1], json.dumps(error.to_dict(), default=str))
            return None

    def unreserve(self, job_id: str, worker: str) -> None:
        """Give up a suspect that was kept for this worker, so that another may have it at once."""
        if is_job_id(job_id):
            self.scripts.run("unreserve", job_id, worker)

    def dispatch(self, send: dispatch.Send | None = None, workers: _Workers | None = None) -> int:
        """Hand jobs to the broker up to the window; ``send(queue, job_id)`` puts one message, else it is done here."""
        return dispatch.dispatch(self.scripts, self.config, self.workers() if workers is None else workers, send)

    def reap(self) -> reap.Reaped:
        """One round of looking after delayed, expired, lost and old jobs."""
        return reap.reap(self.scripts, self.config)

    def heartbeat(self, info: WorkerInfo) -> None:
        """Say that a worker lives."""
        registry.heartbeat(self.scripts, self.config, info)

    def leave(self, name: str) -> None:
        """Take a worker off the list."""
        registry.leave(self.scripts, name)

    def _whole(self, fields: dict[str, str]) -> dict[str, str]:
        """The fields with job and result from the content store; ``missing`` is the error where that fails."""
        return fields if self.payloads is None else self.payloads.whole(fields)

    def _give_up(self, job_id: str, token: str, error: str) -> None:
        """End an attempt whose job can't be read: for good when it is gone, else it is tried again."""
        transient = int(bool(json.loads(error)["transient"]))
        delay = round(self.config.retry_base * 1000)
        args = (secrets.token_hex(16), "failed", error, transient, delay, "", "", round(self.config.dead_ttl * 1000))
        self.scripts.run("settle", job_id, token, *args)


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
