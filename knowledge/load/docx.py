"""Word documents (docx)."""

from __future__ import annotations

import io
import zipfile

from knowledge.errors import DocumentTooLarge, DocumentUnreadable
from knowledge.load.limits import LoadLimits
from knowledge.load.read import check_size
from knowledge.load.sections import plain, sections_of
from knowledge.types import Section

_MAX_PARTS = 10_000
_MAX_RATIO = 200
_SMALL = 10_000_000  # below this a high ratio does no harm


def load_docx(data: bytes, name: str, limits: LoadLimits) -> tuple[str, tuple[Section, ...]]:
    """Sections by Word's headings; tables become Markdown's, pictures are left out.

    Raises:
        DocumentUnreadable: when it is broken.
        DocumentTooLarge: when it unpacks to more than allowed.
    """
    import mammoth
    from markdownify import markdownify

    title = _check(data, name, limits)
    page = mammoth.convert_to_html(io.BytesIO(data), convert_image=mammoth.images.img_element(lambda _image: {}))
    markdown = markdownify(
        page.value,
        heading_style="ATX",
        strip=["img", "a"],
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
    )
    heading, sections = sections_of(markdown)
    return title or heading, sections


def _check(data: bytes, name: str, limits: LoadLimits) -> str:
    """The title from the properties, once the package is known to be whole and of bounded size.

    ``zipfile`` never reads more of a part than the directory claims, so the claims may be summed up.
    """
    from lxml import etree  # type: ignore[import-untyped]

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            parts = packed.infolist()
            total = sum(part.file_size for part in parts)
            check_size(total, name, limits.max_unpacked_bytes, "unpacked, it")
            if len(parts) > _MAX_PARTS or (total > _SMALL and total > _MAX_RATIO * len(data)):
                raise DocumentTooLarge(
                    f"{name} unpacks to {total / max(1, len(data)):.0f} times its size, which no document does.",
                    hint="Open it in a word processor and save it again.",
                    subject=name,
                    bytes=total,
                )
            _refuse_entities(packed, name)
            if "docProps/core.xml" not in packed.namelist():
                return ""
            core = packed.read("docProps/core.xml")
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise DocumentUnreadable(
            f"{name} is a broken Word document: {error}.", hint="Export or download it again.", subject=name
        ) from error
    # Only the title comes from here, so a broken part is no reason to refuse the document.
    tree = etree.fromstring(core, etree.XMLParser(resolve_entities=False, no_network=True, recover=True))
    if tree is None:
        return ""
    return plain(tree.findtext("{http://purl.org/dc/elements/1.1/}title") or "")


def _refuse_entities(packed: zipfile.ZipFile, name: str) -> None:
    """The format allows no document types; the only use of one is to make the parser expand entities for seconds."""
    for part in packed.infolist():
        if part.filename.endswith((".xml", ".rels")):
            with packed.open(part) as file:
                head = file.read(4096).replace(b"\x00", b"")  # UTF-16 reads like ASCII then
            if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                raise DocumentUnreadable(
                    f"{name} is no Word document: {part.filename} declares a document type.",
                    hint="Open it in a word processor and save it again.",
                    subject=name,
                )
