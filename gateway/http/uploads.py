"""Files that are uploaded, as a form or as the body itself: read to a temporary file, bounded while they are read."""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from agents.contract import Attachment
from gateway.http import forms
from knowledge.errors import UserError
from workers.errors import JobTooLarge
from workers.service import Service

AROUND = 64 * 1024
"""Bytes of a form besides its files."""
MOST_FILES = 100
_FIELDS, _FIELD_BYTES = 8, 4096
_IN_MEMORY = 256 * 1024
_BLOCK = 1 << 20
_LONGEST_NAME = 200
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\u202a-\u202e\u2066-\u2069]+')


class UploadInvalid(UserError):
    """Raised when an upload is broken, or not what its route takes."""

    code = "upload_invalid"


@dataclass(frozen=True)
class Uploaded:
    """An upload that is being taken: its files, each with its name, and the other fields of its form."""

    files: list[tuple[str, IO[bytes]]]
    fields: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def uploaded(request: Request, limit: int, name: str | None = None) -> AsyncIterator[Uploaded]:
    """The files of a request, while they are in use; the temporary ones go afterwards.

    Args:
        request: Its body is read here, as a stream.
        limit: Bytes of all files together.
        name: Of the file where the body is the file itself.

    Raises:
        JobTooLarge: as soon as more than that has come.
        UploadInvalid: the form is broken or holds no file, or the body is empty.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = await _form(request, limit)
        try:
            yield _of_form(form)
        finally:
            await form.close()
        return
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        size = await _spool(request, limit, spool)
        if not size:
            raise UploadInvalid("The body is empty.", hint="Send the file as the body, or a form with the field file.")
        spool.seek(0)
        yield Uploaded([(safe_name(name or ""), spool)])


async def keep(service: Service, tenant: str, name: str, stream: IO[bytes]) -> Attachment:
    """Put a file into the content store as the tenant's own."""

    def put() -> Attachment:
        made = service.attach_stream(name, stream)
        service.uploads.note(tenant, made.ref)
        return made

    return await run_in_threadpool(put)


def safe_name(given: str) -> str:
    """What a file is called here: the last part of the name it came with, without what could be a trick.

    Never a path: ``../../etc/passwd`` is ``passwd``, so it is with backslashes. Without control characters, signs
    that turn the direction of writing, and dots or blanks at the ends. Nothing left: ``file``.
    """
    plain = unicodedata.normalize("NFC", given.encode("utf-8", "replace").decode())
    last = plain.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    clean = " ".join(_NOT_IN_NAMES.sub(" ", last).split()).strip(". ")
    if len(clean) > _LONGEST_NAME:
        stem, dot, suffix = clean.rpartition(".")
        short = len(suffix) <= 10 and stem
        clean = f"{stem[: _LONGEST_NAME - len(suffix) - 1]}{dot}{suffix}" if short else clean[:_LONGEST_NAME]
    return clean or "file"


async def _form(request: Request, limit: int) -> FormData:
    stream = _bounded(request, limit)
    parser = MultiPartParser(
        request.headers, stream, max_files=MOST_FILES, max_fields=_FIELDS, max_part_size=_FIELD_BYTES
    )
    try:
        return await forms.parse(parser)
    except (MultiPartException, FormParserError, KeyError, ValueError, UnicodeError, AssertionError) as error:
        said = error.message if isinstance(error, MultiPartException) else "it is broken"
        raise UploadInvalid(
            f"The form can't be read: {said[:200]}", hint="Send each file in a field file, with its name."
        ) from error
    finally:
        await stream.aclose()


def _of_form(form: FormData) -> Uploaded:
    files: list[tuple[str, IO[bytes]]] = []
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name not in ("file", "files"):
                raise UploadInvalid(f"A file came in the field {name[:40]!a}.", hint="Send files in the field file.")
            files.append((safe_name(value.filename or ""), value.file))
        elif name in fields:
            raise UploadInvalid(f"The form has {name[:40]!a} twice.", hint="Send each field once.")
        else:
            fields[name] = value
    if not files:
        raise UploadInvalid("The form has no file.", hint="Send one in the field file, with its name.")
    return Uploaded(files, fields)


async def _spool(request: Request, limit: int, spool: Any) -> int:
    size, waiting = 0, bytearray()
    async for piece in _bounded(request, limit, around=0):
        size += len(piece)
        waiting += piece
        if len(waiting) >= _BLOCK:
            await run_in_threadpool(partial(spool.write, bytes(waiting)))
            waiting.clear()
    if waiting:
        await run_in_threadpool(partial(spool.write, bytes(waiting)))
    return size


async def _bounded(request: Request, limit: int, around: int = AROUND) -> AsyncGenerator[bytes]:
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit + around:
            raise JobTooLarge(
                f"The upload is larger than {limit:,} bytes.",
                hint="Send less at once; whoever runs the service may raise PHIQ_MAX_FILE_BYTES.",
                limit=limit,
            )
        yield piece
