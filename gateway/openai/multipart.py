"""A file that is uploaded as a form, read to a temporary file and never whole into memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from gateway.http import forms
from knowledge.errors import UserError
from workers.batches.errors import FileInvalid, FileTooLarge

_FIELDS, _FIELD_BYTES = 16, 4096
_AROUND = 64 * 1024
"""Bytes of a form besides its file."""


class ContentTypeUnsupported(UserError):
    """Raised when a body is not of the type a route takes."""

    code = "content_type_unsupported"


@dataclass(frozen=True)
class Upload:
    """A file with the other fields of its form."""

    name: str
    stream: IO[bytes]
    fields: dict[str, str]


@asynccontextmanager
async def uploaded(request: Request, limit: int) -> AsyncIterator[Upload]:
    """The one file of a form, while it is in use; the temporary file goes afterwards.

    Args:
        request: Its body is read here, as a stream.
        limit: Bytes of the file.

    Raises:
        FileTooLarge: as soon as more than that has come.
        FileInvalid: the form is broken, or has not exactly one file.
        ContentTypeUnsupported: the body is no form.
    """
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        raise ContentTypeUnsupported("The body is not multipart/form-data.", hint="Upload the file as a form.")
    stream = _bounded(request, limit)
    parser = MultiPartParser(request.headers, stream, max_files=1, max_fields=_FIELDS, max_part_size=_FIELD_BYTES)
    try:
        form = await forms.parse(parser)
    except (MultiPartException, FormParserError, KeyError, ValueError, UnicodeError, AssertionError) as error:
        said = error.message if isinstance(error, MultiPartException) else "it is broken"
        raise FileInvalid(f"The form can't be read: {said[:200]}", hint="Send one file in the field file.") from error
    finally:
        await stream.aclose()
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise FileInvalid("The form has no file.", hint="Send one in the field file, with its name.", field="file")
        fields: dict[str, str] = {}
        for name, value in form.multi_items():
            if name != "file" and isinstance(value, str):
                if name in fields:
                    raise FileInvalid(
                        f"The form has {name[:40]!a} twice.", hint="Send each field once.", field=name[:40]
                    )
                fields[name] = value
        if len(form.getlist("file")) > 1:
            raise FileInvalid("The form has more than one file.", hint="Send one at a time.", field="file")
        yield Upload(file.filename or "", file.file, fields)
    finally:
        await form.close()


async def _bounded(request: Request, limit: int) -> AsyncGenerator[bytes]:
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit + _AROUND:
            raise FileTooLarge(
                f"The file is larger than {limit:,} bytes.",
                hint="Split it into several batches, or raise PHIQ_BATCH_BYTES.",
                limit=limit,
            )
        yield piece
