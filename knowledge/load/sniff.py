"""What a file's first bytes say it is, whatever it is called."""

from __future__ import annotations

import io
import re
import zipfile

from knowledge.load.encoding import looks_like_text

# Kinds a loader exists for; every other answer of `sniff` is a label for people.
PDF, DOCX, HTML, TEXT = "a PDF", "a Word document (docx)", "a web page (HTML)", "plain text"
PPTX, XLSX = "a presentation (pptx)", "an Excel workbook (xlsx)"
PROTECTED = "a password-protected Office file"
BINARY = "binary data"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"BM", "a picture (BMP)"),
    (b"II*\x00", "a picture (TIFF)"),
    (b"MM\x00*", "a picture (TIFF)"),
    (b"{\\rtf", "a rich text file (RTF)"),
    (b"\x1f\x8b", "a packed file (gzip)"),
    (b"BZh", "a packed file (bzip2)"),
    (b"\xfd7zXZ", "a packed file (xz)"),
    (b"7z\xbc\xaf", "a packed file (7z)"),
    (b"Rar!", "a packed file (RAR)"),
    (b"\x28\xb5\x2f\xfd", "a packed file (zstd)"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3\x00", "a database (SQLite)"),
    (b"%!PS", "a PostScript file"),
    (b"OggS", "a sound or film"),
    (b"ID3", "a sound"),
    (b"RIFF", "a picture, sound or film (RIFF)"),
)
# These are also ways a text may begin; they count only where the rest is no text.
_AMBIGUOUS = (b"BM", b"MZ", b"BZh", b"ID3", b"RIFF", b"GIF8", b"OggS", b"Rar!")
_ZIP_PARTS = (
    ("word/document.xml", DOCX),
    ("xl/workbook.xml", XLSX),
    ("ppt/presentation.xml", PPTX),
    ("content.xml", "an OpenDocument file"),
    ("META-INF/container.xml", "an e-book (EPUB)"),
)
_FOLDERS = ((b"word/", DOCX), (b"ppt/", PPTX), (b"xl/", XLSX), (b"[Content_Types].xml", DOCX))
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def sniff(data: bytes) -> str:
    """One of the kinds above, or a label such as "a picture (PNG)"."""
    head = data[:2048]
    # The format allows rubbish before the header.
    if b"%PDF-" in head[:1024]:
        return PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _sniff_zip(data)
    if head.startswith(_OLE):
        encrypted = "EncryptedPackage".encode("utf-16-le") in data
        return PROTECTED if encrypted else "an old Office file (doc, xls or ppt)"
    text = looks_like_text(data)
    for magic, label in _MAGIC:
        if head.startswith(magic) and not (text and magic in _AMBIGUOUS):
            return label
    if not text:
        return BINARY
    return HTML if _HTML.match(head.removeprefix(b"\xef\xbb\xbf")) else TEXT


def _sniff_zip(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            names = set(packed.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        # A cut-off docx has lost its directory, which lies at the end, but still starts with its parts' names.
        return next((kind for mark, kind in _FOLDERS if mark in data), "a broken ZIP archive")
    return next((label for part, label in _ZIP_PARTS if part in names), "a ZIP archive")
