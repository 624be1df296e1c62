"""Plain text."""

from __future__ import annotations

from knowledge.load.encoding import decode
from knowledge.load.limits import LoadLimits
from knowledge.types import Section


def load_text(data: bytes, name: str, limits: LoadLimits) -> tuple[str, tuple[Section, ...]]:  # noqa: ARG001 - the form of every loader
    """The whole text as one section; a title only where the name gives it."""
    return "", (Section(text=decode(data, name)),)
