"""Is the gateway alive, and can it work?"""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from gateway.http import problems
from gateway.http.depends import ServiceDep

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: str = "ok"


@router.get("/healthz")
async def healthz() -> Alive:
    """Whether the process answers; it asks nothing else."""
    return Alive()


@router.get("/readyz", responses=problems.responses(503))
def readyz(service: ServiceDep) -> Alive:
    """Whether jobs are taken: Redis answers."""
    service.workers()
    return Alive()
