"""Presentations (pptx): a section a slide, with its tables and speaker's notes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from knowledge.errors import DocumentTooLarge
from knowledge.load.content import Content
from knowledge.load.limits import LoadLimits
from knowledge.load.package import open_package
from knowledge.load.sections import plain
from knowledge.types import Section

_SLIDE = re.compile(r"ppt/slides/[^/]+\.xml\Z")
_DEEPEST = 20  # groups within groups


def load_pptx(data: bytes, name: str, limits: LoadLimits) -> Content:
    """One section a slide that has words; its heading is the slide's title, its page the slide's number.

    Raises:
        DocumentUnreadable: when it is broken or protected.
        DocumentTooLarge: when it unpacks to more than allowed or has too many slides.
    """
    from pptx import Presentation

    package = open_package(data, name, limits, "presentation")
    # Counted by name: opening thousands of slides is what the limit is there to prevent.
    slides = sum(1 for part in package.parts if _SLIDE.match(part))
    if slides > limits.max_pages:
        raise DocumentTooLarge(
            f"{name} has {slides:,} slides, the limit is {limits.max_pages:,}.",
            hint="Split it into several files.",
            subject=name,
            pages=slides,
            limit=limits.max_pages,
        )
    sections = []
    for number, slide in enumerate(Presentation(io.BytesIO(data)).slides, start=1):
        title = slide.shapes.title
        heading = plain(title.text_frame.text) if title is not None else ""
        own = None if title is None else title.shape_id
        parts = [text for shape in slide.shapes if shape.shape_id != own for text in _texts(shape)]
        if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) and notes.text.strip():
            parts.append(f"Notes: {_clean(notes.text)}")
        # A slide of a title alone says its title.
        text = "\n\n".join(part for part in parts if part) or heading
        if text:
            sections.append(Section(text=text, heading=heading, page=number))
    return Content(package.title, tuple(sections), package.language, package.modified)


def _texts(shape: Any, depth: int = 0) -> Iterator[str]:
    """The words of a shape: a text, a table's rows, or those of a group."""
    if depth > _DEEPEST:
        return
    if hasattr(shape, "shapes"):
        for inner in shape.shapes:
            yield from _texts(inner, depth + 1)
    elif getattr(shape, "has_table", False):
        rows = ([" ".join(cell.text.split()) for cell in row.cells] for row in shape.table.rows)
        yield "\n".join(f"| {' | '.join(row)} |" for row in rows if any(row))
    elif getattr(shape, "has_text_frame", False):
        yield _clean(shape.text_frame.text)


def _clean(text: str) -> str:
    # A vertical tab is a line break within a paragraph.
    lines = (" ".join(line.split()) for line in text.replace("\v", "\n").split("\n"))
    return "\n".join(line for line in lines if line)
