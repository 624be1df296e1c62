"""How Phi-3's models with vision cut a picture up, and how many places of a prompt it takes: figures only.

A picture is seen once as a whole and once in parts ("crops") of 336 by 336 pixels, 144 tokens each, with 12 more at the
end of each line of parts. The rule is that of the models' own image processor; it makes the picture as large as the
parts allow, small ones too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

SIDE = 336
"""Pixels."""
LEVELS = (16, 12, 9, 6, 4, 2, 1)
"""Most parts of a picture, from what the models were made for down to where little can be read any more."""
Size = tuple[int, int]
"""Width and height in pixels."""


def scaled(size: Size, parts: int) -> Size:
    """The size a picture is brought to, before white fills it up to whole parts."""
    long, short = max(size), min(size)
    ratio = long / short
    scale = 1
    while (scale + 1) * math.ceil((scale + 1) / ratio) <= parts:
        scale += 1
    wide = scale * SIDE
    # A hair of a picture would vanish.
    narrow = max(1, int(wide / ratio))
    return (wide, narrow) if size[0] >= size[1] else (narrow, wide)


def grid(size: Size) -> tuple[int, int]:
    """Rows and columns of parts of a picture that has its scaled size."""
    return math.ceil(size[1] / SIDE), math.ceil(size[0] / SIDE)


def places(size: Size) -> int:
    """Tokens of a picture that has its scaled size."""
    rows, columns = grid(size)
    return (rows * columns + 1) * 144 + 1 + (rows + 1) * 12


def choose(sizes: Sequence[Size], room: int) -> int:
    """The most parts with which pictures of these sizes take at most ``room`` tokens; the fewest where none do."""
    for parts in LEVELS:
        if sum(places(scaled(size, parts)) for size in sizes) <= room:
            return parts
    return LEVELS[-1]
