"""Subtitles (SubRip, WebVTT): the words of each cue are translated; numbers, times, settings and styles stay."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Literal

from agents.checks.protect import has_words
from agents.errors import FormatBroken
from agents.segments import Bit

TIMES = re.compile(r"\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}\s*-->\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}")
"""The line of a cue that says from when to when it is shown."""

_SPOKEN = re.compile(r"\s*[-–—]\s*(?=\S)")  # noqa: RUF001 - dashes of a dialogue
_BEFORE = re.compile(r"\s*(?:\{\\[^}\n]{0,200}\}|<v[.\s][^>\n]{0,200}>)*\s*")
_APART = ("NOTE", "STYLE", "REGION")


def subtitle_bits(text: str, kind: Literal["srt", "vtt"]) -> Iterator[Bit]:
    """The bits of a subtitle file.

    Raises:
        FormatBroken: when it has no cue, or WebVTT does not begin as it must.
    """
    if kind == "vtt" and not text.removeprefix("\ufeff").startswith("WEBVTT"):
        raise FormatBroken(
            "The text is not WebVTT: it does not begin with WEBVTT.",
            hint="Put WEBVTT into the first line, or take it for SubRip: --format srt",
        )
    lines = text.splitlines(keepends=True)
    if text.strip() and kind == "srt" and not any(TIMES.match(line) for line in lines):
        raise FormatBroken(
            "The text has no cue: no line with times such as 00:00:01,000 --> 00:00:04,000.",
            hint="Translate it as plain text: --format plain",
        )
    number = 0
    while number < len(lines):
        line = lines[number]
        if kind == "vtt" and line.startswith(_APART):
            end = _blank(lines, number)
            yield Bit("".join(lines[number:end]))
            number = end
            continue
        yield Bit(line)
        number += 1
        if TIMES.match(line):
            end = _blank(lines, number)
            yield from _cue(lines[number:end], f"{line.split('-->')[0].strip()}")
            number = end


def _blank(lines: Sequence[str], number: int) -> int:
    """The next line that ends a cue; also where the blank line before the next cue is missing."""
    for at in range(number, len(lines)):
        if not lines[at].strip() or TIMES.match(lines[at]):
            return at
        if lines[at].strip().isdecimal() and at + 1 < len(lines) and TIMES.match(lines[at + 1]):
            return at
    return len(lines)


def _cue(lines: Sequence[str], place: str) -> Iterator[Bit]:
    """The words of a cue: one unit, or one a speaker where each line begins with a dash."""
    spoken = len(lines) > 1 and all(_SPOKEN.match(line) for line in lines)
    for group in [[line] for line in lines] if spoken else [list(lines)]:
        raw = "".join(group)
        before = _SPOKEN.match(raw) if spoken else _BEFORE.match(raw)
        core = raw[before.end() if before else 0 :].rstrip()
        asked = " ".join(core.split())
        if not has_words(asked):
            yield Bit(raw)
            continue
        start = raw.index(core, before.end() if before else 0)
        yield Bit(raw[:start])
        end = "\r\n" if "\r\n" in raw else "\n"
        yield Bit(core, unit=True, asked=asked, place=place, write=_Wrapped(core.count("\n") + 1, end))
        yield Bit(raw[start + len(core) :])


class _Wrapped:
    """Writes a translation on as many lines as the cue had, about as long as each other."""

    def __init__(self, lines: int, end: str) -> None:
        self._lines = lines
        self._end = end

    def __call__(self, text: str) -> str:
        # An arrow would begin a new cue.
        text = text.replace("-->", "→")
        if self._lines == 1:
            return text
        # Longest words make the lines uneven: widened until the cue has no more lines than it had.
        width = math.ceil(len(text) / self._lines)
        while len(found := textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)) > self._lines:
            width += 1
        return self._end.join(found)
