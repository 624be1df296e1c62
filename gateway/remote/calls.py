"""Each request to the HTTP API as a value: what to send, and how its answer is read. Nothing is sent here."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from agents.contract import Attachment
from workers.jobs import Job, JobRecord, State, Waiting
from workers.ledger import Limits, QueueInfo, TenantInfo, WorkerInfo
from workers.sight.stats import Stats

T = TypeVar("T")

PAGE = 500
"""Jobs that one request lists at most."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request.

    Attributes:
        method: Of HTTP.
        path: Below the base address.
        read: Makes the value of the answer's JSON; None stands for an empty body.
        params: The query; what is None is left out.
        json: The body, as JSON.
        open: Opens the body anew for each try, where it is a stream of bytes.
        headers: Beside those of every request.
        repeatable: Whether sending it twice does no more than once: it may be sent again when the reply was lost.
        seconds: How long the server may take to answer, beside the usual.
    """

    method: str
    path: str
    read: Callable[[Any], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    open: Callable[[], IO[bytes]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    seconds: float = 0.0

    @property
    def query(self) -> dict[str, Any]:
        """The query, without what is not given."""
        return {name: value for name, value in self.params.items() if value is not None}


class Page(BaseModel):
    """Some jobs; ``next`` is what to give as ``before`` for more."""

    data: list[JobRecord]
    next: str | None = None


def submit(job: Job) -> Call[JobRecord]:
    """Submit a job. It gets an idempotency key when it has none, so that sending it again gives the same job."""
    headers = {} if job.idempotency_key else {"Idempotency-Key": f"auto-{uuid.uuid4().hex}"}
    body = job.model_dump(mode="json", exclude_unset=True) | {"kind": job.kind}
    return Call("POST", "/v1/jobs", JobRecord.model_validate, json=body, headers=headers)


def get(job_id: str, wait: float | None = None) -> Call[JobRecord]:
    """A job; with ``wait`` once it has ended, or as it is after so many seconds."""
    return Call("GET", _job(job_id), JobRecord.model_validate, params={"wait": wait}, seconds=wait or 0.0)


def jobs(states: Collection[State] | None, kind: str | None, limit: int, before: str | None) -> Call[Page]:
    """Jobs, the latest first."""
    params = {
        "state": [str(state) for state in states] if states else None,
        "kind": kind,
        "limit": limit,
        "before": before,
    }
    return Call("GET", "/v1/jobs", Page.model_validate, params=params)


def cancel(job_id: str) -> Call[JobRecord]:
    """Cancel a job."""
    return Call("POST", f"{_job(job_id)}/cancel", JobRecord.model_validate)


def replay(job_id: str) -> Call[JobRecord]:
    """Run a job again."""
    return Call("POST", f"{_job(job_id)}/replay", JobRecord.model_validate, repeatable=False)


def waiting(job_id: str) -> Call[Waiting]:
    """Why a job has not started."""
    return Call("GET", f"{_job(job_id)}/waiting", Waiting.model_validate)


def dead(kind: str | None, model: str | None, code: str | None, limit: int, before: str | None) -> Call[Page]:
    """Dead letters, the latest death first."""
    params = {"kind": kind, "model": model, "code": code, "limit": limit, "before": before}
    return Call("GET", "/v1/dead", Page.model_validate, params=params)


def drop(job_id: str) -> Call[None]:
    """Delete a dead letter."""
    return Call("DELETE", f"/v1/dead/{quoted(job_id)}", _nothing, repeatable=False)


def workers() -> Call[list[WorkerInfo]]:
    """The workers that are alive."""
    return Call("GET", "/v1/workers", _each(WorkerInfo))


def queues() -> Call[list[QueueInfo]]:
    """The queues."""
    return Call("GET", "/v1/queues", _each(QueueInfo))


def paused() -> Call[list[str]]:
    """What is paused."""
    return Call("GET", "/v1/queues", lambda answer: [str(one) for one in answer["paused"]])


def pause(queue: str | None, tenant: str | None, *, held: bool) -> Call[None]:
    """Hold a queue or a tenant back, or let it go on."""
    word = "pause" if held else "resume"
    return Call("POST", f"/v1/queues/{word}", _nothing, json={"queue": queue, "tenant": tenant})


def tenants() -> Call[list[TenantInfo]]:
    """The tenants."""
    return Call("GET", "/v1/tenants", _each(TenantInfo))


def set_limits(tenant: str, limits: Limits) -> Call[None]:
    """Give a tenant limits."""
    body = limits.model_dump(mode="json")
    return Call("PUT", f"/v1/tenants/{quoted(tenant)}/limits", _nothing, json=body)


def stats(seconds: float) -> Call[Stats]:
    """The numbers of the last so many seconds and of now."""
    return Call("GET", "/v1/stats", Stats.model_validate, params={"seconds": seconds})


def attach(name: str, opened: Callable[[], IO[bytes]]) -> Call[Attachment]:
    """Upload a file for a job."""
    return Call("POST", "/v1/attachments", Attachment.model_validate, params={"name": name}, open=opened)


def events(job_id: str) -> str:
    """The path of a job's events."""
    return f"{_job(job_id)}/events"


def kept(job_id: str, ref: str) -> str:
    """The path of a file that a job's result refers to."""
    return f"{_job(job_id)}/files/{quoted(ref)}"


def _job(job_id: str) -> str:
    return f"/v1/jobs/{quoted(job_id)}"


def quoted(part: str) -> str:
    """A part of a path; dots alone would be taken for a way up, and nothing at all for the list."""
    return quote(part, safe="").replace(".", "%2E") or "-"


def _each(kind: Any) -> Callable[[Any], Any]:
    return lambda answer: [kind.model_validate(one) for one in answer["data"]]


def _nothing(_answer: Any) -> None:
    return None
