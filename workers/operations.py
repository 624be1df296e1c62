"""What operators ask of the service: dead letters, pauses, limits, and the view of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.jobs import JobRecord

if TYPE_CHECKING:
    from workers.access.access import Access
    from workers.ledger import Ledger, Limits, QueueInfo, TenantInfo
    from workers.sight.stats import Stats


class Operations:
    """The operators' half of `Service`. Methods that take a tenant use the settings' when none is given."""

    ledger: Ledger

    @property
    def access(self) -> Access:
        """Keys, limits and the audit log."""
        raise NotImplementedError

    def _tenant(self, tenant: str | None) -> str:
        raise NotImplementedError

    def dead(
        self,
        tenant: str | None = None,
        kind: str | None = None,
        model: str | None = None,
        code: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[JobRecord]:
        """Dead letters, the latest death first; ``before`` pages on from a job's id; see `Ledger.dead`."""
        return self.ledger.dead(self._tenant(tenant), kind, model, code, limit, before)

    def replay(self, job_id: str, tenant: str | None = None) -> JobRecord:
        """Run a job again that died, failed, expired or was cancelled.

        Raises:
            NotReplayable: it has not ended, or has succeeded.
        """
        record = self.ledger.replay(job_id, self._tenant(tenant))
        self.access.audit.did("job.replay", f"job {job_id}", tenant=record.tenant)
        return record

    def drop(self, job_id: str, tenant: str | None = None) -> None:
        """Delete a dead letter and all it left."""
        self.ledger.drop(job_id, self._tenant(tenant))
        self.access.audit.did("job.drop", f"job {job_id}", tenant=self._tenant(tenant))

    def pause(self, queue: str | None = None, tenant: str | None = None) -> None:
        """Let no job of a queue (``generate.batch``) or of a tenant start; those that run go on.

        Raises:
            QueueUnknown: none is named, or one that can't be.
        """
        self.ledger.pause(queue, tenant)
        self.access.audit.did("pause", _what(queue, tenant), tenant=tenant or "")

    def resume(self, queue: str | None = None, tenant: str | None = None) -> None:
        """Let them start again.

        Raises:
            QueueUnknown: none is named, or one that can't be.
        """
        self.ledger.resume(queue, tenant)
        self.access.audit.did("resume", _what(queue, tenant), tenant=tenant or "")

    def paused(self) -> list[str]:
        """What is paused: queues, and tenants as ``tenant:NAME``."""
        return self.ledger.paused()

    def set_limits(self, tenant: str, limits: Limits) -> None:
        """Give a tenant limits and a share of its own, all at once; None: as the settings say.

        Raises:
            QueueUnknown: the tenant's name can't be one.
        """
        self.ledger.set_limits(tenant, limits)
        given = " ".join(f"{name}={most:g}" for name, most in limits.model_dump(exclude_none=True).items())
        self.access.audit.did("tenant.limit", f"tenant {tenant}: {given or 'as the settings say'}", tenant=tenant)

    def tenants(self) -> list[TenantInfo]:
        """The tenants with jobs or limits of their own, by name."""
        return self.ledger.tenants()

    def stats(self, seconds: float) -> Stats:
        """The numbers of the last so many seconds, in whole hours (eight days at most), and of now; of all tenants."""
        from workers.sight.stats import stats

        return stats(self.ledger, seconds)

    def queues(self) -> list[QueueInfo]:
        """The queues, by name: what waits and runs, who serves them."""
        return self.ledger.queues()


def _what(queue: str | None, tenant: str | None) -> str:
    return ", ".join(part for part in (f"queue {queue}" if queue else "", f"tenant {tenant}" if tenant else "") if part)
