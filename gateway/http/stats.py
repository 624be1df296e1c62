"""/v1/stats: the last hours of the whole installation in numbers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from gateway.http import problems
from gateway.http.depends import ServiceDep, allow
from workers.sight.stats import Stats

router = APIRouter(tags=["health"])


@router.get("/v1/stats", dependencies=[allow("admin")], responses=problems.responses())
def stats(
    service: ServiceDep,
    seconds: Annotated[float, Query(gt=0, le=8 * 86400, description="how far back; whole hours are counted")] = 86400.0,
) -> Stats:
    """What was done lately, by kind of job, and what is so now. Of all tenants."""
    return service.stats(seconds)
