"""Reads a document into what is translated and what is kept byte for byte, by its format.

No format is written anew: the bits put together are the document, and only the units in it change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from agents.contract.translate import Format
from agents.errors import FormatBroken
from agents.prompts.languages import language_code
from agents.segments import Bit, merge, plain_bits, split_bits

FILES: dict[str, Format] = {
    ".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html", ".xhtml": "html", ".srt": "srt",
    ".vtt": "vtt", ".json": "json", ".arb": "json", ".po": "po", ".pot": "po",
}  # fmt: skip
"""Endings of files whose format is plain from their name."""

_HTML = re.compile(
    r"\s*(?:<!--.{0,2000}?-->\s*)?"
    r"<(?P<tag>!doctype html|html|head|body|div|p|h[1-6]|ul|ol|table|section|article|main|header)\b",
    re.IGNORECASE | re.DOTALL,
)
_HEADINGS = re.compile(r"^(?:#{1,6} |```|\[[^\]\n]+\]:)", re.MULTILINE)
_CLOSED = re.compile(r"</[a-z][a-z0-9]*>\s*(?:<!--.{0,2000}?-->\s*)?$", re.IGNORECASE)
_SRT = re.compile(r"\s*\d+[ \t]*\r?\n\d\d:\d\d:\d\d[,.]\d{1,3}\s*-->")
_PO = re.compile(r'^msgid[ \t]+"', re.MULTILINE)
_LOOKED_AT = 10_000
"""Characters at the beginning in which the first entry of a PO file is looked for."""

_CODE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


def format_of(name: str) -> Format | None:
    """The format of a file by its name; None where that does not tell."""
    return FILES.get(PurePath(name).suffix.lower())


def open_text(text: str, kind: Format, target: str) -> tuple[Format, list[Bit]]:
    """The format that a document was read as, and its bits.

    Args:
        text: The document.
        kind: Its format; ``auto``: as it looks, and Markdown (or plain text) where it does not read as what it looks.
        target: Into which language (code or name), for files that name their own.

    Raises:
        FormatBroken: when the text is not what ``kind`` names.
    """
    code = target if _CODE.fullmatch(target) else language_code(target)
    if kind != "auto":
        return kind, _read(text, kind, code)
    kind = _looks(text)
    try:
        return kind, _read(text, kind, code)
    except FormatBroken:
        return "markdown", _read(text, "markdown", code)


def _read(text: str, kind: Format, target: str) -> list[Bit]:
    return list(merge(_bits(text, kind, target)))


def _bits(text: str, kind: Format, target: str) -> Iterable[Bit]:
    if kind == "json":
        from agents.formats.json_strings import json_bits

        return json_bits(text, target)
    if kind == "po":
        from agents.formats.po import po_bits

        return po_bits(text, target.replace("-", "_"))
    if kind == "html":
        from agents.formats.html_text import html_bits

        return html_bits(text, target.replace("_", "-"))
    if kind == "srt" or kind == "vtt":
        from agents.formats.subtitles import subtitle_bits

        return subtitle_bits(text, kind)
    return _placed(plain_bits(text) if kind == "plain" else split_bits(text))


def _placed(bits: Iterable[Bit]) -> Iterator[Bit]:
    """Say the line of each unit."""
    line = 1
    for bit in bits:
        yield bit._replace(place=f"line {line}") if bit.unit else bit
        line += bit.text.count("\n")


def _looks(text: str) -> Format:
    bare = text.removeprefix("\ufeff")
    if bare.startswith("WEBVTT"):
        return "vtt"
    if _SRT.match(bare):
        return "srt"
    if (start := bare.lstrip()[:1]) and start in "{[" and bare.rstrip()[-1:] in "}]":
        return "json"
    if _PO.search(bare[:_LOOKED_AT]):
        return "po"
    if (page := _HTML.match(bare)) and _CLOSED.search(bare.rstrip()[-3000:]):
        # Markdown may well begin and end with a piece of HTML; a whole page says that it is one.
        whole = page["tag"].lower() in ("!doctype html", "html")
        return "html" if whole or not _HEADINGS.search(bare) else "markdown"
    return "markdown"
