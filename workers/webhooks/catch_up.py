"""Looks through the records for jobs whose end was not told.

The outbox is bounded, and a Redis that is set back to an earlier state may have lost a part of it, or the deliveries
made from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workers.jobs import State
from workers.ledger.scripts import redis_errors
from workers.outbox import Ended
from workers.webhooks import endpoints
from workers.webhooks.events import delivery_of, job_ended, wanting
from workers.webhooks.records import Endpoint

if TYPE_CHECKING:
    from workers.ledger import Ledger

_FIELDS = ("id", "state", "finished", "started", "kind", "model", "origin", "webhook", "key")
_FROM, _UNTIL = 3600.0, 60.0
"""Seconds ago that a job ended which is looked at: not those that are being told just now."""
_MOST, _AT_ONCE = 2000, 500


def catch_up(ledger: Ledger) -> int:
    """Make the deliveries of the last hour that are missing; returns how many.

    Of each tenant that has endpoints the latest two thousand jobs are looked at.
    """
    client: Any = ledger.scripts.client
    made = 0
    with redis_errors():
        tenants = client.smembers(ledger.scripts.key("webhook", "tenants"))
        seconds, _ = client.time()
    for tenant in tenants:
        known = endpoints.read(ledger, tenant)
        with redis_errors():
            ids = client.zrevrange(ledger.scripts.key("jobs", tenant), 0, _MOST - 1) if known else []
        for start in range(0, len(ids), _AT_ONCE):
            ended = _ended(ledger, tenant, ids[start : start + _AT_ONCE], seconds)
            made += sum(job_ended(ledger, one, some) for one, some in _untold(ledger, ended, known))
    return made


def _ended(ledger: Ledger, tenant: str, ids: list[str], now: float) -> list[Ended]:
    pipe: Any = ledger.scripts.client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hmget(ledger.scripts.key("job", job_id), _FIELDS)
    with redis_errors():
        read = [dict(zip(_FIELDS, values, strict=True)) for values in pipe.execute()]
    return [
        Ended(
            id=one["id"],
            tenant=tenant,
            state=State(one["state"]),
            kind=one["kind"],
            model=one["model"] or "",
            origin=one["origin"] or "",
            webhook=one["webhook"] or "",
            key=one["key"] or "",
            prompt_tokens=0,
            completion_tokens=0,
            seconds=(int(one["finished"]) - int(one["started"] or one["finished"])) / 1000,
            at=int(one["finished"]),
        )
        for one in read
        if one["id"] and one["finished"] and now - _FROM < int(one["finished"]) / 1000 < now - _UNTIL
    ]


def _untold(ledger: Ledger, ended: list[Ended], known: list[Endpoint]) -> list[tuple[Ended, list[Endpoint]]]:
    """Each with the endpoints that have no delivery of it; not those that came after its end."""
    pairs = [
        (one, endpoint)
        for one in ended
        for endpoint in wanting(one, known)
        if endpoint.created_at.timestamp() * 1000 < one.at
    ]
    pipe: Any = ledger.scripts.client.pipeline(transaction=False)
    for one, endpoint in pairs:
        pipe.exists(ledger.scripts.key("webhook", "delivery", delivery_of(one, endpoint)))
    with redis_errors():
        there = pipe.execute() if pairs else []
    return [(one, [endpoint]) for (one, endpoint), found in zip(pairs, there, strict=True) if not found]
