"""/v1/webhooks: endpoints that are told what happens, and what became of each telling."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.http import problems
from gateway.http.depends import ServiceDep, allow
from workers.access.principal import Principal
from workers.service import Service
from workers.webhooks import Delivery, Endpoint, EndpointNew
from workers.webhooks.records import DeliveryState
from workers.webhooks.webhooks import delivery_not_found

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
problems.known(webhook_not_found=404, delivery_not_found=404, webhook_exists=409, address_refused=400)

Who = Annotated[Principal, allow("webhooks")]

_EXAMPLE: dict[str, Any] = {
    "name": "crm",
    "url": "https://hooks.example.com/phiq",
    "events": ["job.*", "batch.completed"],
    "filters": {"kinds": ["summarize"]},
}


class WebhookNew(EndpointNew):
    """An endpoint to be added."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})


class EndpointMade(Endpoint):
    """An endpoint with the secret that was just made for it; it is shown this once."""

    secret: str = Field(description="verify signatures with it: whsec_…")


class EndpointPage(BaseModel):
    """All endpoints of the tenant, by name."""

    data: list[Endpoint]


class DeliveryPage(BaseModel):
    """Some deliveries, the latest first."""

    data: list[Delivery]
    next: str | None = Field(default=None, description="give it as `before` for the page after this one")


@router.post("", status_code=201, responses=problems.responses(409, 507))
def create(new: WebhookNew, service: ServiceDep, who: Who, response: Response) -> EndpointMade:
    """Add an endpoint. Its address must be a public https one, unless PHIQ_WEBHOOK_ALLOW names it."""
    made = service.webhooks.add(who.tenant, EndpointNew.model_validate(new.model_dump()))
    response.headers["Location"] = f"/v1/webhooks/{made.name}"
    return _with_secret(made)


@router.get("", responses=problems.responses())
def index(service: ServiceDep, who: Who) -> EndpointPage:
    """All endpoints, by name, without their secrets."""
    return EndpointPage(data=service.webhooks.known(who.tenant))


@router.get("/{name}", responses=problems.responses(404))
def show(name: str, service: ServiceDep, who: Who) -> Endpoint:
    """An endpoint and how it fares."""
    return service.webhooks.get(who.tenant, name)


@router.delete("/{name}", status_code=204, responses=problems.responses(404))
def remove(name: str, service: ServiceDep, who: Who) -> None:
    """Remove an endpoint; what is on its way to it is dropped."""
    service.webhooks.remove(who.tenant, name)


@router.post("/{name}/rotate", responses=problems.responses(404, 507))
def rotate(
    name: str,
    service: ServiceDep,
    who: Who,
    overlap: Annotated[float, Query(ge=0, le=30 * 86400, description="seconds the old secret signs too")] = 86400.0,
) -> EndpointMade:
    """Give it a new secret; until the old one ends, each delivery carries both signatures."""
    return _with_secret(service.webhooks.rotate(who.tenant, name, overlap))


@router.post("/{name}/enable", responses=problems.responses(404, 507))
def enable(name: str, service: ServiceDep, who: Who) -> Endpoint:
    """Send to it again after it was disabled; what it missed are dead letters."""
    return service.webhooks.enable(who.tenant, name)


@router.post("/{name}/test", status_code=202, responses=problems.responses(404, 507))
def test(name: str, service: ServiceDep, who: Who) -> Delivery:
    """Send it a `webhook.test`; ask for the delivery to see how it went."""
    return service.webhooks.test(who.tenant, name)


@router.get("/{name}/deliveries", responses=problems.responses(404))
def deliveries(
    name: str,
    service: ServiceDep,
    who: Who,
    state: Annotated[DeliveryState | None, Query(description="dead: the dead letters")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[str | None, Query(max_length=64, description="a delivery's id: only earlier ones")] = None,
) -> DeliveryPage:
    """What was sent to it or is to be, the latest first."""
    service.webhooks.get(who.tenant, name)
    found = service.webhooks.deliveries(who.tenant, name, state, limit, before)
    return DeliveryPage(data=found, next=found[-1].id if len(found) == limit else None)


@router.get("/{name}/deliveries/{delivery_id}", responses=problems.responses(404))
def delivery(name: str, delivery_id: str, service: ServiceDep, who: Who) -> Delivery:
    """One delivery: its tries, and what the last answer was."""
    return _one(service, who, name, delivery_id)


@router.post("/{name}/deliveries/{delivery_id}/replay", status_code=202, responses=problems.responses(404, 507))
def replay(name: str, delivery_id: str, service: ServiceDep, who: Who) -> Delivery:
    """Send it again under its webhook-id."""
    return service.webhooks.replay(who.tenant, _one(service, who, name, delivery_id).id)


@router.delete("/{name}/deliveries/{delivery_id}", status_code=204, responses=problems.responses(404))
def drop(name: str, delivery_id: str, service: ServiceDep, who: Who) -> None:
    """Forget a delivery."""
    service.webhooks.drop(who.tenant, _one(service, who, name, delivery_id).id)


def _one(service: Service, who: Principal, name: str, delivery_id: str) -> Delivery:
    """The delivery, when it is to this endpoint."""
    service.webhooks.get(who.tenant, name)
    found = service.webhooks.delivery(who.tenant, delivery_id)
    if found.endpoint != name:
        raise delivery_not_found(delivery_id)
    return found


def _with_secret(made: Endpoint) -> EndpointMade:
    return EndpointMade(**made.model_dump(), secret=made.secrets[0].value.get_secret_value())
