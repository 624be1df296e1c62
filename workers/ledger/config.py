"""What the ledger can be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LedgerConfig:
    """Times are seconds, sizes bytes.

    Args:
        prefix: Before every key; installations with different prefixes share a Redis without meeting.
        lease: A holder that is silent this long loses its job.
        result_ttl: How long a finished job and its stream are kept.
        stream_bytes: About how large one job's stream may grow; the older half goes when it is reached.
        checkpoint_bytes: How much of a job's finished parts and token ids is kept, in characters.
        max_job_bytes: The largest job taken, as JSON.
        resend_after: A message that left the broker and was not claimed for this long is sent again.
        worker_ttl: A worker that has not been seen for this long counts as gone.
        retry_base: The delay before the second attempt; it doubles with each further one, up to ``retry_cap``.
        flush: How long text is collected before it is written.
        max_silence: A job that shows no sign of life for this long has its lease given up.
        dead_ttl: How long a dead letter is kept.
        tenant_queued: Jobs a tenant may have waiting, when it has no limit of its own; 0: no limit.
        tenant_running: Jobs a tenant may have running, likewise.
        interactive_slots: Slots of a capability that batch jobs leave free, but never all of them.
        reservation: A suspect is kept this long for the worker that must run it alone.
    """

    prefix: str = "phiq"
    lease: float = 9.0
    result_ttl: float = 7 * 86400.0
    stream_bytes: int = 4_000_000
    checkpoint_bytes: int = 4_000_000
    max_job_bytes: int = 8_000_000
    resend_after: float = 5.0
    worker_ttl: float = 10.0
    retry_base: float = 1.0
    retry_cap: float = 60.0
    flush: float = 0.04
    max_silence: float = 600.0
    dead_ttl: float = 30 * 86400.0
    tenant_queued: int = 0
    tenant_running: int = 0
    interactive_slots: int = 1
    reservation: float = 60.0
