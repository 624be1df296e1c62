"""Jobs that have ended: dead letters, running them again, and deleting what a job left."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from workers.errors import JobNotFound, NotReplayable
from workers.jobs import RECORD_VERSION, JobRecord, State, is_job_id
from workers.ledger import records
from workers.ledger.scripts import Scripts, redis_errors

_AT_ONCE = 200


def dead(
    scripts: Scripts,
    tenant: str | None,
    kind: str | None = None,
    model: str | None = None,
    code: str | None = None,
    limit: int = 50,
    before: str | None = None,
) -> list[JobRecord]:
    """Dead letters, the latest death first, without contents and attempts.

    Raises:
        JobNotFound: ``before`` is no dead letter of the tenant.
    """
    index = scripts.key("dead") if tenant is None else scripts.key("dead", tenant)
    found: list[JobRecord] = []
    with redis_errors():
        start = 0
        if before is not None:
            start = _place(scripts, index, tenant, before) + 1
        while len(found) < limit:
            entries: Any = scripts.client.zrevrange(index, start, start + _AT_ONCE - 1)
            if not entries:
                break
            start += len(entries)
            for fields in read_light(scripts, [str(entry).rpartition(" ")[2] for entry in entries]):
                if fields["id"] is None or fields["state"] != State.DEAD:
                    continue
                record = records.to_record(fields)
                if (
                    kind in (None, record.kind)
                    and model in (None, record.model)
                    and code in (None, (record.error or {}).get("code"))
                ):
                    found.append(record)
    return found[:limit]


def read_light(scripts: Scripts, ids: list[str]) -> list[dict[str, Any]]:
    """The fields of some records that lists show, in one go; all None where a job is gone."""
    pipe = scripts.client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hmget(scripts.key("job", job_id), records.LIGHT)
    return [dict(zip(records.LIGHT, values, strict=True)) for values in pipe.execute()]


def replay(scripts: Scripts, job_id: str, tenant: str) -> None:
    """Put an ended job back in line.

    Raises:
        JobNotFound: no job of this tenant has the id.
        NotReplayable: it has not ended, or has succeeded.
    """
    reply = scripts.run("replay", job_id, tenant, uuid.uuid4().hex, RECORD_VERSION) if is_job_id(job_id) else None
    if reply is None:
        raise not_found(job_id)
    if reply[0] != "1":
        raise NotReplayable(
            f"Job {job_id} is {reply[1]}; only what died, failed, expired or was cancelled runs again.",
            hint=f"phiq jobs show {job_id}",
            subject=job_id,
            state=reply[1],
        )


def forget(scripts: Scripts, job_id: str, tenant: str, only: State | None = None) -> bool:
    """Delete a job and all it left; returns whether there was one (in the state ``only``, when given)."""
    if not is_job_id(job_id):
        return False
    return bool(scripts.run("forget", job_id, tenant, uuid.uuid4().hex, only.value if only else ""))


def ids(scripts: Scripts, tenant: str, subject: str | None = None) -> Iterator[str]:
    """The ids of a tenant's jobs, the oldest first; with ``subject`` only those about it.

    There is no index of subjects: asking is rare, and an index that misses one is worse than a slow answer.
    """
    index = scripts.key("jobs", tenant)
    with redis_errors():
        found: list[Any] = scripts.client.zrange(index, 0, -1)
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        with redis_errors():
            pipe = scripts.client.pipeline(transaction=False)
            for job_id in some:
                pipe.hmget(scripts.key("job", job_id), ["id", "subject"])
            read = pipe.execute()
        for job_id, (there, about) in zip(some, read, strict=True):
            if there is not None and (subject is None or about == subject):
                yield job_id


def not_found(job_id: str) -> JobNotFound:
    """The error for an id that is no job of the tenant's."""
    return JobNotFound(f"There is no job {job_id[:64]}, or it has expired.", hint="phiq jobs", subject=job_id[:64])


def _place(scripts: Scripts, index: str, tenant: str | None, before: str) -> int:
    """Where a dead letter lies, counted from the latest one."""
    entry: Any = before
    if tenant is None and is_job_id(before):
        whose: Any = scripts.client.hget(scripts.key("job", before), "tenant")
        entry = f"{whose} {before}"
    place: Any = scripts.client.zrevrank(index, entry)
    if place is None:
        raise JobNotFound(f"There is no dead letter {before[:64]}.", hint="phiq dead list", subject=before[:64])
    return int(place)
