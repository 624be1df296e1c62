"""The endpoints of a tenant, in a hash of Redis."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from workers.ledger.scripts import redis_errors
from workers.webhooks.errors import WebhookNotFound
from workers.webhooks.records import Endpoint, Secret, when

if TYPE_CHECKING:
    from workers.ledger import Ledger


def key(ledger: Ledger, tenant: str) -> str:
    """The hash with a tenant's endpoints by name."""
    return ledger.scripts.key("webhook", "endpoints", tenant)


def state_key(ledger: Ledger, tenant: str, name: str) -> str:
    """How an endpoint has fared."""
    return ledger.scripts.key("webhook", "state", tenant, name)


def dump(endpoint: Endpoint) -> str:
    """An endpoint as it is kept: the secrets as they are, since everything is signed with them."""
    secrets = [{"value": one.value.get_secret_value(), "until": one.until} for one in endpoint.secrets]
    kept = endpoint.model_dump(
        mode="json", include={"name", "url", "events", "filters", "include", "created_at"}, exclude_unset=False
    )
    return json.dumps({**kept, "secrets": secrets})


def load(text: str, state: dict[str, str]) -> Endpoint:
    """An endpoint with how it has fared."""
    found = json.loads(text)
    secrets = [Secret(value=SecretStr(one["value"]), until=one["until"]) for one in found.pop("secrets")]
    return Endpoint(
        **found,
        secrets=secrets,
        disabled_at=when(state.get("disabled")),
        disabled_why=state.get("why", ""),
        failing_since=when(state.get("failing")),
        last_error=state.get("error", ""),
        delivered_at=when(state.get("delivered")),
    )


def read(ledger: Ledger, tenant: str, names: Iterable[str] | None = None) -> list[Endpoint]:
    """A tenant's endpoints by name, or those of these names that there are."""
    client: Any = ledger.scripts.client
    with redis_errors():
        if names is None:
            kept: dict[str, str] = client.hgetall(key(ledger, tenant))
        else:
            wanted = list(names)
            values = client.hmget(key(ledger, tenant), wanted) if wanted else []
            kept = {name: value for name, value in zip(wanted, values, strict=True) if value is not None}
        pipe = client.pipeline(transaction=False)
        for name in kept:
            pipe.hgetall(state_key(ledger, tenant, name))
        states = pipe.execute()
    return sorted((load(text, state) for text, state in zip(kept.values(), states, strict=True)), key=lambda e: e.name)


def get(ledger: Ledger, tenant: str, name: str) -> Endpoint:
    """One endpoint.

    Raises:
        WebhookNotFound: the tenant has none of that name.
    """
    found = read(ledger, tenant, [name])
    if not found:
        raise WebhookNotFound(
            f"There is no webhook endpoint '{name[:64]}'.", hint="phiq webhook list", subject=name[:64]
        )
    return found[0]


def listen(ledger: Ledger, tenant: str) -> None:
    """Note that a tenant has endpoints, and whether all jobs' ends must be told or only of those that name one."""
    found = read(ledger, tenant)
    every = any(
        not one.filters.named and any(event == "*" or event.startswith("job.") for event in one.events) for one in found
    )
    client: Any = ledger.scripts.client
    with redis_errors():
        (client.sadd if every else client.srem)(ledger.scripts.key("webhook", "listening"), tenant)
        (client.sadd if found else client.srem)(ledger.scripts.key("webhook", "tenants"), tenant)
