"""PDF: the text of each page, with lines put together again."""

from __future__ import annotations

import re
import threading
from datetime import datetime
from typing import Any

from knowledge.errors import DocumentTooLarge, DocumentUnreadable
from knowledge.load.content import Content, Helpers, LoadStopped
from knowledge.load.limits import LoadLimits
from knowledge.load.moments import moment
from knowledge.load.pdf_picture import page_picture
from knowledge.load.read import check_size
from knowledge.load.sections import SEPARATOR, plain
from knowledge.types import Section

# PDFium is not safe in several threads, not even on different documents.
_LOCK = threading.Lock()
# PDFium writes U+FFFE or U+0002 where a line ends in a hyphen that it takes for a break.
# Lengths are bounded: a page may be one word of a million letters.
_BREAK = re.compile(r"(\w{1,40})(?:[\ufffe\x02\u00ad]\s{0,4}|[-\u2010]\n)(\w{1,40})")
_COMPOUND = re.compile(r"\b\w{1,40}-\w{1,40}\b")
_WITHOUT_SPACE = re.compile(r"[\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\uff00-\uffef]")
_DATE = re.compile(r"D:(\d{4})(\d\d)(\d\d)(\d\d)?(\d\d)?(?:\d\d)?(?:(Z|[+-])(?:(\d\d)'?(\d\d)?)?)?")
_ITEM = re.compile(r"\s*(?:[\u2022\u2023\u25e6\u25aa\u00b7*\u2013\u2014-]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s")


def load_pdf(data: bytes, name: str, limits: LoadLimits, helpers: Helpers) -> Content:
    """One section a page that has text; the heading is the outline's entry that the page falls under.

    Pages that are pictures are read by ``helpers.read_page``, where there is one.

    Raises:
        DocumentUnreadable: when it is broken or needs a password.
        DocumentTooLarge: when it has more pages, pictured pages or text than allowed.
    """
    import pypdfium2 as pdfium

    with _LOCK:
        try:
            document = pdfium.PdfDocument(data)
            pages = len(document)
        except pdfium.PdfiumError as error:
            raise _unreadable(name, error) from error
    try:
        if pages > limits.max_pages:
            raise DocumentTooLarge(
                f"{name} has {pages:,} pages, the limit is {limits.max_pages:,}.",
                hint="Split it into several files.",
                subject=name,
                pages=pages,
                limit=limits.max_pages,
            )
        with _LOCK:
            title = plain(document.get_metadata_value("Title") or "")
            modified = _moment(document)
            headings = _outline(document, pages)
        scanned = 0
        texts: list[str] = []
        size = 0
        for number in range(pages):
            with _LOCK:
                texts.append(_page_text(document, number, name))
                picture = page_picture(document, number, texts[-1]) if helpers.read_page else None
            if picture is not None and helpers.read_page:
                scanned += 1
                if scanned > limits.max_scanned_pages:
                    raise _too_many(name, limits.max_scanned_pages)
                if helpers.stopped():
                    raise LoadStopped
                # Outside the lock: to read a page takes a second or more.
                texts[-1] = max(helpers.read_page(picture), texts[-1], key=len)
            size += len(texts[-1])
            check_size(size, name, limits.max_characters, "its text")
    finally:
        with _LOCK:
            document.close()
    compounds = {word.lower() for text in texts for word in _COMPOUND.findall(text)}
    return Content(
        title,
        tuple(
            Section(text=text, heading=headings[number], page=number + 1)
            for number, raw in enumerate(texts)
            if (text := _reflow(_rejoin(raw, compounds))).strip()
        ),
        modified=modified,
    )


def _moment(document: Any) -> datetime | None:
    """When it was changed last, in the form D:YYYYMMDDHHmmSS+HH'mm'."""
    for key in ("ModDate", "CreationDate"):
        if found := _DATE.match(document.get_metadata_value(key) or ""):
            year, month, day, hour, minute = (part or "0" for part in found.groups()[:5])
            zone = "Z" if found[6] in (None, "Z") else f"{found[6]}{found[7]}:{found[8] or '00'}"
            return moment(f"{year}-{month}-{day}T{hour:0>2}:{minute:0>2}:00{zone}".replace("Z", "+00:00"))
    return None


def _too_many(name: str, limit: int) -> DocumentTooLarge:
    return DocumentTooLarge(
        f"{name} has more than {limit:,} pages that are pictures.",
        hint=f"Run text recognition over it first: ocrmypdf '{name}' readable.pdf",
        subject=name,
        limit=limit,
        reason="scanned",
    )


def _unreadable(name: str, error: Exception) -> DocumentUnreadable:
    if "password" in str(error).lower():
        return DocumentUnreadable(
            f"{name} is protected by a password.",
            hint=f"Remove it first: qpdf --decrypt --password=… '{name}' open.pdf",
            subject=name,
            reason="protected",
        )
    return DocumentUnreadable(
        f"{name} is a broken PDF: {error}.", hint="Export or download it again.", subject=name, reason="broken"
    )


def _page_text(document: Any, number: int, name: str) -> str:
    import pypdfium2 as pdfium

    try:
        page = document[number]
        try:
            layer = page.get_textpage()
            try:
                text: str = layer.get_text_range()
            finally:
                layer.close()
        finally:
            page.close()
    except pdfium.PdfiumError as error:
        raise DocumentUnreadable(
            f"{name} is a broken PDF: page {number + 1} can't be read ({error}).",
            hint="Export or download it again.",
            subject=name,
            page=number + 1,
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


def _outline(document: Any, pages: int) -> list[str]:
    """For each page the path of outline entries it falls under; empty strings without an outline."""
    import pypdfium2 as pdfium

    headings = [""] * pages
    path: list[str] = []
    at = 0
    try:
        for entry in document.get_toc(max_depth=6):
            target = entry.get_dest()
            index = target.get_index() if target else None
            if index is None or not at <= index < pages:
                continue
            headings[at:index] = [SEPARATOR.join(path)] * (index - at)
            path = [*path[: entry.level], plain(entry.get_title())]
            at = index
    except (pdfium.PdfiumError, ValueError, AttributeError):
        return [""] * pages  # a broken outline takes nothing from the text
    headings[at:] = [SEPARATOR.join(path)] * (pages - at)
    return headings


def _rejoin(text: str, compounds: set[str]) -> str:
    """Words divided at a line's end made whole; compounds that stand elsewhere with their hyphen keep it."""

    def join(found: re.Match[str]) -> str:
        hyphened = f"{found[1]}-{found[2]}"
        divided = found[2][0].islower() and found[1][-1].isalpha() and hyphened.lower() not in compounds
        return found[1] + found[2] if divided else hyphened

    return _BREAK.sub(join, text)


def _reflow(text: str) -> str:
    """Lines of a paragraph joined, so that sentences are whole.

    PDF keeps no paragraphs: a line that is clearly shorter than the page's usual line, or is followed by a list
    item or a blank line, ends one.
    """
    lines = [" ".join(line.split()) for line in text.split("\n")]
    lengths = sorted(len(line) for line in lines if line)
    if not lengths:
        return ""
    full = 0.7 * lengths[int(0.9 * (len(lengths) - 1))]
    paragraphs: list[list[str]] = []
    last = ""
    for line in lines:
        if line and last and len(last) >= full and not _ITEM.match(line):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
        last = line
    return re.sub(r"\n{3,}", "\n\n", "\n".join(_joined(lines) for lines in paragraphs)).strip()


def _joined(lines: list[str]) -> str:
    """Lines in one; Chinese and Japanese have no space where a line ends."""
    text = lines[0]
    for line in lines[1:]:
        together = text and line and _WITHOUT_SPACE.match(text[-1]) and _WITHOUT_SPACE.match(line[0])
        text = f"{text}{line}" if together else f"{text} {line}"
    return text
