"""What the tools find out about a picture."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from knowledge.types import Frozen


class TextLine(Frozen):
    """A line read in a picture; ``box`` is left, top, right, bottom in pixels."""

    text: str
    score: float
    box: tuple[int, int, int, int]


class PictureFacts(Frozen):
    """What was measured in a picture, no model asked."""

    name: str
    width: int
    height: int
    format: str
    kind: Literal["screenshot", "photo", "document", "graphic", "blank"]
    colours: list[str] = Field(description="names of up to five dominant colours, most frequent first")
    codes: list[str] = Field(default_factory=list, description="contents of QR and bar codes")
    lines: list[TextLine] = Field(default_factory=list)
