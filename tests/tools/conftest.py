"""Pictures that the tests of this layer draw themselves."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont


def _written(lines: list[str], size: tuple[int, int], ground: Any, ink: Any, font: int) -> Image.Image:
    image = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(image)
    for at, line in enumerate(lines):
        pen.text((24, 24 + at * font * 2), line, font=ImageFont.load_default(font), fill=ink)
    return image


@pytest.fixture(scope="session")
def written() -> Callable[..., Image.Image]:
    """``written("a line", "another", size=(700, 200), ground="white", ink="black", font=24)``."""

    def make(
        *lines: str, size: tuple[int, int] = (700, 200), ground: Any = "white", ink: Any = "black", font: int = 24
    ) -> Image.Image:
        return _written(list(lines), size, ground, ink, font)

    return make


@pytest.fixture(scope="session")
def as_file() -> Callable[..., bytes]:
    """``as_file(image, "JPEG", quality=80)``: the bytes of a picture file."""

    def make(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
        out = io.BytesIO()
        image.save(out, format=kind, **options)
        return out.getvalue()

    return make
