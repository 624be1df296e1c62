"""What operators do with the ledger: dead letters, pauses, limits, erasing, and the view of the whole."""

from __future__ import annotations

from collections.abc import Iterator

from workers.errors import JobNotFound
from workers.jobs import JobRecord, State
from workers.ledger import control, letters, overview, registry
from workers.ledger.config import LedgerConfig
from workers.ledger.overview import Limits, QueueInfo, TenantInfo
from workers.ledger.registry import WorkerInfo
from workers.ledger.scripts import Scripts


class Operations:
    """The operators' half of `Ledger`."""

    scripts: Scripts
    config: LedgerConfig

    def get(self, job_id: str, tenant: str) -> JobRecord:
        """The whole record."""
        raise NotImplementedError

    def dead(
        self,
        tenant: str | None,
        kind: str | None = None,
        model: str | None = None,
        code: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[JobRecord]:
        """Dead letters, the latest death first, without contents, results and attempts (``get`` has them).

        Args:
            tenant: Whose; None: everybody's.
            kind: Only this kind.
            model: Only this engine URI.
            code: Only those with this error code, such as ``poison``.
            limit: At most this many.
            before: Only those that died before the one with this id.

        Raises:
            JobNotFound: ``before`` is no dead letter of the tenant.
        """
        return letters.dead(self.scripts, tenant, kind, model, code, limit, before)

    def replay(self, job_id: str, tenant: str) -> JobRecord:
        """Run a job again that died, failed, expired or was cancelled, under its id and with its history.

        It is as if it were submitted anew: all attempts, its limits of time from now on, no limit of the tenant's.

        Raises:
            JobNotFound: no job of this tenant has the id.
            NotReplayable: it has not ended, or has succeeded.
        """
        letters.replay(self.scripts, job_id, tenant)
        return self.get(job_id, tenant)

    def drop(self, job_id: str, tenant: str) -> None:
        """Delete a dead letter and all it left.

        Raises:
            JobNotFound: no dead letter of this tenant has the id.
        """
        if not letters.forget(self.scripts, job_id, tenant, State.DEAD):
            raise JobNotFound(f"There is no dead letter {job_id[:64]}.", hint="phiq dead list", subject=job_id[:64])

    def forget(self, job_id: str, tenant: str) -> bool:
        """Delete a job and all it left in Redis, whatever its state; returns whether there was one.

        A worker that runs it is refused with its next write and stops.
        """
        return letters.forget(self.scripts, job_id, tenant)

    def ids(self, tenant: str, subject: str | None = None) -> Iterator[str]:
        """The ids of a tenant's jobs, the oldest first; with ``subject`` only those about it."""
        return letters.ids(self.scripts, tenant, subject)

    def pause(self, queue: str | None = None, tenant: str | None = None) -> None:
        """Let no job of a queue (``generate.batch``) or tenant start; those that run go on.

        Raises:
            QueueUnknown: none is named, or one that can't be.
        """
        control.hold(self.scripts, True, queue, tenant)

    def resume(self, queue: str | None = None, tenant: str | None = None) -> None:
        """Let them start again.

        Raises:
            QueueUnknown: none is named, or one that can't be.
        """
        control.hold(self.scripts, False, queue, tenant)

    def paused(self) -> list[str]:
        """What is paused: queues, and tenants as ``tenant:NAME``."""
        return control.paused(self.scripts)

    def set_limits(self, tenant: str, limits: Limits) -> None:
        """Give a tenant limits and a share of its own, all at once; None: as the settings say.

        Raises:
            QueueUnknown: the tenant's name can't be one.
        """
        control.set_limits(self.scripts, tenant, limits)

    def tenants(self) -> list[TenantInfo]:
        """The tenants with jobs or limits of their own, by name."""
        return overview.tenants(self.scripts)

    def queues(self, workers: list[WorkerInfo] | None = None) -> list[QueueInfo]:
        """The queues, by name; ``workers`` when they have been read already."""
        if workers is None:
            workers = registry.alive(self.scripts, self.config)
        return overview.queues(self.scripts, workers)

    def once(self, name: str, instant: str, ttl: float) -> bool:
        """True for exactly one caller for each name and instant; remembered for ``ttl`` seconds."""
        return control.once(self.scripts, name, instant, ttl)
