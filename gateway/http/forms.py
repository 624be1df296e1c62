"""Reads a form to its end, and leaves no temporary file of one that is broken."""

from __future__ import annotations

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser


async def parse(parser: MultiPartParser) -> FormData:
    """The form.

    Raises:
        MultiPartException: it is broken, or ends within a file.
    """
    form = await parser.parse()
    kept = {id(value.file) for _, value in form.multi_items() if isinstance(value, UploadFile)}
    # Starlette closes these when the form can't be read, but it can, as far as it goes, when it is merely cut off.
    cut = [file for file in parser._files_to_close_on_error if id(file) not in kept]  # noqa: SLF001
    if cut:
        for file in cut:
            file.close()
        await form.close()
        raise MultiPartException("It ends within a file.")
    return form
