"""/v1/dead: dead letters, the jobs that used up their attempts through no fault of the user's."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from gateway.http import problems
from gateway.http.depends import ServiceDep, allow
from gateway.http.jobs import JobPage
from workers.access.principal import Principal

router = APIRouter(prefix="/v1/dead", tags=["jobs"])


@router.get("", responses=problems.responses(404))
def index(
    service: ServiceDep,
    who: Annotated[Principal, allow("jobs:read")],
    kind: Annotated[str | None, Query(max_length=64)] = None,
    model: Annotated[str | None, Query(max_length=256)] = None,
    code: Annotated[str | None, Query(max_length=64, description="of the error they died of")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[str | None, Query(max_length=64, description="a job's id: only earlier deaths")] = None,
) -> JobPage:
    """Dead letters, the latest death first. `POST /v1/jobs/{id}/replay` runs one again."""
    found = service.dead(who.tenant, kind, model, code, limit, before)
    return JobPage(data=found, next=found[-1].id if len(found) == limit else None)


@router.delete("/{job_id}", status_code=204, response_class=Response, responses=problems.responses(404))
def drop(job_id: str, service: ServiceDep, who: Annotated[Principal, allow("jobs:write")]) -> None:
    """Delete a dead letter and all it left."""
    service.drop(job_id, who.tenant)
