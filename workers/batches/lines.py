"""A line of a batch file: read without ever holding more than one, and checked before anything runs.

Two forms, one a batch: OpenAI's `{"custom_id", "method", "url", "body"}` and phiq's `{"custom_id", "job"}`. In the
files that phiq makes of documents a line may carry the `error` of a document that could not be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from workers.batches.errors import BatchLineInvalid

MAX_CUSTOM_ID = 512
_OPENAI, _OWN = {"custom_id", "method", "url", "body"}, {"custom_id", "job"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Line:
    """A line that was read and has the right form; whether its request can be honoured shows when it is submitted.

    Attributes:
        number: Its place in the file, from 1.
        custom_id: Its name.
        body: OpenAI's request, when ``url`` is set; else a job.
        error: Why there is nothing to run; None: there is.
    """

    number: int
    custom_id: str
    url: str | None
    body: dict[str, Any]
    error: dict[str, Any] | None = None


@dataclass(frozen=True)
class Raw:
    """A line as it lies in the file: where it begins, its number, its bytes without the end, and whether it is cut."""

    offset: int
    number: int
    data: bytes
    cut: bool = False


def raw_lines(stream: IO[bytes], limit: int, *, offset: int = 0, number: int = 1) -> Iterator[Raw]:
    """The lines of a stream that are not blank; of one longer than ``limit`` only the beginning is kept.

    Args:
        stream: Read from where it stands.
        limit: Bytes of a line.
        offset: Where it stands.
        number: The number of the line there.
    """
    while data := stream.readline(limit + 2):
        size, rest = len(data), data
        while not rest.endswith(b"\n") and (rest := stream.readline(1 << 16)):
            size += len(rest)  # of a line that is too long
        cut = len(data.rstrip(b"\r\n")) > limit
        if cut or data.strip():
            yield Raw(offset, number, b"" if cut else data.rstrip(b"\r\n"), cut)
        offset += size
        number += 1


def read_line(raw: Raw, endpoint: str | None, *, documents: bool = False, limit: int = 0) -> Line:
    """A line, checked for its form.

    Args:
        raw: The line.
        endpoint: The path that every line of the batch must name; None: they are jobs of phiq's.
        documents: Whether phiq made the file of documents, so that a line may carry an error.
        limit: Bytes of a line, to be named in the error.

    Raises:
        BatchLineInvalid: saying what is wrong with it.
    """
    if raw.cut:
        raise invalid("line_too_large", f"it is longer than {limit:,} bytes", raw.number)
    found = _object(raw)
    custom_id = found.get("custom_id")
    if custom_id is None:
        raise invalid("missing_custom_id", "it has no custom_id", raw.number, "custom_id")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= MAX_CUSTOM_ID or _CONTROL.search(custom_id):
        what = f"its custom_id is not a text of 1 to {MAX_CUSTOM_ID} printable characters"
        raise invalid("invalid_custom_id", what, raw.number, "custom_id")
    if documents and isinstance(found.get("error"), dict):
        return Line(raw.number, custom_id, None, {}, found["error"])
    known = _OWN if endpoint is None else _OPENAI
    for name in sorted(known):
        if name not in found:
            raise invalid("missing_required_parameter", f"it has no {name}", raw.number, name)
    for name in found.keys() - known:
        raise invalid("unknown_parameter", f"it has a field that is not known: {name[:80]!a}", raw.number, name[:80])
    if endpoint is not None:
        if found["method"] != "POST":
            raise invalid("invalid_method", "its method is not POST", raw.number, "method")
        if found["url"] != endpoint:
            what = f"its url is {str(found['url'])[:80]!a}; the batch's endpoint is {endpoint}"
            raise invalid("invalid_url", what, raw.number, "url")
    name = "job" if endpoint is None else "body"
    if not isinstance(found[name], dict):
        raise invalid("invalid_body", f"its {name} is not a JSON object", raw.number, name)
    return Line(raw.number, custom_id, endpoint, found[name])


def _object(raw: Raw) -> dict[str, Any]:
    try:
        text = raw.data.decode()
    except UnicodeDecodeError as error:
        raise invalid("invalid_encoding", f"it is not UTF-8 (byte {error.start + 1})", raw.number) from error
    if raw.offset == 0:
        text = text.removeprefix("\ufeff")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise invalid("invalid_json_line", f"it is not JSON: {error}", raw.number) from error
    except RecursionError as error:
        raise invalid("invalid_json_line", "it is nested too deeply", raw.number) from error
    if not isinstance(found, dict):
        raise invalid("invalid_json_line", "it is not a JSON object", raw.number)
    return found


def invalid(reason: str, what: str, number: int, param: str | None = None) -> BatchLineInvalid:
    """The error for a line; ``what`` goes on after "Line 7 can't be taken: "."""
    return BatchLineInvalid(
        f"Line {number} can't be taken: {what}.",
        hint="See docs/http.md (Batches) for the form of a line.",
        subject=str(number),
        reason=reason,
        line=number,
        param=param,
    )
