"""/v1/search: passages of a collection. A short job: the gateway holds no embedding model."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from agents.contract import SearchInput
from gateway.client import raise_for_state
from gateway.http import problems, reach
from gateway.http.depends import FanoutDep, ServiceDep, allow
from knowledge.errors import ServiceError
from knowledge.types import Filters, Passage
from workers.access.principal import Principal
from workers.jobs import SearchJob

router = APIRouter(prefix="/v1/search", tags=["search"])
problems.known(search_slow=503)

SECONDS = 30.0
"""After which a search is given up and its job cancelled."""


class SearchSlow(ServiceError):
    """Raised when a search was not done in time: no worker runs, or all are busy."""

    code = "search_slow"
    transient = True


class SearchRequest(BaseModel):
    """What to look for."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"query": "How do I reset it?", "collection": "default", "top_k": 3}]},
    )
    query: str = Field(min_length=1, max_length=100_000)
    collection: str = Field(default="default", min_length=1, max_length=128)
    top_k: int = Field(default=5, ge=1, le=100, description="how many passages")
    filters: Filters | None = Field(default=None, description="which passages may be found; null: all")


class SearchAnswer(BaseModel):
    """The passages, the nearest first."""

    id: str = Field(description="of the job that looked")
    collection: str
    data: list[Passage]
    notes: list[str] = Field(default_factory=list, description="what people must know of how it was searched")


@router.post("", responses=problems.responses(404, 413))
async def search(
    wanted: SearchRequest,
    service: ServiceDep,
    fanout: FanoutDep,
    who: Annotated[Principal, allow("documents:read")],
) -> SearchAnswer:
    """Find the passages nearest to a question."""
    reach.may_use(who, wanted.collection)
    asked = SearchInput(query=wanted.query, collection=wanted.collection, top_k=wanted.top_k, filters=wanted.filters)
    job = SearchJob(input=asked, tenant=who.tenant, expires_in=SECONDS, deadline=2 * SECONDS)
    submitted = await run_in_threadpool(service.submit, job)
    await fanout.await_end(submitted.id, who.tenant, SECONDS)
    record = await run_in_threadpool(service.get, submitted.id, who.tenant)
    if not record.state.final:
        waiting = await run_in_threadpool(service.waiting, record.id, who.tenant)
        await run_in_threadpool(service.cancel, record.id, who.tenant)
        raise SearchSlow(
            f"The search was not done within {SECONDS:g} s. {waiting.message}".rstrip(),
            hint="Try again, or submit a job of the kind search, which waits as long as it takes.",
            subject=record.id,
        )
    raise_for_state(record)
    made = record.result or {}
    return SearchAnswer(
        id=record.id, collection=wanted.collection, data=made.get("passages", []), notes=made.get("notes", [])
    )
