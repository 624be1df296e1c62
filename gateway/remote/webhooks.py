"""Webhooks over HTTP, with the methods of `workers.webhooks.Webhooks` that clients use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from pydantic import SecretStr

from gateway.remote.calls import PAGE, Call, quoted
from workers.webhooks import Delivery, Endpoint, EndpointNew
from workers.webhooks.errors import DeliveryNotFound
from workers.webhooks.records import DeliveryState, Secret
from workers.webhooks.webhooks import delivery_not_found

T = TypeVar("T")
_ROOT = "/v1/webhooks"


class Ask(Protocol):
    """Sends a call and reads its answer."""

    def __call__(self, call: Call[T]) -> T:
        """The answer."""
        ...


class HttpWebhooks:
    """Webhooks of the key's tenant; a tenant that is named is not sent.

    Args:
        ask: How calls are sent.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def add(self, _tenant: str, new: EndpointNew) -> Endpoint:
        """Add an endpoint; its secret is in the answer."""
        return self._ask(Call("POST", _ROOT, _made, json=new.model_dump(mode="json"), repeatable=False))

    def known(self, _tenant: str) -> list[Endpoint]:
        """All endpoints, by name."""
        return self._ask(Call("GET", _ROOT, lambda said: [Endpoint.model_validate(one) for one in said["data"]]))

    def get(self, _tenant: str, name: str) -> Endpoint:
        """One endpoint."""
        return self._ask(Call("GET", _path(name), Endpoint.model_validate))

    def rotate(self, _tenant: str, name: str, overlap: float = 86400.0) -> Endpoint:
        """Give it a new secret, in the answer."""
        return self._ask(Call("POST", _path(name, "rotate"), _made, params={"overlap": overlap}, repeatable=False))

    def enable(self, _tenant: str, name: str) -> Endpoint:
        """Send to it again."""
        return self._ask(Call("POST", _path(name, "enable"), Endpoint.model_validate))

    def remove(self, _tenant: str, name: str) -> None:
        """Remove it."""
        self._ask(Call("DELETE", _path(name), lambda _: None, repeatable=False))

    def test(self, _tenant: str, name: str) -> Delivery:
        """Send it a test."""
        return self._ask(Call("POST", _path(name, "test"), Delivery.model_validate, repeatable=False))

    def deliveries(
        self, tenant: str, endpoint: str | None = None, state: DeliveryState | None = None, limit: int = 50
    ) -> list[Delivery]:
        """Deliveries, the latest first."""
        names = [one.name for one in self.known(tenant)] if endpoint is None else [endpoint]
        found = [one for name in names for one in self._pages(name, state, limit)]
        return sorted(found, key=lambda one: one.created_at, reverse=True)[:limit]

    def delivery(self, tenant: str, delivery_id: str) -> Delivery:
        """One delivery."""
        return self._of_some(tenant, delivery_id, "GET", "", Delivery.model_validate)

    def replay(self, tenant: str, delivery_id: str) -> Delivery:
        """Send it again."""
        return self._of_some(tenant, delivery_id, "POST", "/replay", Delivery.model_validate)

    def drop(self, tenant: str, delivery_id: str) -> None:
        """Forget it."""
        self._of_some(tenant, delivery_id, "DELETE", "", lambda _: None)

    def _pages(self, name: str, state: DeliveryState | None, limit: int) -> list[Delivery]:
        found: list[Delivery] = []
        before: str | None = None
        while len(found) < limit:
            params = {"state": state, "limit": min(PAGE, limit - len(found)), "before": before}
            said: Any = self._ask(Call("GET", _path(name, "deliveries"), lambda answer: answer, params))
            found += [Delivery.model_validate(one) for one in said["data"]]
            before = said["next"]
            if before is None:
                break
        return found

    def _of_some(self, tenant: str, delivery_id: str, method: str, what: str, read: Callable[[Any], T]) -> T:
        """Ask of each endpoint: the id alone does not say whose it is."""
        for one in self.known(tenant):
            try:
                path = _path(one.name, "deliveries", quoted(delivery_id)) + what
                return self._ask(Call(method, path, read, repeatable=method == "GET"))
            except DeliveryNotFound:
                continue
        raise delivery_not_found(delivery_id)


def _path(name: str, *more: str) -> str:
    return "/".join((_ROOT, quoted(name), *more))


def _made(answer: Any) -> Endpoint:
    secret = Secret(value=SecretStr(answer["secret"]))
    return Endpoint.model_validate(answer).model_copy(update={"secrets": [secret]})
