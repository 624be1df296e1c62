"""Cuts Markdown or plain text into what is translated and what is kept byte for byte.

The bits put together are the text. Headings, list items, table cells and paragraphs are units; marks, indentation,
line ends, code, link definitions and front matter stay as they are.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from agents.checks.protect import begins_block, has_words

_ENDS = "\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
_LINE = re.compile(f"[^{_ENDS}]*(?:\r\n|[{_ENDS}])|[^{_ENDS}]+")
_FENCE = re.compile(r"\s*(?:(?:>|[-*+]|\d{1,9}[.)])\s+)*(?P<fence>`{3,}(?=[^`]*$)|~{3,}|\$\$$)")
_RAW = re.compile(r"\s*<(?P<tag>script|style|pre|textarea)\b", re.IGNORECASE)
_PREFIX = re.compile(
    r"\s*(?:>\s?)*"
    r"(?P<open>(?:[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?)*(?:[ \t]*#{1,6}[ \t]+)?)\s*"
)
_RULE = re.compile(r"[\s>]*(?:(?:[-*_][ \t]*){3,}|=+|-+)")
_DEFINITION = re.compile(r"\s{0,3}\[[^\]]+\]:\s*\S")
_DELIMITER = re.compile(r"\s*\|?(?:\s*:?-+:?\s*\|)+(?:\s*:?-+:?)?")
_CELL = re.compile(r"((?:\\.|[^|\\])+|\|)")
_MARKDOWN = re.compile(r"^(?:#{1,6} |```|~~~|[-*+] |\d+[.)] |\|)", re.MULTILINE)
WIDEST = 120
"""Characters of a line up to which a paragraph is taken to be wrapped by hand."""

RAGGED = 4
"""Characters by which people wrap lines short of the widest."""


class Bit(NamedTuple):
    """A stretch of the text; a ``unit`` is translated, the rest is kept.

    ``asked`` is the unit on one line; ``rest`` is what begins its further lines, where it was wrapped. ``place`` is
    where it stands, for people; ``write`` makes of a translation what stands in the file, in formats that escape text.
    """

    text: str
    unit: bool = False
    asked: str = ""
    rest: str = ""
    place: str = ""
    write: Callable[[str], str] | None = None

    def restored(self, translation: str) -> str:
        """A translation of ``asked`` in the unit's place, wrapped as the unit was."""
        if translation == self.asked and self.text:
            return self.text
        if self.write is not None:
            return self.write(translation)
        lines = _LINE.findall(self.text)
        if len(lines) < 2:
            return translation
        end = lines[0][len(lines[0].rstrip(_ENDS)) :]
        width = max(len(line.rstrip()) for line in lines)
        wrapped = textwrap.wrap(translation, max(width, 20), break_long_words=False, break_on_hyphens=False)
        if any(begins_block(line) for line in wrapped[1:]):
            # A number or dash that came to stand first would make a list of it.
            return translation
        return f"{end}{self.rest}".join(wrapped)


class _Line(NamedTuple):
    text: str
    prefix: str
    body: str
    tail: str
    quotes: int
    opens: bool


def split_bits(text: str) -> list[Bit]:
    """The bits of a text, in order."""
    return list(merge(_bits(text)))


def plain_bits(text: str) -> list[Bit]:
    """The bits of a text without any marks: paragraphs, on one line or wrapped by hand."""
    return list(merge(_plain(text)))


def _plain(text: str) -> Iterator[Bit]:
    block: list[_Line] = []
    for line in _LINE.findall(text):
        body = line.strip()
        if body:
            start = line.index(body)
            block.append(_Line(line, line[:start], body, line[start + len(body) :], 0, opens=False))
            continue
        if block:
            yield from _units(block)
        block = []
        yield Bit(line)
    if block:
        yield from _units(block)


def merge(bits: Iterable[Bit]) -> Iterator[Bit]:
    """Join neighbours that are both kept, and drop empty ones."""
    kept = ""
    for bit in bits:
        if bit.unit:
            if kept:
                yield Bit(kept)
            kept = ""
            yield bit
        else:
            kept += bit.text
    if kept:
        yield Bit(kept)


def _bits(text: str) -> Iterator[Bit]:
    lines = _LINE.findall(text)
    markdown = bool(_MARKDOWN.search(text))
    number = _front_matter(lines)
    yield Bit("".join(lines[:number]))
    after_blank, in_list, in_table = True, False, False
    while number < len(lines):
        line = lines[number]
        indented = line.startswith((" ", "\t"))
        closing = _kept_until(lines, number)
        is_code = markdown and after_blank and not in_list and line.startswith(("    ", "\t"))
        if closing > number or is_code or not line.strip():
            closing = max(closing, number + 1)
            yield Bit("".join(lines[number:closing]))
            in_table = _is_delimiter(line)
            in_list = in_list and (indented or not line.strip())
            after_blank = is_code or not line.strip()
            number = closing
            continue
        after_blank = False
        in_table = in_table and "|" in line
        if in_table or _is_row(lines, number):
            yield from _cells(line)
            number += 1
            continue
        block = _block(lines, number)
        in_list = block[0].opens or (in_list and indented)
        yield from _units(block)
        number += len(block)


def _front_matter(lines: list[str]) -> int:
    """How many lines of settings the text begins with."""
    if lines and lines[0].rstrip() == "---":
        for number, line in enumerate(lines[1:200], 1):
            if line.rstrip() in ("---", "..."):
                return number + 1
    return 0


def _kept_until(lines: list[str], number: int) -> int:
    """Where a stretch ends that is kept whole: a fence, raw HTML, a comment, a rule, a definition; or ``number``."""
    line = lines[number].rstrip(_ENDS)
    if fence := _FENCE.match(line):
        mark = fence["fence"]
        return _after(lines, number + 1, lambda other: _closes(other, mark))
    if raw := _RAW.match(line):
        end = f"</{raw['tag'].lower()}"
        return _after(lines, number, lambda other: end in other.lower())
    if line.lstrip().startswith("<!--"):
        return _after(lines, number, lambda other: "-->" in other)
    if _RULE.fullmatch(line.rstrip()) or _is_delimiter(line) or _DEFINITION.match(line):
        return number + 1
    return number


def _closes(line: str, fence: str) -> bool:
    mark = line.strip().lstrip("> ")
    return len(mark) >= len(fence) and set(mark) == {fence[0]}


def _is_delimiter(line: str) -> bool:
    """Whether a line sets off the head of a table."""
    return bool(_DELIMITER.fullmatch(line.rstrip()))


def _after(lines: list[str], number: int, ends: Callable[[str], bool]) -> int:
    for at in range(number, len(lines)):
        if ends(lines[at].rstrip(_ENDS)):
            return at + 1
    return len(lines)


def _is_row(lines: list[str], number: int) -> bool:
    """Whether a line is a row of a table by itself: framed in bars, or the head before a delimiter."""
    line = lines[number].strip()
    if line.startswith("|") and line.endswith("|") and len(line) > 1:
        return True
    return "|" in line and number + 1 < len(lines) and _is_delimiter(lines[number + 1])


def _cells(line: str) -> Iterator[Bit]:
    for piece in _CELL.split(line):
        body = piece.strip()
        if piece == "|" or not has_words(body):
            yield Bit(piece)
        else:
            start = piece.index(body)
            yield Bit(piece[:start])
            yield Bit(body, unit=True, asked=body)
            yield Bit(piece[start + len(body) :])


def _parse(line: str) -> _Line:
    found = _PREFIX.match(line)
    prefix = found[0] if found else ""
    rest = line[len(prefix) :]
    cut = len(rest.rstrip())
    if rest[:cut].endswith("\\"):
        cut = len(rest[: cut - 1].rstrip())
    elif "#" in prefix and (bare := rest[:cut].rstrip("#")) and bare[-1:].isspace():
        cut = len(bare.rstrip())
    opens = bool(found and found["open"].strip())
    return _Line(line, prefix, rest[:cut], rest[cut:], prefix.count(">"), opens)


def _block(lines: list[str], number: int) -> list[_Line]:
    """The line and those after it that belong to the same paragraph."""
    block = [_parse(lines[number])]
    if "#" in block[0].prefix:
        return block
    for at in range(number + 1, len(lines)):
        if not lines[at].strip() or _kept_until(lines, at) > at or _is_row(lines, at):
            break
        line = _parse(lines[at])
        if line.opens or line.quotes != block[0].quotes or not line.body:
            break
        block.append(line)
    return block


def _units(block: list[_Line]) -> Iterator[Bit]:
    """The units of a paragraph: one where it was wrapped by hand, else one a line."""
    width = max(len(line.body) for line in block)
    first = 0
    for at in range(1, len(block) + 1):
        if at < len(block) and _goes_on(block[at - 1], block[at], width, len(block)):
            continue
        run = block[first:at]
        first = at
        yield Bit(run[0].prefix)
        end = len(run[-1].tail)
        raw = "".join(line.text for line in run)[len(run[0].prefix) :]
        raw = raw[: len(raw) - end] if end else raw
        if has_words(raw):
            asked = " ".join(line.body.strip() for line in run)
            yield Bit(raw, unit=True, asked=asked, rest=run[-1].prefix if len(run) > 1 else "")
        else:
            yield Bit(raw)
        yield Bit(run[-1].tail)


def _goes_on(line: _Line, following: _Line, width: int, lines: int) -> bool:
    """Whether a line was broken only because the next word did not fit."""
    if not 40 <= width <= WIDEST or line.tail.rstrip(_ENDS):
        return False
    word = following.body.split()[0]
    if len(line.body) + 1 + len(word) <= width - RAGGED:
        return False
    sentence_ends = line.body.endswith((".", "!", "?", ":", "…")) and not word[:1].islower()
    return not sentence_ends or (lines > 2 and width >= 60)
