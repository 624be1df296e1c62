"""Is the gateway alive, and can it work? Asked by machines, so no key is needed; nothing is told that needs one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from gateway.http import problems
from gateway.http.depends import ServiceDep
from knowledge.errors import ServiceError

router = APIRouter(tags=["health"])
problems.known(no_workers=503)


class NoWorkers(ServiceError):
    """Raised when fewer workers are alive than was asked for."""

    code = "no_workers"
    transient = True


class Alive(BaseModel):
    """The process answers."""

    status: str = "ok"


class Ready(Alive):
    """Jobs are taken."""

    workers: int = Field(description="alive; jobs are taken, and wait, when there are none")


@router.get("/healthz")
async def healthz() -> Alive:
    """Whether the process answers; it asks nothing else."""
    return Alive()


@router.get("/readyz", responses=problems.responses(503))
def readyz(
    service: ServiceDep,
    workers: Annotated[int, Query(ge=0, le=10_000, description="how many must be alive for it to be ready")] = 0,
) -> Ready:
    """Whether jobs are taken: Redis answers. With `workers=1` also whether somebody is there to run them."""
    alive = sum(not info.alone and not info.draining for info in service.workers())
    if alive < workers:
        raise NoWorkers(
            f"{alive} workers are alive, {workers} were asked for.",
            hint="Start one with `phiq up`, or `python -m workers worker`.",
            workers=alive,
        )
    return Ready(workers=alive)
