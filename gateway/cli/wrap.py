"""Breaking streamed text between words on a terminal, where it would else break inside them."""

from __future__ import annotations

import re
from collections.abc import Callable

_TOKEN = re.compile(r"\n|[^\S\n]+|\S+")
_HOLD = 40
"""Characters of an unfinished word held back; languages without spaces would else not stream."""


class Wrapper:
    """Passes text on, with a line break before a word that would not fit.

    Args:
        write: Where the text goes.
        width: Columns of the terminal; 0 passes everything on as it is.
        indent: What a line that was broken goes on with.
    """

    def __init__(self, write: Callable[[str], None], width: int = 0, indent: str = "") -> None:
        self._write = write
        self._indent = indent
        self._width = width
        self._column = 0
        self._space = ""
        self._word = ""

    def feed(self, text: str) -> None:
        """Take the next piece; its last word may wait for its end."""
        if not self._width:
            self._write(text)
            return
        tokens = _TOKEN.findall(self._word + text)
        self._word = ""
        if tokens and not tokens[-1].isspace() and len(tokens[-1]) < _HOLD:
            self._word = tokens.pop()
        self._write("".join(self._place(piece) for piece in tokens))

    def finish(self) -> None:
        """Pass on what was held back."""
        word, self._word = self._word, ""
        self._write(self._place(word) if word else "")

    def _place(self, piece: str) -> str:
        from rich.cells import cell_len

        if piece == "\n":
            self._column, self._space = 0, ""
            return piece
        if piece.isspace():
            self._space += piece
            return ""
        space, self._space = self._space, ""
        size = cell_len(piece)
        if self._column and self._column + len(space) + size > self._width:
            self._column = len(self._indent) + size
            return f"\n{self._indent}{piece}"
        self._column = (self._column + len(space) + size) % (self._width + 1)
        return space + piece
