"""JSON and JSON lines: a record becomes a section of ``name: value`` lines; tickets are read as conversations."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from knowledge.errors import DocumentTooLarge, DocumentUnreadable
from knowledge.load import tickets
from knowledge.load.content import Content
from knowledge.load.encoding import decode
from knowledge.load.limits import LoadLimits
from knowledge.load.moments import moment
from knowledge.load.sections import plain
from knowledge.types import Section

# Numbers stay as they are written: 1.10 is not 1.1 to who looks for it.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_SPACE = re.compile(r"[ \t\n\r]*")
_NAMED = ("title", "name", "subject", "question", "heading", "key", "id")
_MOMENTS = ("updated_at", "modified", "updated", "created_at", "date", "timestamp")
_LONGEST_LINE = 200


class _Record(NamedTuple):
    value: Any
    place: str
    line: int


def load_json(data: bytes, name: str, limits: LoadLimits) -> Content:
    """Sections of a list's entries, or of an object's; what is within them is named by its path (``a.b.c``).

    Raises:
        DocumentUnreadable: when it is no JSON; says the line.
        DocumentTooLarge: when it has more records than allowed.
    """
    text = decode(data, name)
    return _content(_entries(text, name), name, limits)


def load_jsonl(data: bytes, name: str, limits: LoadLimits) -> Content:
    """As :func:`load_json`, a record a line.

    Raises:
        DocumentUnreadable: when a line is no JSON; says which.
        DocumentTooLarge: when it has more records than allowed.
    """
    return _content(_lines(decode(data, name), name), name, limits)


def _lines(text: str, name: str) -> Iterator[_Record]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _Record(_parse(line, name, number), f"line {number}", number)


def _entries(text: str, name: str) -> Iterator[_Record]:
    """The entries of the outermost list, or the values of the outermost object; of lists of records, the records."""
    value = _parse(text, name)
    begin = _behind_space(text, 0)
    if isinstance(value, dict) and not tickets.is_ticket(value):
        flat: dict[str, Any] = {}
        for key, inner, at in _members(text, begin):
            if isinstance(inner, list) and _records(inner):
                yield from _listed(text, at, f"{plain(key)} ")
            elif isinstance(inner, dict) and inner:
                yield _Record(inner, plain(key), text.count("\n", 0, at) + 1)
            else:
                flat[key] = inner
        yield _Record(flat, "", text.count("\n", 0, begin) + 1)
    elif isinstance(value, list) and _records(value):
        yield from _listed(text, begin, "entry ")
    else:
        yield _Record(value, "", text.count("\n", 0, begin) + 1)


def _members(text: str, at: int) -> Iterator[tuple[str, Any, int]]:
    """Keys and values of the object at a place, with the place of each value."""
    at = _behind_space(text, at + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        begin = _behind_space(text, _behind_space(text, at) + 1)
        value, at = _DECODER.raw_decode(text, begin)
        yield key, value, begin
        at = _behind_space(text, at)
        at = _behind_space(text, at + 1) if text[at] == "," else at


def _listed(text: str, at: int, label: str) -> Iterator[_Record]:
    """The entries of the list at a place."""
    line, counted = text.count("\n", 0, at) + 1, at
    number, at = 0, _behind_space(text, at + 1)
    while text[at] != "]":
        line, counted, number = line + text.count("\n", counted, at), at, number + 1
        value, at = _DECODER.raw_decode(text, at)
        yield _Record(value, f"{label}{number}", line)
        at = _behind_space(text, at)
        at = _behind_space(text, at + 1) if text[at] == "," else at


def _behind_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _records(values: list[Any]) -> bool:
    return any(isinstance(value, dict) for value in values)


def _parse(text: str, name: str, line: int | None = None) -> Any:
    try:
        stripped = text.strip()
        value, end = _DECODER.raw_decode(stripped)
        if end != len(stripped):
            raise json.JSONDecodeError("Extra data", stripped, end)
    except json.JSONDecodeError as error:
        where = line or error.lineno + text[: len(text) - len(text.lstrip())].count("\n")
        raise DocumentUnreadable(
            f"{name} is no valid JSON: line {where}, column {error.colno}: {error.msg}.",
            hint="Export it again; one record a line belongs into a file that ends in .jsonl.",
            subject=name,
            line=where,
        ) from error
    except RecursionError as error:
        raise DocumentUnreadable(
            f"{name} is nested deeper than a document ever is.", hint="Export it flatter.", subject=name
        ) from error
    return value


def _content(records: Iterator[_Record], name: str, limits: LoadLimits) -> Content:
    sections: list[Section] = []
    for count, record in enumerate(records, start=1):
        if count > limits.max_rows:
            raise DocumentTooLarge(
                f"{name} has more than {limits.max_rows:,} records.",
                hint="Split it into several files.",
                subject=name,
                rows=limits.max_rows,
            )
        if tickets.is_ticket(record.value):
            sections += tickets.sections_of(record.value, record.line)
            continue
        text = "\n".join(_told(record.value, ""))
        if text:
            sections.append(
                Section(
                    text=text,
                    heading=_heading(record),
                    line=record.line,
                    relaid=True,
                    modified=_modified(record.value),
                )
            )
    return Content("", tuple(sections))


def _told(value: Any, path: str) -> Iterator[str]:
    """A value as lines of ``path: value``; empty ones are left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _told(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        flat = [_scalar(inner) for inner in value if not isinstance(inner, dict | list)]
        if len(flat) == len(value) and sum(map(len, flat)) < _LONGEST_LINE:
            joined = ", ".join(word for word in flat if word)
            if joined:
                yield f"{path}: {joined}" if path else joined
            return
        for number, inner in enumerate(value, start=1):
            yield from _told(inner, f"{path} {number}".strip())
    elif words := _scalar(value):
        yield f"{path}: {words}" if path else words


def _scalar(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).strip()


def _heading(record: _Record) -> str:
    if isinstance(record.value, dict):
        for key in _NAMED:
            said = record.value.get(key)
            if isinstance(said, str) and said.strip():
                return f"{record.place}: {plain(said)}" if record.place else plain(said)
    return record.place


def _modified(value: Any) -> Any:
    if isinstance(value, dict):
        for key in _MOMENTS:
            if found := moment(value.get(key)):
                return found
    return None
