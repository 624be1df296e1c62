"""Bytes to text, without guessing where there is something to know."""

from __future__ import annotations

import codecs
import re

from knowledge.errors import DocumentUnreadable

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # Before UTF-16's, which is how UTF-32's little-endian mark begins.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 65_536
_CONTROL = bytes(set(range(32)) - {9, 10, 11, 12, 13, 27})
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)


def looks_like_text(data: bytes) -> bool:
    """Whether bytes may be text in some encoding: a mark of Unicode, or hardly any control characters."""
    sample = data[:_SAMPLE]
    if sample.startswith(tuple(mark for mark, _ in _BOMS)) or _unmarked_utf16(sample):
        return True
    controls = len(sample) - len(sample.translate(None, _CONTROL))
    return controls <= len(sample) // 200


def decode(data: bytes, name: str, declared: str = "") -> str:
    r"""Text with ``\n`` line ends and no byte-order mark.

    Args:
        data: The file.
        name: For errors.
        declared: The encoding that the file itself names, where formats do.

    Raises:
        DocumentUnreadable: when it is binary or in an encoding that can't be told.
    """
    if not looks_like_text(data):
        raise DocumentUnreadable(
            f"{name} holds binary data, not text.", hint="Export it as text, PDF or docx.", subject=name
        )
    text = _decode(data, name, declared)
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


def declared_in_html(data: bytes) -> str:
    """The encoding a page's meta element names, or an empty string."""
    found = _META_CHARSET.search(data[:4096])
    return found[1].decode("ascii") if found else ""


def _decode(data: bytes, name: str, declared: str) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _strict(data, encoding, name)
    if wide := _unmarked_utf16(data[:_SAMPLE]):
        return _strict(data, wide, name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end == len(data) and error.reason == "unexpected end of data":
            return data[: error.start].decode("utf-8")  # cut off in the middle of its last character
        _refuse_damaged_utf8(data, name, error)
    if declared and _known(declared):
        return _strict(data, declared, name)
    return _strict(data, _guess(data, name), name)


def _refuse_damaged_utf8(data: bytes, name: str, error: UnicodeDecodeError) -> None:
    """Text that is UTF-8 but for a few bytes would be read as rubbish in every other encoding."""
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    beyond_ascii = sum(1 for character in text if character > "\x7f") - broken
    if beyond_ascii > 4 * broken:
        raise DocumentUnreadable(
            f"{name} is UTF-8 with {broken} broken characters, the first at byte {error.start}.",
            hint=f"Save it again as UTF-8, or drop them: iconv -f utf-8 -t utf-8 -c '{name}' > mended.txt",
            subject=name,
            byte=error.start,
        )


def _guess(data: bytes, name: str) -> str:
    from charset_normalizer import from_bytes

    # The part around the first character beyond ASCII says most about the encoding.
    first = next((at for at, byte in enumerate(data) if byte > 0x7F), 0)
    start = max(0, first - 2048)
    best = from_bytes(data[start : start + _SAMPLE]).best()
    if best is None:
        raise DocumentUnreadable(
            f"{name} is in an encoding that can't be told.", hint="Save it as UTF-8 and try again.", subject=name
        )
    return best.encoding


def _strict(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeError as error:
        raise DocumentUnreadable(
            f"{name} is not text in {encoding}, as its beginning says.",
            hint="Save it as UTF-8 and try again.",
            subject=name,
            encoding=encoding,
        ) from error


def _known(encoding: str) -> bool:
    try:
        # Raises for names nobody knows and for codecs, such as zip, that are no character sets.
        b"".decode(encoding)
    except LookupError:
        return False
    return True


def _unmarked_utf16(sample: bytes) -> str:
    """UTF-16 without a mark: Western text has a zero in every second byte."""
    if len(sample) < 8 or (len(sample) % 2 and len(sample) < _SAMPLE):
        return ""
    half = len(sample) // 2
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > half * 0.6 and even < half * 0.05:
        return "utf-16-le"
    if even > half * 0.6 and odd < half * 0.05:
        return "utf-16-be"
    return ""
