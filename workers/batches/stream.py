"""Pieces of bytes as a stream, so that what is made piece by piece need not be held whole."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, cast


class _Pieces(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io gives is a memoryview
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def as_stream(pieces: Iterator[bytes]) -> IO[bytes]:
    """A stream that reads from the pieces as it goes."""
    return cast("IO[bytes]", io.BufferedReader(_Pieces(pieces), 1 << 20))
