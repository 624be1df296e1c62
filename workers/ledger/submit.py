"""Taking a job: its id, its fingerprint, its size, and one script that writes it down or nothing."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from typing import Any

from pydantic_core import PydanticSerializationError

from workers.errors import JobInvalid, JobTooLarge
from workers.jobs import SINCE, Capability, Job, version_of
from workers.ledger import names, overview, registry
from workers.ledger.config import LedgerConfig
from workers.ledger.refusals import refusal
from workers.ledger.scripts import Scripts, redis_errors
from workers.payloads import INLINE_VERSION, REFERRED_VERSION, Payloads, attachments

_made = threading.Lock()
_last = 0
_UNKNOWN, _LONGEST = 10.0, 3600.0
"""Seconds to come back in: when the pace of the queue is not known, and at most."""


def new_id() -> str:
    """A UUIDv7 in hex. Ids of one process sort by the order they were made, also within a millisecond.

    Redis orders jobs of the same instant by id, so this is what keeps a quick submitter's jobs in line. The 12 bits
    behind the milliseconds hold their fraction (RFC 9562, 6.2, method 3), counted on where the clock stands still.
    """
    global _last
    with _made:
        _last = max(time.time_ns() * 4096 // 1_000_000, _last + 1)
        millis, fraction = divmod(_last, 4096)
    random = int.from_bytes(os.urandom(8)) & (1 << 62) - 1
    return f"{millis << 80 | 0x7 << 76 | fraction << 64 | 0x2 << 62 | random:032x}"


def submit(
    scripts: Scripts,
    config: LedgerConfig,
    job: Job,
    *,
    model: str,
    capability: Capability,
    job_id: str | None = None,
    payloads: Payloads | None = None,
) -> tuple[str, dict[str, str] | None]:
    """Write a job down and put it in line.

    Returns:
        Its id and its record's fields, as they are now; or the id of the same request made earlier, and None.

    Raises:
        JobInvalid: it holds what can't be written as JSON.
        JobTooLarge: above ``max_job_bytes``.
        IdempotencyConflict: the key (or ``job_id``) belongs to another request.
        QuotaExceeded: the tenant has as many jobs waiting as it may, or used its tokens or seconds of the day or month;
            ``details["retry_after"]`` is seconds.
        RateLimited: its key has as many jobs as it may, or used its tokens of this minute.
        RedisUnavailable: Redis does not answer; the job may or may not be taken, a key makes asking again safe.
        StorageFull: Redis or the content store takes no more; nothing was accepted.
        ContentUnavailable: the content store does not answer; nothing was accepted.
    """
    unused = {name for name in SINCE if getattr(job, name) == type(job).model_fields[name].default}
    try:
        # Trace and key stand beside the job: asking again for the same is the same request, whoever traces it, and with
        # whichever of its tenant's keys.
        payload = job.model_dump_json(exclude={*unused, "trace", "key"})
    except PydanticSerializationError as error:
        raise JobInvalid(
            "The job holds half a character (a lone surrogate), which is no text.",
            hint="Send text as UTF-8; in JSON, \\ud800 to \\udfff come in pairs only.",
        ) from error
    size = len(payload.encode())
    if size > config.max_job_bytes:
        raise JobTooLarge(
            f"The job is {size:,} bytes as JSON; the limit is {config.max_job_bytes:,}.",
            hint="Split its input, or raise PHIQ_MAX_JOB_BYTES.",
            size=size,
            limit=config.max_job_bytes,
        )
    key = job.idempotency_key or ""
    job_id = job_id or new_id()
    # Before the record: what it refers to is there from its first moment. If Redis then refuses, the sweep takes it.
    ref = payloads.put_away(payload, f"job {job_id}") if payloads is not None else ""
    fields: dict[str, str | int] = {
        "version": max(REFERRED_VERSION if ref else INLINE_VERSION, version_of(job)),
        "kind": job.kind,
        "lane": job.lane.value,
        "capability": capability.value,
        "model": model,
        "max_attempts": job.max_attempts,
        "ttl": _ms(config.result_ttl),
        "bound": config.stream_bytes,
        **({"job_ref": ref} if ref else {"job": payload}),
    }
    attached = attachments(job.kind, job.model_dump(include={"input"}))
    if attached and not ref:
        # For the sweep of the content store, which need not read the whole job then.
        fields["refs"] = ",".join(attached)
    if job.subject:
        fields["subject"] = job.subject
    if job.trace:
        fields["trace"] = job.trace
    if job.origin:
        fields["origin"] = job.origin
    if job.webhook:
        fields["webhook"] = job.webhook
    if job.key:
        fields["key"] = job.key
    if job.metadata:
        fields["metadata"] = json.dumps(job.metadata)
    flat = [part for pair in fields.items() for part in pair]
    queue = names.queue(capability, job.lane)
    outcome, known, *more = scripts.run(
        "submit",
        job_id,
        job.tenant,
        queue,
        key,
        hashlib.sha256(payload.encode()).hexdigest(),
        _ms(job.delay),
        "" if job.expires_in is None else _ms(job.expires_in),
        "" if job.deadline is None else _ms(job.deadline),
        config.tenant_queued,
        *flat,
    )
    if outcome == "same":
        return str(known), None
    if outcome != "made":
        after = _come_back(scripts, config, queue) if outcome == "quota" else 0.0
        raise refusal(outcome, job, known, more, after)
    times = dict(zip(("state", "submitted", "available", "expires", "deadline"), map(str, more), strict=True))
    record = {
        "id": job_id,
        "tenant": job.tenant,
        "job": payload,
        **{name: str(value) for name, value in fields.items()},
    }
    return job_id, record | {name: value for name, value in times.items() if value}


def _come_back(scripts: Scripts, config: LedgerConfig, queue: str) -> float:
    """Seconds until one more job of a tenant is likely to have started: all tenants with jobs have turns alike."""
    workers = registry.alive(scripts, config)
    found = next((info for info in overview.queues(scripts, workers) if info.name == queue), None)
    if found is None or not found.slots or found.pace is None:
        return _UNKNOWN
    with redis_errors():
        tenants: Any = scripts.client.zcard(scripts.key("turns", queue))
    return float(round(min(_LONGEST, max(1.0, found.pace * max(1, tenants) / found.slots)), 1))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
