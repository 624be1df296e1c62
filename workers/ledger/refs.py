"""What the records refer to in the content store: the mark of mark and sweep."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from workers.ledger.scripts import Scripts, redis_errors
from workers.payloads import Payloads

_FIELDS = ("id", "kind", "refs", "kept", "job_ref", "result_ref")
_AT_ONCE = 500

# A deletion before the write, so that a Redis at its memory limit takes it.
_NAME = "redis.call('DEL', KEYS[2]) redis.call('SET', KEYS[1], ARGV[1], 'NX') return redis.call('GET', KEYS[1])"


def marked(scripts: Scripts, payloads: Payloads, beside: frozenset[str] = frozenset()) -> set[str]:
    """Every reference of every record there is, whatever its state, and of batches, their files, and schedules.

    A record that is written while this runs may be missed; what it refers to was put into the store moments ago.

    Args:
        scripts: The ledger's.
        payloads: Reads jobs that were put away.
        beside: Ids of jobs, batches and files to leave out.
    """
    from workers.batches.refs import batch_refs
    from workers.schedules.refs import schedule_refs

    found = batch_refs(scripts, beside) | schedule_refs(scripts)
    for fields in _records(scripts):
        if fields["id"] is not None and fields["id"] not in beside:
            found |= payloads.attached(fields)
    return found


def of_job(scripts: Scripts, payloads: Payloads, job_id: str) -> set[str]:
    """The references of one job; none when it is gone."""
    with redis_errors():
        values: Any = scripts.client.hmget(scripts.key("job", job_id), list(_FIELDS))
    return payloads.attached(dict(zip(_FIELDS, values, strict=True)))


def installation(scripts: Scripts) -> str:
    """The name of this ledger, made at the first call: no other has it, and a restored backup keeps it."""
    client: Any = scripts.client
    with redis_errors():
        return str(client.eval(_NAME, 2, scripts.key("installation"), scripts.key("nothing"), uuid.uuid4().hex))


def _records(scripts: Scripts) -> Iterator[dict[str, Any]]:
    client = scripts.client
    keys: list[str] = []
    with redis_errors():
        for key in client.scan_iter(match=scripts.key("job", "*"), count=_AT_ONCE, _type="HASH"):
            keys.append(key)
            if len(keys) >= _AT_ONCE:
                yield from _read(client, keys)
                keys = []
        if keys:
            yield from _read(client, keys)


def _read(client: Any, keys: list[str]) -> Iterator[dict[str, Any]]:
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.hmget(key, list(_FIELDS))
    for values in pipe.execute():
        yield dict(zip(_FIELDS, values, strict=True))
