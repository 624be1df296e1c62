"""/v1/files in OpenAI's shapes: the files that batches read and write."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from gateway.http import problems
from gateway.http.depends import ServiceDep, allow
from gateway.openai.multipart import uploaded
from gateway.openai.shape import OpenAIRoute, responses
from workers.access.principal import Principal
from workers.batches.errors import FileInvalid
from workers.batches.records import FileRecord

router = APIRouter(prefix="/v1/files", tags=["openai"], route_class=OpenAIRoute)
problems.known(file_not_found=404, file_too_large=413, file_in_use=409)

AROUND = 64 * 1024
"""Bytes of a form besides its file."""
BODIES = {"/v1/files": lambda settings: settings.batch_bytes + 2 * AROUND}

Who = Annotated[Principal, allow("batches")]
_SHORTEST, _LONGEST = 3600, 30 * 86400


class FileObject(BaseModel):
    """A file."""

    id: str = Field(examples=["file-0123456789abcdef0123456789abcdef"])
    object: Literal["file"] = "file"
    bytes: int
    created_at: int = Field(description="seconds since 1970")
    expires_at: int | None = None
    filename: str = Field(examples=["requests.jsonl"])
    purpose: Literal["batch", "batch_output"]
    status: Literal["processed"] = "processed"


class FileList(BaseModel):
    """Some files."""

    object: Literal["list"] = "list"
    data: list[FileObject]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


class FileDeleted(BaseModel):
    """A file that is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "JSON lines, one request each"},
                        "purpose": {"type": "string", "enum": ["batch"]},
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {"type": "integer", "minimum": _SHORTEST, "maximum": _LONGEST},
                    },
                }
            }
        },
    }
}


@router.post("", responses=responses(409, 413, 415, 507), openapi_extra=_FORM)
async def upload(request: Request, service: ServiceDep, who: Who) -> FileObject:
    """Upload the input of a batch, as a form; it is read as a stream and refused as soon as it is too large."""
    async with uploaded(request, service.settings.batch_bytes) as form:
        fields = dict(form.fields)
        purpose = fields.pop("purpose", None)
        if purpose != "batch":
            raise FileInvalid(
                "The purpose of the file is missing." if purpose is None else f"{purpose[:40]!a} is no purpose here.",
                hint="phiq keeps files for batches: purpose=batch. Documents go to /v1/documents.",
                field="purpose",
            )
        keep = _keep(fields)
        for name in fields:
            raise FileInvalid(
                f"The form has a field that is not known: {name[:40]!a}.", hint="Leave it out.", field=name[:40]
            )
        files = service.batches.files
        made = await run_in_threadpool(files.put, form.stream, form.name, who.tenant, keep=keep)
        return shown(made)


@router.get("", responses=responses(404))
def index(
    service: ServiceDep,
    who: Who,
    purpose: Annotated[Literal["batch", "batch_output"] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    order: Annotated[Literal["asc", "desc"], Query()] = "desc",
    after: Annotated[str | None, Query(max_length=64, description="a file's id: only what follows it")] = None,
) -> FileList:
    """The files, the latest first."""
    found = service.batches.files.list(who.tenant, limit + 1, after, purpose, oldest_first=order == "asc")
    data = [shown(one) for one in found[:limit]]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return FileList(data=data, first_id=ends[0], last_id=ends[1], has_more=len(found) > limit)


@router.get("/{file_id}", responses=responses(404))
def show(file_id: str, service: ServiceDep, who: Who) -> FileObject:
    """A file's record."""
    return shown(service.batches.files.get(file_id, who.tenant))


@router.get(
    "/{file_id}/content",
    responses={
        **responses(404),
        200: {"content": {"application/jsonl": {"schema": {"type": "string"}}}, "description": "its bytes"},
    },
    response_class=StreamingResponse,
)
def content(file_id: str, service: ServiceDep, who: Who) -> StreamingResponse:
    """A file's bytes, as a stream."""
    record = service.batches.files.get(file_id, who.tenant)
    blocks = service.batches.files.store.blocks(record.ref)
    first = next(blocks, b"")  # what is missing is told before the status is sent

    def whole() -> Any:
        yield first
        yield from blocks

    # Never shown by a browser: it is a stranger's text, on the gateway's own address.
    headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(whole(), media_type="application/jsonl", headers=headers)


@router.delete("/{file_id}", responses=responses(404, 409))
def delete(file_id: str, service: ServiceDep, who: Who) -> FileDeleted:
    """Delete a file; not while a batch reads it."""
    service.batches.files.delete(file_id, who.tenant)
    return FileDeleted(id=file_id)


def shown(record: FileRecord) -> FileObject:
    """A record in OpenAI's shape."""
    return FileObject(
        id=record.id,
        bytes=record.size,
        created_at=int(record.created_at.timestamp()),
        expires_at=None if record.expires_at is None else int(record.expires_at.timestamp()),
        filename=record.name,
        purpose=record.purpose,
    )


def _keep(fields: dict[str, str]) -> float | None:
    """How long the form asks that the file is kept."""
    anchor, seconds = fields.pop("expires_after[anchor]", None), fields.pop("expires_after[seconds]", None)
    if anchor is None and seconds is None:
        return None
    if (
        anchor != "created_at"
        or seconds is None
        or not seconds.isdecimal()
        or not _SHORTEST <= int(seconds) <= _LONGEST
    ):
        raise FileInvalid(
            "expires_after can't be used.",
            hint=f"Its anchor is created_at, its seconds are {_SHORTEST} to {_LONGEST}.",
            field="expires_after",
        )
    return float(seconds)
