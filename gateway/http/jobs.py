"""/v1/jobs: submit, list, show, cancel, replay."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, Field

from gateway.http import problems
from gateway.http.depends import ServiceDep, allow
from workers.access.principal import Principal, ScopeMissing
from workers.jobs import Job, JobRecord, State

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

Reader = Annotated[Principal, allow("jobs:read")]
Writer = Annotated[Principal, allow("jobs:write")]


class JobPage(BaseModel):
    """Some jobs, the latest first, without contents and results."""

    data: list[JobRecord]
    next: str | None = Field(default=None, description="give it as `before` for the page after this one")


@router.post("", status_code=202, responses=problems.responses(409, 413, 507))
def submit(
    job: Job,
    service: ServiceDep,
    who: Writer,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> JobRecord:
    """Submit a job. With an idempotency key, asking again gives the job there is."""
    changes: dict[str, object] = {"tenant": _tenant(job, who)}
    if idempotency_key is not None and job.idempotency_key is None:
        changes["idempotency_key"] = idempotency_key
    record = service.submit(job.model_copy(update=changes))
    response.headers["Location"] = f"/v1/jobs/{record.id}"
    return record


@router.get("", responses=problems.responses(404))
def index(
    service: ServiceDep,
    who: Reader,
    state: Annotated[list[State] | None, Query(description="only these; may be repeated")] = None,
    kind: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[str | None, Query(max_length=64, description="a job's id: only earlier ones")] = None,
) -> JobPage:
    """Jobs, the latest first."""
    found = service.list(who.tenant, state, kind, limit, before)
    return JobPage(data=found, next=found[-1].id if len(found) == limit else None)


@router.get("/{job_id}", responses=problems.responses(404))
def show(job_id: str, service: ServiceDep, who: Reader) -> JobRecord:
    """A job with its contents, attempts and result."""
    return service.get(job_id, who.tenant)


@router.post("/{job_id}/cancel", responses=problems.responses(404))
def cancel(job_id: str, service: ServiceDep, who: Writer) -> JobRecord:
    """Cancel: a waiting job at once, a running one within a step of its engine; an ended one stays as it is."""
    return service.cancel(job_id, who.tenant)


@router.post("/{job_id}/replay", responses=problems.responses(404, 409))
def replay(job_id: str, service: ServiceDep, who: Writer) -> JobRecord:
    """Run a job again that died, failed, expired or was cancelled."""
    return service.replay(job_id, who.tenant)


def _tenant(job: Job, who: Principal) -> str:
    if "tenant" in job.model_fields_set and job.tenant != who.tenant:
        if who.may("admin"):
            return job.tenant
        raise ScopeMissing(
            "This key may not submit jobs for another tenant.", hint="Leave the field tenant out.", subject=job.tenant
        )
    return who.tenant
