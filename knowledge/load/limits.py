"""How much of a file a loader takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoadLimits:
    """Above any of these a file is refused with ``document_too_large``; nothing is cut silently.

    Attributes:
        max_bytes: Of the file.
        max_unpacked_bytes: Of what a packed file (docx, pptx, xlsx) claims to hold.
        max_part_bytes: Of one part of it; parsing takes many times its size in memory.
        max_markup_bytes: Of a web page; parsing takes many times its size in memory.
        max_pages: Of a PDF; slides of a presentation.
        max_scanned_pages: Pages of a PDF that are pictures; to read one takes a second or more.
        max_rows: Of a table; records or mails of an export.
        max_characters: Of the text that comes out.
    """

    max_bytes: int = 100_000_000
    max_unpacked_bytes: int = 400_000_000
    max_part_bytes: int = 60_000_000
    max_markup_bytes: int = 20_000_000
    max_pages: int = 5_000
    max_scanned_pages: int = 500
    max_rows: int = 200_000
    max_characters: int = 20_000_000
