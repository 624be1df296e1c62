"""/v1/jobs: submit, list, show, wait, cancel, replay."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Body, Header, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from gateway.http import problems
from gateway.http.depends import FanoutDep, ServiceDep, allow
from gateway.http.examples import JOBS, RECORD, WAITING
from workers.access.principal import Principal, ScopeMissing
from workers.errors import JobInvalid
from workers.jobs import Job, JobRecord, Lane, State, Waiting
from workers.ledger.pages import JobFilter

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

Reader = Annotated[Principal, allow("jobs:read")]
Writer = Annotated[Principal, allow("jobs:write")]
_LOOK = 5000
"""Jobs that one request looks at: a filter that leaves few of a million takes several requests."""


def one_job(words: str, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """For ``responses=``: a record, with an example."""
    return {status: {"description": words, "content": {"application/json": {"example": RECORD}}}}


class JobPage(BaseModel):
    """Some jobs, the latest first, without contents, attempts and results."""

    data: list[JobRecord]
    next: str | None = Field(description="give it as `before` for the page after this one; null: there is none")


@router.post("", status_code=202, responses={**one_job("Taken", 202), **problems.responses(404, 409, 413, 507)})
def submit(
    job: Annotated[Job, Body(openapi_examples=JOBS)],
    service: ServiceDep,
    who: Writer,
    response: Response,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=255, description="instead of the field of this name")
    ] = None,
) -> JobRecord:
    """Submit a job. With an idempotency key, asking again gives the job there is, as it is by then."""
    if job.origin is not None or job.key is not None:
        name = "origin" if job.origin is not None else "key"
        raise JobInvalid(f"The field {name} is phiq's own.", hint=f"Leave {name} out.", field=name)
    changes: dict[str, object] = {"tenant": _tenant(job, who)}
    if idempotency_key is not None and job.idempotency_key is None:
        changes["idempotency_key"] = idempotency_key
    job = job.model_copy(update=changes)
    if job.kind in ("describe", "ingest"):
        service.uploads.check(job.tenant, job.kind, job.model_dump(mode="json", include={"input"}))
    record = service.submit(job)
    response.headers["Location"] = f"/v1/jobs/{record.id}"
    return record


@router.get("", responses=problems.responses(404))
def index(
    request: Request,
    response: Response,
    service: ServiceDep,
    who: Reader,
    state: Annotated[list[State] | None, Query(description="only these; may be repeated", max_length=8)] = None,
    kind: Annotated[str | None, Query(max_length=64)] = None,
    model: Annotated[str | None, Query(max_length=256, description="an engine URI")] = None,
    lane: Lane | None = None,
    subject: Annotated[str | None, Query(max_length=128)] = None,
    since: Annotated[AwareDatetime | None, Query(description="submitted then or later, with its time zone")] = None,
    until: Annotated[AwareDatetime | None, Query(description="submitted before then")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[str | None, Query(max_length=64, description="a job's id: only earlier ones")] = None,
) -> JobPage:
    """Jobs, the latest first. A page may be short, even empty, and still have a next one."""
    # A key for some collections sees the jobs it submitted: others hold words of other collections.
    key = who.key_id if who.collections is not None else None
    lane_name = lane and lane.value
    wanted = JobFilter(frozenset(state or ()), kind, model, lane_name, subject, key, _sane(since), _sane(until))
    found = service.page(wanted, who.tenant, limit, before, _LOOK)
    if found.next is not None:
        url = request.url.include_query_params(before=found.next)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return JobPage(data=found.jobs, next=found.next)


@router.get("/{job_id}", responses={**one_job("The job"), **problems.responses(404)})
async def show(
    job_id: str,
    service: ServiceDep,
    fanout: FanoutDep,
    who: Reader,
    wait: Annotated[float, Query(ge=0, le=3600, description="seconds to wait for the job's end; then as it is")] = 0.0,
) -> JobRecord:
    """A job with its contents, attempts and result."""
    record = await to_thread.run_sync(service.get, job_id, who.tenant)
    if wait and not record.state.final:
        await fanout.await_end(job_id, who.tenant, wait)
        record = await to_thread.run_sync(service.get, job_id, who.tenant)
    return record


@router.get(
    "/{job_id}/waiting",
    responses={
        200: {"description": "The reason", "content": {"application/json": {"example": WAITING}}},
        **problems.responses(404),
    },
)
def waiting(job_id: str, service: ServiceDep, who: Reader) -> Waiting:
    """Why a job has not started: its place in the queue, no worker, a model that loads, a pause, a quota."""
    return service.waiting(job_id, who.tenant)


@router.get(
    "/{job_id}/files/{ref}",
    response_class=Response,
    responses={
        200: {"description": "Its bytes", "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
        **problems.responses(404),
    },
)
def kept(job_id: str, ref: str, service: ServiceDep, who: Reader) -> Response:
    """A file that a job's result refers to: a masked picture, by its `ref`."""
    return Response(
        service.kept(job_id, ref, who.tenant),
        media_type="image/png",
        headers={"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff"},
    )


@router.post("/{job_id}/cancel", responses={**one_job("The job"), **problems.responses(404)})
def cancel(job_id: str, service: ServiceDep, who: Writer) -> JobRecord:
    """Cancel: a waiting job at once, a running one within a step of its engine; an ended one stays as it is."""
    return service.cancel(job_id, who.tenant)


@router.post("/{job_id}/replay", responses={**one_job("The job"), **problems.responses(404, 409)})
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


def _sane(instant: datetime | None) -> datetime | None:
    """An instant that arithmetic holds for: those of the year 1 and 9999 leave the calendar in other time zones."""
    return instant if instant is None or 1970 < instant.year < 9999 else None
