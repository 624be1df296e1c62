"""/v1/jobs/{id}/events: a job's events as they come, as server-sent events."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Response

from gateway.http import problems
from gateway.http.depends import FanoutDep, ServiceDep, allow
from gateway.http.sse import EventStream
from knowledge.errors import PhiqError
from workers.access.principal import Principal
from workers.openai import fields

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_EXAMPLE = """\
id: 1764000000000-0
event: state
data: {"id":"1764000000000-0","type":"state","attempt":0,"offset":0,"state":"queued"}

id: 1764000000123-0
event: delta
data: {"id":"1764000000123-0","type":"delta","attempt":1,"offset":0,"text":"Hold the button"}

id: 1764000000456-0
event: end
data: {"id":"1764000000456-0","type":"end","attempt":1,"offset":15,"state":"succeeded"}

"""
_STREAM = {
    "description": "Events until the job's end; comments in between keep the connection open.",
    "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
}
_NO_MORE = {"description": "The job has ended and the last event was seen: there is nothing to come back for."}


@router.get(
    "/{job_id}/events",
    response_class=Response,
    responses={200: _STREAM, 204: _NO_MORE, **problems.responses(404)},
)
async def events(
    job_id: str,
    service: ServiceDep,
    fanout: FanoutDep,
    who: Annotated[Principal, allow("jobs:read")],
    last_event_id: Annotated[
        str | None, Header(max_length=64, description="the id of the last event seen; only later ones come")
    ] = None,
    after: Annotated[
        str | None, Query(max_length=64, description="the same, for clients that can't set headers")
    ] = None,
) -> Response:
    """Follow a job. Where what follows the last event seen is gone, a `snapshot` replaces the text whole.

    The `end` of a chat that succeeded has what its text rests on: `band`, `citations`, `passages`, `notes`.
    """
    following = fanout.follow(job_id, who.tenant, last_event_id or after or "0-0")
    # Entered here, so that what can't be followed is answered with a problem and not with an empty stream.
    await following.__aenter__()
    if following.place.ended:
        following.close()
        return Response(status_code=204)

    async def evidence() -> dict[str, Any]:
        try:
            record = await to_thread.run_sync(service.get, job_id, who.tenant)
        except PhiqError:
            return {}  # the end itself is true; what it rests on is read with the record then
        return fields.evidence(record.result or {}) if record.kind == "chat" else {}

    return EventStream(following, evidence)
