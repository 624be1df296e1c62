"""Workbooks (xlsx): a row becomes a section that can be read without its neighbours, as in a CSV file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from knowledge.errors import DocumentTooLarge
from knowledge.load.content import Content
from knowledge.load.limits import LoadLimits
from knowledge.load.package import open_package
from knowledge.load.sections import SEPARATOR, plain
from knowledge.load.table import MAX_COLUMNS, sentence
from knowledge.types import Section

_MAX_CELLS = 20_000_000  # looked at, also empty ones: a file of a kilobyte may name cells at the sheet's far corner
_MAX_WIDE = 50  # rows that reach beyond the most columns; a stray cell far right makes one of them


def load_xlsx(data: bytes, name: str, limits: LoadLimits) -> Content:
    """One section a row, each value after its column's name; a sheet's first row names its columns.

    A section's heading is ``SHEET > row N``, its line the row. Formulas count as the value that was last saved with
    them.

    Raises:
        DocumentUnreadable: when it is broken or protected.
        DocumentTooLarge: when it unpacks to more, or has more rows or columns, than allowed.
    """
    from openpyxl import load_workbook  # type: ignore[import-untyped]

    package = open_package(data, name, limits, "Excel workbook")
    book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    sections: list[Section] = []
    budget = _MAX_CELLS
    rows = wide = 0
    try:
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # what a file claims may be anything
            header: list[str] = []
            last: Section | None = None
            title = plain(sheet.title)
            for number, cells in enumerate(_rows(sheet), start=1):
                budget -= len(cells) + 1
                wide += len(cells) > MAX_COLUMNS
                if budget < 0 or wide > _MAX_WIDE:
                    raise _too_large(name, limits)
                row = [_words(cell) for cell in cells]
                while row and not row[-1]:
                    row.pop()
                if not row:
                    continue
                rows += 1
                if rows > limits.max_rows or sum(map(bool, row)) > MAX_COLUMNS:
                    raise _too_large(name, limits)
                place = f"{title}{SEPARATOR}row {number}"
                if not header:
                    header = [" ".join(value.split()) for value in row]
                    words = ", ".join(value for value in header if value)
                    last = Section(text=words, heading=place, line=number, relaid=True)
                else:
                    last = None
                    sections.append(Section(text=sentence(header, row), heading=place, line=number, relaid=True))
            if last is not None:
                sections.append(last)  # a single row is data too
    finally:
        book.close()
    return Content(package.title, tuple(sections), package.language, package.modified)


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    yield from sheet.iter_rows()


def _words(cell: Any) -> str:
    """A cell as people see it, nearly: numbers without a needless fraction, per cents, days without midnight."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int):
        return f"{value * 100:.12g}%" if str(cell.number_format).endswith("%") else f"{value:.15g}"
    if isinstance(value, datetime):
        midnight = value.time() == time(0)
        return value.date().isoformat() if midnight else value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value).replace("_x000D_", "").strip()


def _too_large(name: str, limits: LoadLimits) -> DocumentTooLarge:
    return DocumentTooLarge(
        f"{name} has more than {limits.max_rows:,} rows, {MAX_COLUMNS:,} columns or {_MAX_CELLS:,} cells.",
        hint="Split it into several files.",
        subject=name,
        rows=limits.max_rows,
        columns=MAX_COLUMNS,
    )
