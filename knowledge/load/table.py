"""Tables as text (CSV, TSV): a row becomes a section that can be read without its neighbours."""

from __future__ import annotations

import csv
import io
import re

from knowledge.errors import DocumentTooLarge, DocumentUnreadable
from knowledge.load.content import Content
from knowledge.load.encoding import decode
from knowledge.load.limits import LoadLimits
from knowledge.types import Section

_SAMPLE = 16_384
MAX_COLUMNS = 1_000
_SEPARATOR_LINE = re.compile(r"\Asep=(.)\n", re.IGNORECASE)


def load_table(data: bytes, name: str, limits: LoadLimits) -> Content:
    """One section a row, each value after its column's name; the first row names the columns.

    The section's heading is ``row N`` as a spreadsheet would count it.

    Raises:
        DocumentUnreadable: when it can't be read as a table.
        DocumentTooLarge: when it has more rows or columns than allowed.
    """
    text = decode(data, name)
    dialect, skipped = _dialect(text), 0
    if told := _SEPARATOR_LINE.match(text):
        text, skipped = text[told.end() :], 1
        dialect.delimiter = told[1]
    reader = csv.reader(io.StringIO(text, newline=""), dialect)
    sections: list[Section] = []
    header: list[str] = []
    before = 0
    try:
        for number, row in enumerate(reader, start=1):
            line, before = before + skipped + 1, reader.line_num
            if number > limits.max_rows or len(row) > MAX_COLUMNS:
                raise DocumentTooLarge(
                    f"{name} has more than {limits.max_rows:,} rows or {MAX_COLUMNS:,} columns.",
                    hint="Split it into several files.",
                    subject=name,
                    rows=limits.max_rows,
                    columns=MAX_COLUMNS,
                )
            if not header:
                header = [" ".join(value.split()) for value in row] if any(row) else []
            elif words := sentence(header, row):
                sections.append(Section(text=words, heading=f"row {number}", line=line, relaid=True))
    except csv.Error as error:
        raise DocumentUnreadable(
            f"{name} can't be read as a table: {error} (line {reader.line_num}).",
            hint="Export it again as CSV with a header row, or rename it to .txt.",
            subject=name,
            line=reader.line_num,
        ) from error
    if header and not sections:
        # A single line is data too.
        sections.append(Section(text=", ".join(value for value in header if value), heading="row 1", line=1 + skipped))
    return Content("", tuple(sections))


def _dialect(text: str) -> type[csv.Dialect]:
    # Whole lines only: a cut one misleads the sniffer.
    sample = text[:_SAMPLE].rpartition("\n")[0] or text[:_SAMPLE]
    try:
        found = csv.Sniffer().sniff(sample, delimiters=",;\t|")
    except csv.Error:
        # Too little for it to see a pattern in: the commonest candidate of the first line.
        first = sample.partition("\n")[0]
        found = type("Plain", (csv.excel,), {"delimiter": max(",;\t|", key=first.count)})
    # Its guess about doubled quotes is wrong whenever the sample holds none.
    found.doublequote = True
    return found


def sentence(header: list[str], row: list[str]) -> str:
    """A row as lines of ``column: value``; empty values are left out."""
    names = header + [f"column {place}" for place in range(len(header) + 1, len(row) + 1)]
    pairs = zip(names, row, strict=False)
    return "\n".join(f"{key or 'column'}: {value.strip()}" for key, value in pairs if value.strip())
