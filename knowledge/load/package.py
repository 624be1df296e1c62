"""Office's packages (docx, pptx, xlsx): whole, of bounded size and without tricks, before a library opens them."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import datetime
from typing import NamedTuple

from knowledge.errors import DocumentTooLarge, DocumentUnreadable
from knowledge.load.limits import LoadLimits
from knowledge.load.moments import moment
from knowledge.load.read import check_size
from knowledge.load.sections import plain

_MAX_PARTS = 10_000
_MAX_RATIO = 200
_SMALL = 10_000_000  # below this a high ratio does no harm
_PROLOGUE = 65_536
_NO_ROOT = re.compile(rb"<!--.*?-->|<\?.*?\?>", re.DOTALL)
_DC = "{http://purl.org/dc/elements/1.1/}"
_TERMS = "{http://purl.org/dc/terms/}"


class Package(NamedTuple):
    """What a package's properties say of it, and its parts' names."""

    title: str
    language: str
    modified: datetime | None
    parts: tuple[str, ...]


def open_package(data: bytes, name: str, limits: LoadLimits, kind: str) -> Package:
    """The properties, once the package is known to be harmless.

    ``zipfile`` never reads more of a part than the directory claims, so the claims may be summed up.

    Raises:
        DocumentUnreadable: when it is broken, encrypted, or declares document types.
        DocumentTooLarge: when it unpacks to more than allowed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            parts = packed.infolist()
            _check_sizes(parts, len(data), name, limits)
            if any(part.flag_bits & 0x1 for part in parts):
                raise DocumentUnreadable(
                    f"{name} is protected by a password.",
                    hint="Save it without a password, then try again.",
                    subject=name,
                    reason="protected",
                )
            _refuse_entities(packed, name, kind)
            names = tuple(packed.namelist())
            core = packed.read("docProps/core.xml") if "docProps/core.xml" in names else b""
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise DocumentUnreadable(
            f"{name} is a broken {kind}: {error}.", hint="Export or download it again.", subject=name
        ) from error
    title, language, modified = _properties(core)
    return Package(title, language, modified, names)


def _check_sizes(parts: list[zipfile.ZipInfo], packed: int, name: str, limits: LoadLimits) -> None:
    total = sum(part.file_size for part in parts)
    check_size(total, name, limits.max_unpacked_bytes, "unpacked, it")
    if len(parts) > _MAX_PARTS or (total > _SMALL and total > _MAX_RATIO * packed):
        raise DocumentTooLarge(
            f"{name} unpacks to {total / max(1, packed):.0f} times its size in {len(parts):,} parts, "
            "which no document does.",
            hint="Open it in the program that made it and save it again.",
            subject=name,
            bytes=total,
            parts=len(parts),
        )
    largest = max((part.file_size for part in parts if part.filename.endswith(".xml")), default=0)
    check_size(largest, name, limits.max_part_bytes, "one part, unpacked,")


def _refuse_entities(packed: zipfile.ZipFile, name: str, kind: str) -> None:
    """The format allows no document types; the only use of one is to make the parser expand entities for seconds."""
    for part in packed.infolist():
        if part.filename.endswith((".xml", ".rels", ".vml")):
            with packed.open(part) as file:
                head = file.read(_PROLOGUE).replace(b"\x00", b"")  # UTF-16 reads like ASCII then
            # A declaration stands before the root; it may hide behind comments only.
            if b"<!" in _NO_ROOT.sub(b"", head).partition(b">")[0]:
                raise DocumentUnreadable(
                    f"{name} is no {kind}: {part.filename} declares a document type.",
                    hint="Open it in the program that made it and save it again.",
                    subject=name,
                )


def _properties(core: bytes) -> tuple[str, str, datetime | None]:
    from lxml import etree  # type: ignore[import-untyped]

    # Only what is nice to have comes from here, so a broken part is no reason to refuse the document.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    tree = etree.fromstring(core, parser) if core else None
    if tree is None:
        return "", "", None
    title, language, modified = (
        plain(tree.findtext(tag) or "") for tag in (f"{_DC}title", f"{_DC}language", f"{_TERMS}modified")
    )
    return title, language, moment(modified)
