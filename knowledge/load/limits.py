"""How much of a file a loader takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoadLimits:
    """Above any of these a file is refused with ``document_too_large``; nothing is cut silently.

    Attributes:
        max_bytes: Of the file.
        max_unpacked_bytes: Of what a packed file (docx) claims to hold.
        max_markup_bytes: Of a web page; parsing takes many times its size in memory.
        max_pages: Of a PDF.
        max_rows: Of a table.
        max_characters: Of the text that comes out.
    """

    max_bytes: int = 100_000_000
    max_unpacked_bytes: int = 400_000_000
    max_markup_bytes: int = 20_000_000
    max_pages: int = 5_000
    max_rows: int = 200_000
    max_characters: int = 20_000_000
