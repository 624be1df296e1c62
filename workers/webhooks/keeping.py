"""What webhooks keep of a tenant's jobs, for erase: ids and states, never words; but whose they were."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from workers.ledger.scripts import redis_errors
from workers.webhooks import endpoints

if TYPE_CHECKING:
    from workers.ledger import Ledger

_AT_ONCE = 500


def erase(ledger: Ledger, tenant: str, jobs: Collection[str] | None, *, dry_run: bool = False) -> int:
    """Forget the deliveries about some jobs, and what the outbox says of them.

    Args:
        ledger: Of the installation.
        tenant: Whose.
        jobs: Which jobs; None: all of the tenant, its endpoints too.
        dry_run: Only count.

    Returns:
        How many deliveries went, or would.
    """
    client: Any = ledger.scripts.client
    key = ledger.scripts.key
    with redis_errors():
        if jobs is None and not dry_run:
            # First, so that nothing new is made meanwhile.
            names = client.hkeys(endpoints.key(ledger, tenant))
            client.srem(key("webhook", "listening"), tenant)
            client.srem(key("webhook", "tenants"), tenant)
            client.delete(endpoints.key(ledger, tenant), *[endpoints.state_key(ledger, tenant, one) for one in names])
        meant = [
            one
            for one in client.zrange(key("webhook", "log", tenant), 0, -1)
            if jobs is None or client.hget(key("webhook", "delivery", one), "job") in jobs
        ]
        if dry_run:
            return len(meant)
        _outbox(client, key("outbox"), tenant, jobs)
    for one in meant:
        ledger.scripts.run("webhook_drop", one, tenant)
    if jobs is None:
        with redis_errors():
            # Also those of deliveries whose time was over.
            client.delete(key("webhook", "log", tenant), key("webhook", "dead", tenant))
    return len(meant)


def _outbox(client: Any, stream: str, tenant: str, jobs: Collection[str] | None) -> None:
    after = "-"
    while some := client.xrange(stream, after, count=_AT_ONCE):
        after = f"({some[-1][0]}"
        gone = [
            entry
            for entry, fields in some
            if fields.get("tenant") == tenant and (jobs is None or fields.get("id") in jobs)
        ]
        if gone:
            client.xdel(stream, *gone)
