"""Says that something happened: a delivery for each endpoint that wants to know."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workers.outbox import Ended
from workers.webhooks import endpoints
from workers.webhooks.records import TYPE, Endpoint

if TYPE_CHECKING:
    from workers.ledger import Ledger

MOST_DELIVERIES = 20_000
"""Of a tenant that are remembered; over it the oldest are forgotten, sent or not."""


def emit(
    ledger: Ledger,
    tenant: str,
    kind: str,
    key: str,
    data: Mapping[str, Any],
    *,
    origin: str = "",
    only: str | None = None,
) -> int:
    """Tell a tenant's endpoints of an event; it is sent by some worker, at least once, under one webhook-id.

    Args:
        ledger: Of the installation.
        tenant: Whose event; nobody else's endpoints learn of it.
        kind: The event's type: ``batch.completed``, ``schedule.fired``.
        key: What tells this event from all others of its type: said again with the same key, it is told once (as long
            as the first telling is remembered, three days at least).
        data: Ids, states, counts and links; small, and never contents.
        origin: What it came from (``schedule/NAME/INSTANT``), for endpoints that filter by it.
        only: The one endpoint that is meant, whatever it filters; unknown: nobody is told.

    Returns:
        How many deliveries were made by this call.

    Raises:
        RedisUnavailable, StorageFull: say it again.
    """
    assert TYPE.fullmatch(kind), kind
    if only is not None:
        wanted = [one for one in endpoints.read(ledger, tenant, [only]) if one.wants(kind)]
    else:
        wanted = [
            one for one in endpoints.read(ledger, tenant) if one.wants(kind) and _under(one.filters.origin, origin)
        ]
    return put(ledger, tenant, kind, key, data, wanted)


def job_ended(ledger: Ledger, ended: Ended, known: list[Endpoint]) -> int:
    """Tell of a job's end; ``known`` are the tenant's endpoints. Also says how many deliveries were made."""
    wanted = wanting(ended, known)
    data: dict[str, Any] = {
        "id": ended.id,
        "kind": ended.kind,
        "state": ended.state.value,
        "model": ended.model,
        "seconds": ended.seconds,
        "usage": {"prompt_tokens": ended.prompt_tokens, "completion_tokens": ended.completion_tokens},
        "links": {"self": f"/v1/jobs/{ended.id}"},
    }
    if ended.origin:
        data["origin"] = ended.origin
    return put(ledger, ended.tenant, *_named(ended), data, wanted, job=ended.id)


def wanting(ended: Ended, known: Iterable[Endpoint]) -> list[Endpoint]:
    """The endpoints that want to know of a job's end."""
    return [one for one in known if one.wants(f"job.{ended.state.value}") and _meant(one, ended)]


def delivery_of(ended: Ended, endpoint: Endpoint) -> str:
    """The id of the delivery of a job's end to an endpoint."""
    return delivery_id(ended.tenant, *_named(ended), endpoint)


def put(
    ledger: Ledger, tenant: str, kind: str, key: str, data: Mapping[str, Any], wanted: Iterable[Endpoint], job: str = ""
) -> int:
    """Make the deliveries."""
    message = _message(tenant, kind, key)
    targets: list[str] = []
    for one in wanted:
        targets += [one.name, _delivery(message, one), "the endpoint is disabled" if one.disabled_at else ""]
    if not targets:
        return 0
    kept = round(ledger.config.dead_ttl * 1000)
    fixed = (tenant, message, kind, json.dumps(data, separators=(",", ":")), job, MOST_DELIVERIES, kept)
    return int(ledger.scripts.run("webhook_put", *fixed, *targets))


def delivery_id(tenant: str, kind: str, key: str, endpoint: Endpoint) -> str:
    """The id of the delivery of an event to an endpoint."""
    return _delivery(_message(tenant, kind, key), endpoint)


def _named(ended: Ended) -> tuple[str, str]:
    """Type and key of the event. A job that is replayed ends again, at another time."""
    return f"job.{ended.state.value}", f"{ended.id} {ended.at}"


def _message(tenant: str, kind: str, key: str) -> str:
    return "msg_" + hashlib.sha256(f"{tenant}\n{kind}\n{key}".encode()).hexdigest()[:32]


def _delivery(message: str, endpoint: Endpoint) -> str:
    # An endpoint that is removed and added again is another one.
    return hashlib.sha256(f"{message}\n{endpoint.name}\n{endpoint.created_at.isoformat()}".encode()).hexdigest()[:32]


def _meant(one: Endpoint, ended: Ended) -> bool:
    if ended.webhook == one.name:
        return True
    filters = one.filters
    if filters.named or (ended.origin.startswith("batch/") and not filters.batch_lines):
        return False
    return (not filters.kinds or ended.kind in filters.kinds) and _under(filters.origin, ended.origin)


def _under(filter_: str, origin: str) -> bool:
    """Whether an origin is the one filtered for, or lies below it."""
    return not filter_ or origin == filter_ or origin.startswith(f"{filter_}/")
