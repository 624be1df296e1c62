"""/v1/attachments: files that jobs refer to, such as the pictures of a describe job."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from agents.contract import Attachment
from gateway.http import problems, uploads
from gateway.http.depends import ServiceDep, allow
from workers.access.principal import Principal
from workers.settings import Settings

router = APIRouter(prefix="/v1/attachments", tags=["attachments"])


def _bytes(settings: Settings) -> int:
    return settings.max_file_bytes + uploads.AROUND


BODIES = {"/v1/attachments": _bytes}
problems.known(upload_invalid=400)

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}},
        },
    }
}


@router.post("", status_code=201, responses=problems.responses(408, 413, 507), openapi_extra=BODY)
async def attach(
    request: Request,
    service: ServiceDep,
    who: Annotated[Principal, allow("jobs:write")],
    name: Annotated[str, Query(max_length=1024, description="of the file, where the body is the file itself")] = "",
) -> Attachment:
    """Upload one file: as a form with the field `file`, or as the body itself.

    A job carries what this answers, as it is. Only jobs of the same tenant may, within a day.
    """
    async with uploads.uploaded(request, service.settings.max_file_bytes, name) as upload:
        if len(upload.files) != 1 or upload.fields:
            raise uploads.UploadInvalid("The form has more than one file.", hint="Send one at a time.")
        called, stream = upload.files[0]
        return await uploads.keep(service, who.tenant, called, stream)
