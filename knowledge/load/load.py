"""Choose the loader for a file and make a document of what it finds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePath

from knowledge.errors import DocumentEmpty, DocumentUnreadable, DocumentUnsupported, PhiqError
from knowledge.load import sniff as kinds
from knowledge.load.content import Content, Helpers, LoadStopped
from knowledge.load.limits import LoadLimits
from knowledge.load.read import check_size
from knowledge.types import Document, Section

LOADER_VERSION = "2"
"""Raise when a loader's text changes, so that documents are loaded again at the next ingest."""

_LONGEST_SAMPLE = 4000
_OWN_LANGUAGE = 100  # characters of a section from which on it may be in another language than its document


@dataclass(frozen=True)
class _Format:
    """A loader (module and function, imported at its first use), and what its files may look like."""

    module: str
    function: str
    looks: tuple[str, ...]
    helped: bool = False

    def run(self, data: bytes, name: str, limits: LoadLimits, helpers: Helpers) -> Content:
        """What the loader finds."""
        function: Callable[..., Content] = getattr(import_module(f"knowledge.load.{self.module}"), self.function)
        return function(data, name, limits, helpers) if self.helped else function(data, name, limits)


_TEXT = _Format("text", "load_text", (kinds.TEXT, kinds.HTML))
_MARKDOWN = _Format("markdown", "load_markdown", (kinds.TEXT, kinds.HTML))
_WEBPAGE = _Format("webpage", "load_webpage", (kinds.HTML, kinds.TEXT))
_PDF = _Format("pdf", "load_pdf", (kinds.PDF,), helped=True)
_DOCX = _Format("docx", "load_docx", (kinds.DOCX,))
_PPTX = _Format("pptx", "load_pptx", (kinds.PPTX,))
_XLSX = _Format("xlsx", "load_xlsx", (kinds.XLSX,))
_JSON = _Format("records", "load_json", (kinds.TEXT,))
_JSONL = _Format("records", "load_jsonl", (kinds.TEXT,))
# A mail's first bytes may look like nearly anything that is text.
_MAIL = _Format("mail", "load_eml", (kinds.TEXT, kinds.HTML), helped=True)
_MAILBOX = _Format("mail", "load_mbox", (kinds.TEXT, kinds.HTML), helped=True)
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
    ".pptx": _PPTX,
    ".xlsx": _XLSX,
    ".json": _JSON,
    ".jsonl": _JSONL,
    ".ndjson": _JSONL,
    ".eml": _MAIL,
    ".mbox": _MAILBOX,
    ".csv": _TABLE,
    ".tsv": _TABLE,
}
# A file without an ending is what it looks like.
_BY_LOOK = {
    kinds.TEXT: _TEXT,
    kinds.HTML: _WEBPAGE,
    kinds.PDF: _PDF,
    kinds.DOCX: _DOCX,
    kinds.PPTX: _PPTX,
    kinds.XLSX: _XLSX,
}

SUFFIXES = frozenset(_BY_SUFFIX)
"""Endings that have a loader."""


def load(
    data: bytes, name: str, source: str, limits: LoadLimits | None = None, helpers: Helpers | None = None
) -> Document:
    """The document in a file.

    Args:
        data: The file's bytes.
        name: Its name, whose ending chooses the loader.
        source: Its identity in a collection (path or address).
        limits: How much is taken.
        helpers: What reads pictures and tells languages.

    Raises:
        DocumentUnsupported: when no loader knows the kind.
        DocumentUnreadable: when it is broken, protected, binary, wrongly encoded, or not what its name says.
        DocumentEmpty: when it holds no text.
        DocumentTooLarge: when it, or what it unpacks to, is above a limit.
        LoadStopped: when ``helpers.stopped`` said so.
    """
    limits, helpers = limits or LoadLimits(), helpers or Helpers()
    check_size(len(data), name, limits.max_bytes)
    if not data.strip():
        raise DocumentEmpty(f"{name} is empty.", hint="Leave it out, or fill it.", subject=name)
    loader = _choose(data, name)
    try:
        content = loader.run(data, name, limits, helpers)
    except (PhiqError, LoadStopped):
        raise
    # The formats' libraries raise whatever a hostile file brings them to (RecursionError, KeyError, their own):
    # here it becomes one thing that people understand, and the other files of the job go on.
    except Exception as error:
        raise DocumentUnreadable(
            f"{name} can't be read as {loader.looks[0]}: {type(error).__name__}: {str(error)[:200]}",
            hint="Open it in the program that made it, save it again, and try once more.",
            subject=name,
        ) from error
    sections = tuple(_whole(section) for section in content.sections if section.text.strip())
    if not sections:
        raise _empty(name, loader)
    check_size(sum(len(section.text) for section in sections), name, limits.max_characters, "its text")
    language, sections = languages(sections, content.language, helpers.detect)
    return Document(
        source=source,
        title=_encodable(content.title) or PurePath(name).stem or name,
        sections=sections,
        sha256=hashlib.sha256(data).hexdigest(),
        language=language,
        modified=content.modified,
    )


def languages(
    sections: tuple[Section, ...], declared: str, detect: Callable[[str], str] | None
) -> tuple[str, tuple[Section, ...]]:
    """The document's language, and its sections with theirs where it is another one (mails, tickets).

    What is seen counts for more than what is declared: many a page says ``en`` because its template did.
    """
    if detect is None:
        return declared, sections
    # From all over the document: the beginning may be a cover or a notice.
    step = max(1, len(sections) // 10)
    share = _LONGEST_SAMPLE // min(10, len(sections))
    seen = detect("\n".join(section.text[:share] for section in sections[::step][:10]))
    language = declared if not seen or declared.lower().split("-")[0] == seen else seen
    told = []
    for section in sections:
        own = detect(section.text) if len(section.text) >= _OWN_LANGUAGE and len(sections) > 1 else ""
        other = bool(own) and own != language.lower().split("-")[0]
        told.append(section.model_copy(update={"language": own}) if other else section)
    return language, tuple(told)


def _whole(section: Section) -> Section:
    """The section in characters that can be stored: broken files hold halves of pairs."""
    text, heading = _encodable(section.text), _encodable(section.heading)
    same = text == section.text and heading == section.heading
    return section if same else section.model_copy(update={"text": text, "heading": heading})


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


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
