"""What schedules refer to in the content store: attachments of their jobs, which no job may refer to yet."""

from __future__ import annotations

from workers.ledger.scripts import Scripts, redis_errors
from workers.payloads import attachments
from workers.schedules.records import Schedule

_AT_ONCE = 500


def attached(schedule: Schedule) -> list[str]:
    """The references of a schedule's job."""
    job = schedule.spec.job
    return [] if job is None else [*attachments(str(job.get("kind")), job)]


def schedule_refs(scripts: Scripts) -> set[str]:
    """The references of all schedules, those of newer versions too."""
    found: set[str] = set()
    with redis_errors():
        for key in scripts.client.scan_iter(match=scripts.key("schedule", "record", "*"), count=_AT_ONCE, _type="HASH"):
            refs: str | None = scripts.client.hget(key, "refs")  # type: ignore[assignment]  # this client is no async one
            found |= {ref for ref in (refs or "").split(",") if ref}
    return found
