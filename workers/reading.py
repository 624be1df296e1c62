"""What the loaders of documents use of the tools, whose layer lies above theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from knowledge.load.content import Helpers


def helpers() -> Helpers:
    """Text recognition and the telling of languages; both are imported at their first use."""
    from knowledge.load.content import Helpers

    return Helpers(read_page=read_page, detect=_detect)


def read_page(page: Image) -> str:
    """The text in the picture of a page."""
    from tools.read_image_text import as_text, read_lines

    return as_text(read_lines(page))


def _detect(text: str) -> str:
    from tools.detect_language import detect

    found = detect(text)
    return found.language if found.sure else ""
