"""Plain text."""

from __future__ import annotations

from knowledge.load.content import Content
from knowledge.load.encoding import decode
from knowledge.load.limits import LoadLimits
from knowledge.types import Section


def load_text(data: bytes, name: str, limits: LoadLimits) -> Content:  # noqa: ARG001 - the form of every loader
    """The whole text as one section; a title only where the name gives it."""
    return Content("", (Section(text=decode(data, name), line=1),))
