"""Choose the loader for a file and make a document of what it finds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePath

from knowledge.errors import DocumentEmpty, DocumentUnreadable, DocumentUnsupported, PhiqError
from knowledge.load import sniff as kinds
from knowledge.load.limits import LoadLimits
from knowledge.load.read import check_size
from knowledge.types import Document, Section

LOADER_VERSION = "1"
"""Raise when a loader's text changes, so that documents are loaded again at the next ingest."""

_Load = Callable[[bytes, str, LoadLimits], tuple[str, tuple[Section, ...]]]


@dataclass(frozen=True)
class _Format:
    """A loader (module and function, imported at its first use), and what its files may look like."""

    module: str
    function: str
    looks: tuple[str, ...]


_TEXT = _Format("text", "load_text", (kinds.TEXT, kinds.HTML))
_MARKDOWN = _Format("markdown", "load_markdown", (kinds.TEXT, kinds.HTML))
_WEBPAGE = _Format("webpage", "load_webpage", (kinds.HTML, kinds.TEXT))
_PDF = _Format("pdf", "load_pdf", (kinds.PDF,))
_DOCX = _Format("docx", "load_docx", (kinds.DOCX,))
_TABLE = _Format("table", "load_table", (kinds.TEXT,))

_BY_SUFFIX = {
    ".txt": _TEXT,
    ".text": _TEXT,
    ".log": _TEXT,
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".html": _WEBPAGE,
    ".htm": _WEBPAGE,
    ".xhtml": _WEBPAGE,
    ".pdf": _PDF,
    ".docx": _DOCX,
    ".csv": _TABLE,
    ".tsv": _TABLE,
}
# A file without an ending is what it looks like.
_BY_LOOK = {kinds.TEXT: _TEXT, kinds.HTML: _WEBPAGE, kinds.PDF: _PDF, kinds.DOCX: _DOCX}

SUFFIXES = frozenset(_BY_SUFFIX)
"""Endings that have a loader."""


def load(data: bytes, name: str, source: str, limits: LoadLimits | None = None) -> Document:
    """The document in a file.

    Args:
        data: The file's bytes.
        name: Its name, whose ending chooses the loader.
        source: Its identity in a collection (path or address).
        limits: How much is taken.

    Raises:
        DocumentUnsupported: when no loader knows the kind.
        DocumentUnreadable: when it is broken, protected, binary, wrongly encoded, or not what its name says.
        DocumentEmpty: when it holds no text.
        DocumentTooLarge: when it, or what it unpacks to, is above a limit.
    """
    limits = limits or LoadLimits()
    check_size(len(data), name, limits.max_bytes)
    if not data.strip():
        raise DocumentEmpty(f"{name} is empty.", hint="Leave it out, or fill it.", subject=name)
    loader = _choose(data, name)
    function: _Load = getattr(import_module(f"knowledge.load.{loader.module}"), loader.function)
    try:
        title, found = function(data, name, limits)
    except PhiqError:
        raise
    # The formats' libraries raise whatever a hostile file brings them to (RecursionError, KeyError, their own):
    # here it becomes one thing that people understand, and the other files of the job go on.
    except Exception as error:
        raise DocumentUnreadable(
            f"{name} can't be read as {loader.looks[0]}: {type(error).__name__}: {str(error)[:200]}",
            hint="Open it in the program that made it, save it again, and try once more.",
            subject=name,
        ) from error
    sections = tuple(section for section in found if section.text.strip())
    if not sections:
        raise _empty(name, loader)
    check_size(sum(len(section.text) for section in sections), name, limits.max_characters, "its text")
    return Document(
        source=source,
        title=title or PurePath(name).stem or name,
        sections=sections,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def plain_text(document: Document) -> str:
    """A document as one text in reading order, headings on lines of their own."""
    parts: list[str] = []
    heading = ""
    for section in document.sections:
        if section.heading != heading:
            heading = section.heading
            parts.append(heading)
        parts.append(section.text)
    return "\n\n".join(part for part in parts if part)


def _choose(data: bytes, name: str) -> _Format:
    suffix = PurePath(name).suffix.lower()
    look = kinds.sniff(data)
    loader = _BY_SUFFIX.get(suffix) if suffix else _BY_LOOK.get(look)
    if look == kinds.PROTECTED:
        raise DocumentUnreadable(
            f"{name} is protected by a password.",
            hint="Save it without a password, then try again.",
            subject=name,
            reason="protected",
        )
    if loader is None:
        raise DocumentUnsupported(
            f"{name} is {look}; there is no loader for it."
            if not suffix
            else f"There is no loader for {suffix} files.",
            hint=f"These work: {', '.join(sorted(SUFFIXES))}.",
            subject=name,
            looks_like=look,
        )
    if look not in loader.looks:
        if look == kinds.BINARY and kinds.TEXT in loader.looks:
            message = f"{name} holds binary data, not text."
        else:
            message = f"{name} is not {loader.looks[0]}, as its name says: it looks like {look}."
        raise DocumentUnreadable(
            message, hint="Give it the ending of what it is, or export it again.", subject=name, looks_like=look
        )
    return loader


def _empty(name: str, loader: _Format) -> DocumentEmpty:
    if loader is _PDF:
        return DocumentEmpty(
            f"{name} holds no text: its pages are pictures.",
            hint=f"Run text recognition over it first: ocrmypdf '{name}' readable.pdf",
            subject=name,
            reason="scanned",
        )
    return DocumentEmpty(f"{name} holds no text.", hint="Leave it out, or fill it.", subject=name)
