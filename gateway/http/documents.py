"""/v1/documents: upload, list, look at, delete. What is uploaded becomes an ingest job."""

from __future__ import annotations

import base64
import binascii
from typing import IO, Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from agents.contract import IngestFile, IngestInput
from gateway.http import problems, reach, uploads
from gateway.http.attachments import BODY
from gateway.http.depends import ServiceDep, allow
from workers.access.principal import Principal
from workers.documents import document_not_found
from workers.errors import JobNotFound
from workers.jobs import IngestJob, JobRecord, State
from workers.service import Service
from workers.settings import Settings

router = APIRouter(prefix="/v1/documents", tags=["documents"])

Reader = Annotated[Principal, allow("documents:read")]
Writer = Annotated[Principal, allow("documents:write")]
Where = Annotated[str, Query(min_length=1, max_length=128, description="the collection's name")]
_LONGEST_SOURCE = 2000


def _bytes(settings: Settings) -> int:
    return settings.max_file_bytes + uploads.AROUND


BODIES = {"/v1/documents": _bytes}


class DocumentInfo(BaseModel):
    """A document. ``state``: of the job that takes it in, and `ready` once its passages are there."""

    id: str
    source: str = Field(description="its identity in the collection; uploading under it again replaces it")
    collection: str
    title: str = ""
    passages: int = 0
    state: str = Field(default="ready", description="queued, running, ready, failed, cancelled, expired, dead")
    job: str | None = Field(default=None, description="the job that took it in last, as far as it is kept")
    error: dict[str, object] | None = Field(default=None, description="why it could not be taken in")


class DocumentPage(BaseModel):
    """Some documents, by source."""

    data: list[DocumentInfo]
    next: str | None = Field(default=None, description="give it as `after` for the page after this one")


class Accepted(BaseModel):
    """What was uploaded, and the job that takes it in."""

    job: JobRecord
    documents: list[DocumentInfo]


@router.post("", status_code=202, responses=problems.responses(404, 408, 409, 413, 507), openapi_extra=BODY)
async def upload(
    request: Request,
    response: Response,
    service: ServiceDep,
    who: Writer,
    collection: Where = "default",
    name: Annotated[str, Query(max_length=1024, description="of the file, where the body is the file itself")] = "",
    source: Annotated[
        str | None,
        Query(min_length=1, max_length=_LONGEST_SOURCE, description="its identity, for one file; else its name"),
    ] = None,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> Accepted:
    """Upload documents (docs/answers.md has the kinds): a form with files in the field `file`, or one as the body.

    All files of a form become one job. A file that can't be read is told in its result and stops no other.
    """
    reach.may_use(who, collection)
    async with uploads.uploaded(request, service.settings.max_file_bytes, name) as upload:
        if upload.fields:
            raise uploads.UploadInvalid(
                f"The form has a field that is not known: {next(iter(upload.fields))[:40]!a}.",
                hint="collection, name and source go into the query.",
            )
        if source is not None and len(upload.files) != 1:
            raise uploads.UploadInvalid("One source was named for several files.", hint="Upload them one at a time.")
        files = [await _kept(service, who, called, source or called, stream) for called, stream in upload.files]
    twice = {file.source for file in files if sum(file.source == other.source for other in files) > 1}
    if twice:
        raise uploads.UploadInvalid(
            f"Two files have the same name: {min(twice)[:200]}.", hint="Rename one, or upload them one at a time."
        )
    job = IngestJob(
        input=IngestInput(files=files, collection=collection),
        tenant=who.tenant,
        idempotency_key=idempotency_key,
        metadata={"name": ", ".join(file.name for file in files)[:200]},
    )
    record = await run_in_threadpool(_submitted, service, job)
    response.headers["Location"] = f"/v1/jobs/{record.id}"
    return Accepted(
        job=record,
        documents=[
            DocumentInfo(
                id=document_id(file.source),
                source=file.source,
                collection=collection,
                state=str(record.state),
                job=record.id,
            )
            for file in files
        ],
    )


@router.get("", responses=problems.responses(404))
def index(
    service: ServiceDep,
    who: Reader,
    collection: Where = "default",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str | None, Query(max_length=8192, description="a document's id: only those after it")] = None,
) -> DocumentPage:
    """The documents whose passages are in a collection, by source."""
    reach.may_use(who, collection)
    found = service.documents.documents(who.tenant, collection)
    if after is not None:
        last = source_of(after, collection)
        found = [one for one in found if one.source > last]
    page = [
        DocumentInfo(
            id=document_id(one.source),
            source=one.source,
            collection=collection,
            title=one.title,
            passages=one.passages,
        )
        for one in found[:limit]
    ]
    return DocumentPage(data=page, next=page[-1].id if len(found) > limit else None)


@router.get("/{document_id}", responses=problems.responses(404))
def show(document_id: str, service: ServiceDep, who: Reader, collection: Where = "default") -> DocumentInfo:
    """A document: whether it is in, or what became of it."""
    reach.may_use(who, collection)
    source = source_of(document_id, collection)
    passages = service.documents.passages(who.tenant, collection, source)
    job_id = service.uploads.document_job(who.tenant, collection, source)
    info = DocumentInfo(id=document_id, source=source, collection=collection, passages=passages, job=job_id)
    record = _record(service, who.tenant, job_id)
    if record is None:
        if not passages:
            raise document_not_found(collection, source)
        return info.model_copy(update={"job": None})
    return _with_job(info, record)


@router.delete("/{document_id}", status_code=204, response_class=Response, responses=problems.responses(404, 409))
def delete(document_id: str, service: ServiceDep, who: Writer, collection: Where = "default") -> None:
    """Delete a document's passages. Answers that quote it stay until they expire; `phiq erase` takes them too."""
    reach.may_use(who, collection)
    service.documents.remove(who.tenant, collection, source_of(document_id, collection))


def document_id(source: str) -> str:
    """A document's id: its source in a form that fits into a path."""
    return base64.urlsafe_b64encode(source.encode("utf-8", "replace")).decode().rstrip("=")


def source_of(document_id: str, collection: str) -> str:
    """The source that an id stands for.

    Raises:
        DocumentNotFound: it stands for none.
    """
    try:
        padded = document_id.encode("ascii") + b"=" * (-len(document_id) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise document_not_found(collection, document_id) from error


async def _kept(service: Service, who: Principal, name: str, source: str, stream: IO[bytes]) -> IngestFile:
    attached = await uploads.keep(service, who.tenant, name, stream)
    return IngestFile(source=source.encode("utf-8", "replace").decode(), **attached.model_dump())


def _submitted(service: Service, job: IngestJob) -> JobRecord:
    record = service.submit(job)
    for file in job.input.files:
        service.uploads.note_document(
            job.tenant, job.input.collection, file.source, record.id, service.settings.result_ttl
        )
    return record


def _record(service: Service, tenant: str, job_id: str | None) -> JobRecord | None:
    if job_id is None:
        return None
    try:
        return service.get(job_id, tenant)
    except JobNotFound:
        return None


def _with_job(info: DocumentInfo, record: JobRecord) -> DocumentInfo:
    """What the job says of it goes before what lies there: an older version may."""
    if record.state is not State.SUCCEEDED:
        return info.model_copy(update={"state": str(record.state), "error": record.error})
    reports = (record.result or {}).get("files", [])
    report: dict[str, Any] = next((one for one in reports if one.get("source") == info.source), {})
    if report.get("status") == "failed":
        return info.model_copy(update={"state": "failed", "error": report.get("error")})
    if not info.passages:
        raise document_not_found(info.collection, info.source)
    return info
