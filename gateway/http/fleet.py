"""/v1/workers, /v1/queues, /v1/tenants: the installation as its operators see it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.http import problems
from gateway.http.depends import ServiceDep, allow
from workers.jobs import Name
from workers.ledger import Limits, QueueInfo, TenantInfo, WorkerInfo

router = APIRouter(prefix="/v1", tags=["operations"], dependencies=[allow("admin")])


class Workers(BaseModel):
    """The workers that are alive."""

    data: list[WorkerInfo]


class Queues(BaseModel):
    """The queues, and what is held back."""

    data: list[QueueInfo]
    paused: list[str] = Field(description="queues, and tenants as tenant:NAME")


class Tenants(BaseModel):
    """Tenants with jobs or limits of their own."""

    data: list[TenantInfo]


class Held(BaseModel):
    """A queue or a tenant, one of the two."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"queue": "generate.batch"}]})
    queue: str | None = Field(default=None, max_length=64, description="such as generate.batch")
    tenant: Name | None = None


@router.get("/workers", responses=problems.responses())
def workers(service: ServiceDep) -> Workers:
    """What each worker serves, holds in memory and does."""
    return Workers(data=service.workers())


@router.get("/queues", responses=problems.responses())
def queues(service: ServiceDep) -> Queues:
    """How many jobs wait and run, how long the oldest has waited, what is paused."""
    return Queues(data=service.queues(), paused=service.paused())


@router.post("/queues/pause", status_code=204, response_class=Response, responses=problems.responses())
def pause(held: Held, service: ServiceDep) -> None:
    """Let no job of a queue, or of a tenant, start; those that run go on."""
    service.pause(queue=held.queue, tenant=held.tenant)


@router.post("/queues/resume", status_code=204, response_class=Response, responses=problems.responses())
def resume(held: Held, service: ServiceDep) -> None:
    """Let them start again."""
    service.resume(queue=held.queue, tenant=held.tenant)


@router.get("/tenants", responses=problems.responses())
def tenants(service: ServiceDep) -> Tenants:
    """What each tenant has waiting and running, and its limits."""
    return Tenants(data=service.tenants())


@router.put("/tenants/{tenant}/limits", status_code=204, response_class=Response, responses=problems.responses())
def limits(tenant: Annotated[Name, Path()], given: Limits, service: ServiceDep) -> None:
    """Give a tenant limits and a share of its own, all at once; what is left out is as the settings say."""
    service.set_limits(tenant, given)
