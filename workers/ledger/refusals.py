"""Why a job was not taken, in words: what the script that takes jobs answered."""

from __future__ import annotations

from typing import Any

from knowledge.errors import PhiqError
from workers.access.principal import RateLimited
from workers.errors import IdempotencyConflict, QuotaExceeded
from workers.jobs import Job


def refusal(outcome: str, job: Job, known: Any, more: list[Any], after: float) -> PhiqError:
    """The error for an answer of the script.

    Args:
        outcome: Its first word.
        job: What was not taken.
        known: Its second.
        more: The rest.
        after: Seconds to come back in, where the script can't know.
    """
    if outcome == "quota":
        return QuotaExceeded(
            f"The tenant {job.tenant} has {known} jobs waiting; it may have {more[0]}. Nothing was accepted.",
            hint=f"Come back in {after:.0f} s, when some have started; `phiq tenants` shows all limits.",
            subject=job.tenant,
            limit=int(more[0]),
            queued=int(known),
            retry_after=after,
        )
    if outcome == "used":
        return _used_up(job.tenant, str(known), int(more[0]), int(more[1]) / 1000)
    if outcome in ("jobs", "tokens"):
        return _too_much(outcome, job.key or "", int(known), int(more[0]), int(more[1]) / 1000)
    key = job.idempotency_key or ""
    what = f"The idempotency key '{key}'" if key else f"The id {known}"
    return IdempotencyConflict(
        f"{what} was used before for a different request (job {known}).",
        hint="Use a new key for a new request; the same request with the same key gives the same job.",
        subject=key or known,
        job_id=known,
    )


def _used_up(tenant: str, what: str, most: int, after: float) -> QuotaExceeded:
    kind, period = what.split("_")
    unit = "tokens" if kind == "tokens" else "seconds of computing"
    return QuotaExceeded(
        f"The tenant {tenant} has used its {most:,} {unit} of this {period}. Nothing was accepted.",
        hint=f"Come back in {after:.0f} s (days and months are UTC), or have it raised: phiq tenants limit {tenant}",
        subject=tenant,
        quota=what,
        limit=most,
        retry_after=after,
    )


def _too_much(what: str, key: str, have: int, most: int, after: float) -> RateLimited:
    words = (
        f"The key {key} has {have} jobs that have not ended; it may have {most}"
        if what == "jobs"
        else f"The key {key} may use {most:,} tokens of models a minute, and has used them"
    )
    return RateLimited(
        f"{words}. Nothing was accepted.", hint=f"Come back in {after:g} s.", subject=key, limit=most, retry_after=after
    )
