"""/v1/batches in OpenAI's shapes, and a little more: lines with phiq's own jobs, progress in seconds."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict, Field

from gateway.http import problems
from gateway.http.depends import ServiceDep, allow
from gateway.openai.shape import OpenAIRoute, responses
from workers.access.principal import Principal
from workers.batches.errors import BatchInvalid
from workers.batches.records import BatchRecord, BatchState
from workers.errors import IdempotencyConflict

router = APIRouter(prefix="/v1/batches", tags=["openai"], route_class=OpenAIRoute)
problems.known(batch_not_found=404, batch_ended=409)

Who = Annotated[Principal, allow("batches")]
Endpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/jobs"]
OWN = "/v1/jobs"
"""The endpoint of lines that carry phiq's own jobs."""
_WINDOW = re.compile(r"([1-9][0-9]{0,3})([hd])")
_LONGEST = 30 * 86400


class BatchCreate(BaseModel):
    """What starts a batch."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "input_file_id": "file-0123456789abcdef0123456789abcdef",
                    "endpoint": "/v1/chat/completions",
                    "completion_window": "24h",
                }
            ]
        },
    )
    input_file_id: str = Field(max_length=64)
    endpoint: Endpoint = Field(description="the url of each line; /v1/jobs: lines are {custom_id, job}")
    completion_window: str = Field(default="24h", pattern=r"^[1-9][0-9]{0,3}[hd]$", description="1h to 30d")
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None = Field(
        default=None, max_length=16
    )
    model: str | None = Field(default=None, max_length=256, description="phiq's: for lines that name no model")
    name: str = Field(default="", max_length=256, description="phiq's: for people")
    documents: bool = Field(default=False, description="phiq's: a line may carry a document's error")
    webhook: str | None = Field(default=None, max_length=64, description="phiq's: the endpoint that is told of the end")


class Counts(BaseModel):
    """Lines; those that have ended count at once, before they are in the output."""

    total: int
    completed: int
    failed: int


class Problems(BaseModel):
    """Why a batch failed."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]


class Batch(BaseModel):
    """A batch."""

    id: str = Field(examples=["batch_0123456789abcdef0123456789abcdef"])
    object: Literal["batch"] = "batch"
    endpoint: str
    errors: Problems | None = None
    input_file_id: str
    completion_window: str
    status: BatchState
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int
    in_progress_at: int | None = None
    expires_at: int
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: Counts
    usage: dict[str, Any]
    metadata: dict[str, str] | None = None
    model: str | None = None
    seconds: float = Field(description="phiq's: how long its jobs ran, together")
    name: str | None = None
    origin: str | None = None


class BatchList(BaseModel):
    """Some batches."""

    object: Literal["list"] = "list"
    data: list[Batch]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


@router.post("", responses=responses(404, 409, 507))
def create(
    body: BatchCreate,
    service: ServiceDep,
    who: Who,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> Batch:
    """Start a batch over a file that was uploaded. With an idempotency key, asking again gives the batch there is."""
    batch_id = None
    if idempotency_key is not None:
        batch_id = f"batch_{hashlib.sha256(f'{who.tenant} {idempotency_key}'.encode()).hexdigest()[:32]}"
    window = _WINDOW.fullmatch(body.completion_window)
    seconds = 0 if window is None else int(window[1]) * {"h": 3600, "d": 86400}[window[2]]
    if not 0 < seconds <= _LONGEST:
        raise BatchInvalid(
            "completion_window can't be used.", hint="Write 1h to 720h, or 1d to 30d.", field="completion_window"
        )
    if body.webhook is not None:
        service.webhooks.get(who.tenant, body.webhook)
    made = service.batches.create(
        who.tenant,
        body.input_file_id,
        expires_in=seconds,
        batch_id=batch_id,
        metadata=body.metadata,
        task={} if body.documents else None,
        name=body.name,
        endpoint=None if body.endpoint == OWN else body.endpoint,
        model=body.model,
        webhook=body.webhook,
        key=who.key_id,
    )
    if made.input_file != body.input_file_id:
        raise IdempotencyConflict(
            f"The idempotency key was used before for a different batch ({made.id}).",
            hint="Use a new key for a new batch; the same request with the same key gives the same batch.",
            subject=made.id,
        )
    return shown(made)


@router.get("", responses=responses(404))
def index(
    service: ServiceDep,
    who: Who,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(max_length=64, description="a batch's id: only what follows it")] = None,
) -> BatchList:
    """The batches, the latest first."""
    found = service.batches.list(who.tenant, limit + 1, after)
    data = [shown(one) for one in found[:limit]]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return BatchList(data=data, first_id=ends[0], last_id=ends[1], has_more=len(found) > limit)


@router.get("/{batch_id}", responses=responses(404))
def show(batch_id: str, service: ServiceDep, who: Who) -> Batch:
    """A batch as it is now."""
    return shown(service.batches.get(batch_id, who.tenant))


@router.post("/{batch_id}/cancel", responses=responses(404, 409))
def cancel(batch_id: str, service: ServiceDep, who: Who) -> Batch:
    """Let no more lines start and end those that run; what is done is kept."""
    return shown(service.batches.cancel(batch_id, who.tenant))


def shown(record: BatchRecord) -> Batch:
    """A record in OpenAI's shape."""
    ended = {f"{record.state.value}_at": _seconds(record.finished_at)} if record.state.final else {}
    usage = record.usage
    return Batch(
        id=record.id,
        endpoint=record.endpoint or OWN,
        errors=Problems(data=[one.model_dump() for one in record.errors]) if record.errors else None,
        input_file_id=record.input_file,
        completion_window=_window(record),
        status=record.state,
        output_file_id=record.output_file,
        error_file_id=record.error_file,
        created_at=int(record.created_at.timestamp()),
        in_progress_at=_seconds(record.started_at),
        expires_at=int(record.expires_at.timestamp()),
        finalizing_at=_seconds(record.finalizing_at),
        cancelling_at=_seconds(record.cancelling_at),
        request_counts=Counts(total=record.total, completed=record.completed, failed=record.failed),
        usage={
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        },
        metadata=record.metadata or None,
        model=record.model,
        seconds=record.seconds,
        name=record.name or None,
        origin=record.origin,
        **ended,
    )


def _window(record: BatchRecord) -> str:
    hours = round((record.expires_at - record.created_at).total_seconds() / 3600)
    return f"{max(1, hours)}h"


def _seconds(instant: datetime | None) -> int | None:
    return None if instant is None else int(instant.timestamp())
