"""What people do with webhooks: endpoints and their secrets, deliveries and dead letters."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from knowledge.addresses import Rules, check_url
from workers.ledger.scripts import redis_errors
from workers.webhooks import endpoints, signing
from workers.webhooks.errors import DeliveryNotFound, WebhookExists, WebhookInvalid
from workers.webhooks.events import delivery_id, put
from workers.webhooks.records import Delivery, DeliveryState, Endpoint, EndpointNew, to_delivery

if TYPE_CHECKING:
    from workers.ledger import Ledger
    from workers.settings import Settings

MOST_ENDPOINTS = 50
_AT_ONCE = 200


def rules_of(settings: Settings) -> Rules:
    """Where webhooks may go."""
    return Rules.parse(settings.webhook_allow, setting="PHIQ_WEBHOOK_ALLOW")


class Webhooks:
    """Webhooks of all tenants. Every method raises `RedisUnavailable` and `StorageFull` as the ledger does.

    Args:
        ledger: Of the installation.
        settings: For where webhooks may go.
    """

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._rules = rules_of(settings)
        self._client: Any = ledger.scripts.client

    # Endpoints

    def add(self, tenant: str, new: EndpointNew) -> Endpoint:
        """Add an endpoint; its first secret is in the answer and never shown again.

        Raises:
            WebhookExists: there is one of that name.
            AddressRefused: its address is inside, or no https.
            WebhookInvalid: the tenant has fifty already.
        """
        check_url(new.url, self._rules)
        made = Endpoint(**new.model_dump(), created_at=datetime.now(UTC), secrets=[signing.new_secret()])
        key = endpoints.key(self._ledger, tenant)
        with redis_errors():
            if self._client.hlen(key) >= MOST_ENDPOINTS:
                raise WebhookInvalid(
                    f"A tenant has {MOST_ENDPOINTS} webhook endpoints at most.",
                    hint="phiq webhook remove NAME",
                    subject=tenant,
                )
            if not self._client.hsetnx(key, made.name, endpoints.dump(made)):
                raise WebhookExists(
                    f"There is a webhook endpoint '{made.name}' already.",
                    hint=f"phiq webhook show {made.name}; take another name, or remove it first.",
                    subject=made.name,
                )
            self._client.delete(endpoints.state_key(self._ledger, tenant, made.name))
        endpoints.listen(self._ledger, tenant)
        return made

    def known(self, tenant: str) -> list[Endpoint]:
        """A tenant's endpoints, by name."""
        return endpoints.read(self._ledger, tenant)

    def get(self, tenant: str, name: str) -> Endpoint:
        """One endpoint.

        Raises:
            WebhookNotFound: the tenant has none of that name.
        """
        return endpoints.get(self._ledger, tenant, name)

    def rotate(self, tenant: str, name: str, overlap: float = 86400.0) -> Endpoint:
        """Give an endpoint a new secret, in the answer; the old ones sign too for ``overlap`` seconds.

        Raises:
            WebhookNotFound: the tenant has none of that name.
        """
        found = self.get(tenant, name)
        made = found.model_copy(update={"secrets": signing.rotated(found.secrets, overlap)})
        with redis_errors():
            self._client.hset(endpoints.key(self._ledger, tenant), name, endpoints.dump(made))
        return made

    def enable(self, tenant: str, name: str) -> Endpoint:
        """Let a disabled endpoint be sent to again; what it missed is a dead letter and can be replayed.

        Raises:
            WebhookNotFound: the tenant has none of that name.
        """
        self.get(tenant, name)
        with redis_errors():
            self._client.hdel(endpoints.state_key(self._ledger, tenant, name), "disabled", "why", "failing", "error")
        return self.get(tenant, name)

    def remove(self, tenant: str, name: str) -> None:
        """Remove an endpoint; what is on its way to it is dropped.

        Raises:
            WebhookNotFound: the tenant has none of that name.
        """
        self.get(tenant, name)
        with redis_errors():
            self._client.hdel(endpoints.key(self._ledger, tenant), name)
            self._client.delete(endpoints.state_key(self._ledger, tenant, name))
        endpoints.listen(self._ledger, tenant)
        for one in self.deliveries(tenant, endpoint=name, limit=100_000):
            self.drop(tenant, one.id)

    def test(self, tenant: str, name: str) -> Delivery:
        """Send an endpoint a ``webhook.test``, whatever it listens to; returns the delivery.

        Raises:
            WebhookNotFound: the tenant has none of that name.
        """
        endpoint = self.get(tenant, name)
        key = uuid.uuid4().hex
        put(self._ledger, tenant, "webhook.test", key, {"endpoint": name}, [endpoint])
        return self.delivery(tenant, delivery_id(tenant, "webhook.test", key, endpoint))

    # Deliveries

    def deliveries(
        self,
        tenant: str,
        endpoint: str | None = None,
        state: DeliveryState | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Delivery]:
        """Deliveries, the latest first.

        Args:
            tenant: Whose.
            endpoint: Only to this one.
            state: Only these; ``dead`` are the dead letters.
            limit: At most this many.
            before: Only earlier ones than the one with this id.

        Raises:
            DeliveryNotFound: ``before`` is none of the tenant's.
        """
        log = self._ledger.scripts.key("webhook", "log", tenant)
        found: list[Delivery] = []
        start = 0
        with redis_errors():
            if before is not None:
                place = self._client.zrevrank(log, before)
                if place is None:
                    raise delivery_not_found(before)
                start = place + 1
            while len(found) < limit:
                ids = self._client.zrevrange(log, start, start + _AT_ONCE - 1)
                if not ids:
                    break
                start += len(ids)
                pipe = self._client.pipeline(transaction=False)
                for one in ids:
                    pipe.hgetall(self._ledger.scripts.key("webhook", "delivery", one))
                # What expired by policy is in the log until that is swept.
                found += [
                    to_delivery(fields)
                    for fields in filter(None, pipe.execute())
                    if endpoint in (None, fields["endpoint"]) and state in (None, fields["state"])
                ]
        return found[:limit]

    def delivery(self, tenant: str, delivery_id: str) -> Delivery:
        """One delivery.

        Raises:
            DeliveryNotFound: the tenant has none with that id, or no longer.
        """
        with redis_errors():
            fields = self._client.hgetall(self._ledger.scripts.key("webhook", "delivery", _plain(delivery_id)))
        if fields.get("tenant") != tenant:
            raise delivery_not_found(delivery_id)
        return to_delivery(fields)

    def replay(self, tenant: str, delivery_id: str) -> Delivery:
        """Send a dead or delivered one again, under its webhook-id; one under way stays as it is.

        Raises:
            DeliveryNotFound: the tenant has none with that id, or no longer.
            WebhookNotFound: its endpoint is gone.
        """
        self.get(tenant, self.delivery(tenant, delivery_id).endpoint)
        if self._ledger.scripts.run("webhook_replay", delivery_id, tenant) is None:
            raise delivery_not_found(delivery_id)
        return self.delivery(tenant, delivery_id)

    def drop(self, tenant: str, delivery_id: str) -> None:
        """Forget a delivery.

        Raises:
            DeliveryNotFound: the tenant has none with that id, or no longer.
        """
        if not self._ledger.scripts.run("webhook_drop", _plain(delivery_id), tenant):
            raise delivery_not_found(delivery_id)


def parse_new(value: dict[str, Any]) -> EndpointNew:
    """An endpoint as asked for, from plain values.

    Raises:
        WebhookInvalid: naming what does not fit.
    """
    try:
        return EndpointNew.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])[:80]
        raise WebhookInvalid(f"{field}: {first['msg']}.", hint="phiq webhook add --help", subject=field) from error


def _plain(delivery_id: str) -> str:
    """An id that can't be the name of another key."""
    if len(delivery_id) != 32 or not delivery_id.isalnum():
        raise delivery_not_found(delivery_id)
    return delivery_id


def delivery_not_found(delivery_id: str) -> DeliveryNotFound:
    """The error for an id that is no delivery of the tenant's."""
    return DeliveryNotFound(
        f"There is no webhook delivery {delivery_id[:64]}, or no longer.",
        hint="phiq webhook deliveries",
        subject=delivery_id[:64],
    )
