"""How models with vision cut a picture up, and how many places of a prompt it takes: figures only.

A picture is seen once as a whole and once in parts ("crops"). Each kind of model has a rule of its own, that of
its makers' image processor as far as our pictures go: they are brought to a size that it leaves alone.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

Size = tuple[int, int]
"""Width and height in pixels."""


class Crops(ABC):
    """One kind's rule. ``side`` is a part's, in pixels."""

    side: ClassVar[int]
    levels: ClassVar[tuple[int, ...]]
    """Most parts of a picture, from what the models were made for down to where little can be read any more."""
    note: ClassVar[str] = ""
    """What people should know of pictures on this kind of model."""

    @abstractmethod
    def scaled(self, size: Size, parts: int) -> Size:
        """The size a picture is brought to, before white fills it up to whole parts."""

    @abstractmethod
    def places(self, size: Size) -> int:
        """Tokens of a picture that has its scaled size."""

    def grid(self, size: Size) -> tuple[int, int]:
        """Rows and columns of parts of a picture that has its scaled size."""
        return math.ceil(size[1] / self.side), math.ceil(size[0] / self.side)

    def choose(self, sizes: Sequence[Size], room: int) -> int:
        """The most parts with which pictures of these sizes take at most ``room`` tokens; the fewest where none do."""
        for parts in self.levels:
            if sum(self.places(self.scaled(size, parts)) for size in sizes) <= room:
                return parts
        return self.levels[-1]


class Phi3Crops(Crops):
    """Phi-3 and 3.5: parts of 336 by 336 pixels, 144 tokens each, with 12 more at the end of each line of parts.

    The makers' rule makes the picture as large as the parts allow, small ones too.
    """

    side = 336
    levels = (16, 12, 9, 6, 4, 2, 1)

    def scaled(self, size: Size, parts: int) -> Size:
        """As large as ``parts`` parts allow, the shape kept."""
        long, short = max(size), min(size)
        ratio = long / short
        scale = 1
        while (scale + 1) * math.ceil((scale + 1) / ratio) <= parts:
            scale += 1
        wide = scale * self.side
        # A hair of a picture would vanish.
        narrow = max(1, int(wide / ratio))
        return (wide, narrow) if size[0] >= size[1] else (narrow, wide)

    def places(self, size: Size) -> int:
        """The parts, the whole, and the ends of lines."""
        rows, columns = self.grid(size)
        return (rows * columns + 1) * 144 + 1 + (rows + 1) * 12


class Phi4Crops(Crops):
    """Phi-4-multimodal: parts of 448 by 448 pixels, 256 tokens each, with 16 more for each line of parts.

    The makers' processor would mask white at the right and below; pictures here fill whole parts, so it masks nothing:
    <https://github.com/microsoft/onnxruntime-extensions/blob/main/shared/api/image_transforms_phi_4.hpp>.
    """

    side = 448
    levels = (36, 24, 16, 9, 6, 4, 2, 1)
    note = "Phi-4-multimodal was tested here with random weights only: look twice at what it sees."

    def scaled(self, size: Size, parts: int) -> Size:
        """As many parts as it has pixels for, or the most that are allowed; it fills them one way or the other."""
        rows, columns = self.grid(size)
        if rows * columns > parts:
            shapes = [(parts // wide, wide) for wide in range(1, parts + 1)]
            rows, columns = max(shapes, key=lambda shape: self._scale(size, *shape))
        scale = self._scale(size, rows, columns)
        # Its makers refuse what is narrower than ten pixels.
        return max(10, int(size[0] * scale)), max(10, int(size[1] * scale))

    def places(self, size: Size) -> int:
        """The parts, the whole, and the ends of lines."""
        rows, columns = self.grid(size)
        return 256 + 1 + 256 * rows * columns + 16 * rows + 16

    def _scale(self, size: Size, rows: int, columns: int) -> float:
        return min(columns * self.side / size[0], rows * self.side / size[1])


CROPS: Mapping[str, Crops] = MappingProxyType({"phi3v": Phi3Crops(), "phi4mm": Phi4Crops()})
"""By the kind that genai_config.json names."""
