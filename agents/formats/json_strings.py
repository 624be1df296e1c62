"""JSON files of strings: values are translated, keys and everything else stay.

Knows what is no text in files of translations: ARB's ``@`` entries, the descriptions and placeholders of a browser
extension's messages, addresses, dates, colours, identifiers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from agents.checks.protect import has_words
from agents.errors import FormatBroken
from agents.segments import Bit

_TOKEN = re.compile(r'"(?P<body>(?:[^"\\]|\\.)*+)"|[{}\[\]:,]')
_ESCAPED = re.compile(r"\\u[0-9a-fA-F]{4}|\\.|[^\\]+")
_BREAKS = frozenset({"\\n", "\\r", "\\t"})
_NO_TEXT = re.compile(
    r"#[0-9a-fA-F]{3,8}|[\w-]+(?:[._/:\\][\w-]+)+[/\\]?|\d{4}-\d\d-\d\dT[\d:.,Z+-]+|[0-9a-fA-F-]{32,36}|\w*_\w*"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_PLACE = 120


@dataclass
class _Level:
    """An object or array that is open: the key or number of what comes next, and whether it is kept whole."""

    array: bool
    kept: bool
    key: str = ""
    number: int = 0
    wants_value: bool = field(default=False)

    @property
    def place(self) -> str:
        return f"[{self.number}]" if self.array else self.key


def json_bits(text: str, target: str = "") -> Iterator[Bit]:
    """The bits of a JSON document.

    Args:
        text: The document.
        target: Code that stands as ``@@locale`` afterwards; empty leaves it.

    Raises:
        FormatBroken: when it can't be read as JSON; says where.
    """
    bare = text.removeprefix("\ufeff")
    messages = _is_messages(_parsed(bare))
    plain = "\\u" in bare  # a file that escapes other letters goes on doing so
    levels: list[_Level] = []
    last = len(text) - len(bare)
    yield Bit(text[:last])
    for token in _TOKEN.finditer(text, last):
        yield Bit(text[last : token.start()])
        last = token.end()
        level = levels[-1] if levels else None
        if token["body"] is None:
            yield Bit(token[0])
            _structure(token[0], levels)
        elif level is not None and not level.array and not level.wants_value:
            level.key = _decoded(token["body"])
            yield Bit(token[0])
        elif level is not None and level.key == "@@locale" and target:
            yield Bit(json.dumps(target))
        elif _is_kept(levels) or (messages and not _is_message(levels)):
            yield Bit(token[0])
        else:
            yield Bit('"')
            yield from _pieces(token["body"], _place(levels), plain=plain)
            yield Bit('"')
    yield Bit(text[last:])


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise FormatBroken(
            f"The text is not JSON: {error.msg}, line {error.lineno}, column {error.colno}.",
            hint="Mend that place, or translate it as plain text: --format plain",
            line=error.lineno,
        ) from error
    except (RecursionError, ValueError) as error:
        raise FormatBroken(
            "The JSON can't be read: it is nested too deep, or holds a number that is too long.",
            hint="Take it apart, or translate it as plain text: --format plain",
        ) from error


def _is_messages(parsed: Any) -> bool:
    """Whether it is a browser extension's file: each entry an object with its ``message``."""
    return (
        isinstance(parsed, dict)
        and bool(parsed)
        and all(isinstance(entry, dict) and isinstance(entry.get("message"), str) for entry in parsed.values())
    )


def _is_message(levels: list[_Level]) -> bool:
    return len(levels) == 2 and levels[-1].key == "message"


def _structure(mark: str, levels: list[_Level]) -> None:
    if mark in "{[":
        levels.append(_Level(mark == "[", kept=_is_kept(levels)))
    elif mark in "}]":
        levels.pop()
    elif mark == ":":
        levels[-1].wants_value = True
    else:
        levels[-1].wants_value = False
        levels[-1].number += 1


def _is_kept(levels: list[_Level]) -> bool:
    return bool(levels) and (levels[-1].kept or (not levels[-1].array and levels[-1].key.startswith("@")))


def _place(levels: list[_Level]) -> str:
    place = ".".join(level.place for level in levels).replace(".[", "[")
    return place if len(place) <= _LONGEST_PLACE else f"…{place[-_LONGEST_PLACE:]}"


def _decoded(body: str) -> str:
    return str(json.loads(f'"{body}"', strict=False))


def _pieces(body: str, place: str, *, plain: bool) -> Iterator[Bit]:
    """The lines of a string, each a unit; what separates them stays as it was written."""
    if _NO_TEXT.fullmatch(body):
        yield Bit(body)
        return
    line = ""
    for part in _ESCAPED.findall(body):
        if part not in _BREAKS:
            line += part
            continue
        yield from _line(line, place, plain=plain)
        yield Bit(part)
        line = ""
    yield from _line(line, place, plain=plain)


def _line(raw: str, place: str, *, plain: bool) -> Iterator[Bit]:
    core = raw.strip()
    asked = _decoded(core)
    if not has_words(asked) or _SURROGATE.search(asked):
        yield Bit(raw)
        return
    start = raw.index(core)
    yield Bit(raw[:start])
    yield Bit(core, unit=True, asked=" ".join(asked.split()), place=place, write=_escaped(plain=plain))
    yield Bit(raw[start + len(core) :])


def _escaped(*, plain: bool) -> Callable[[str], str]:
    return lambda text: json.dumps(text, ensure_ascii=plain)[1:-1]
