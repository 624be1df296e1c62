"""What can be measured in a picture without any model's opinion: size, kind, colours, codes, text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tools.colours import dominant_colours
from tools.types import PictureFacts, TextLine

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[int, int, int, int]
Kind = Literal["screenshot", "photo", "document", "graphic", "blank"]

_MOST_CODES = 20
_LONGEST_CODE = 2000  # characters


@dataclass(frozen=True)
class Statistics:
    """What the kind is judged by; shares are 0..1.

    Attributes:
        spread: Standard deviation of the pixels' values, 0..128.
        flat: Share of neighbours that are equal but for a trace: drawn areas are, what a lens saw hardly ever.
        grey: Share of pixels with hardly any colour.
        light: Share of pixels that are light.
        text: Share of the area that boxes of text cover.
        lines: Number of pieces of text.
        tall: Height by width.
    """

    spread: float
    flat: float
    grey: float
    light: float
    text: float
    lines: int
    tall: float


def measure(name: str, image: Image, file_format: str, lines: list[TextLine] | None = None) -> PictureFacts:
    """The facts of an RGB image.

    Args:
        name: What people call the picture.
        image: As :func:`tools.pictures.open_picture` gives it.
        file_format: What the file was, such as ``PNG``.
        lines: Text already read in it; None reads it now.
    """
    if lines is None:
        from tools.read_image_text import read_lines

        lines = read_lines(image)
    codes = find_codes(image)
    lines = [line for line in lines if not any(_lies_in(line.box, box) for _, box in codes)]
    return PictureFacts(
        name=name,
        width=image.width,
        height=image.height,
        format=file_format,
        kind=judge_kind(statistics(image, lines)),
        colours=dominant_colours(image),
        codes=_distinct(codes),
        lines=lines,
    )


def read_codes(image: Image) -> list[str]:
    """Contents of the QR and bar codes in an RGB image, each once, control characters dropped."""
    return _distinct(find_codes(image))


def find_codes(image: Image) -> list[tuple[str, Box]]:
    """The QR and bar codes of an RGB image with their places."""
    import zxingcpp

    found: list[tuple[str, Box]] = []
    # Plain: its other modes rewrite what the code holds, control characters and shop codes among it.
    for code in zxingcpp.read_barcodes(image, text_mode=zxingcpp.TextMode.Plain)[:_MOST_CODES]:
        text = "".join(char for char in code.text if char.isprintable() or char in "\n\t").strip()[:_LONGEST_CODE]
        place = code.position
        corners = (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
        xs, ys = [corner.x for corner in corners], [corner.y for corner in corners]
        if code.valid and text:
            found.append((text, (min(xs), min(ys), max(xs), max(ys))))
    return found


def _distinct(codes: list[tuple[str, Box]]) -> list[str]:
    return list(dict.fromkeys(text for text, _ in codes))


def _lies_in(inner: Box, outer: Box) -> bool:
    """Whether a piece of text is the pattern of a code misread as letters: its middle lies inside."""
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def statistics(image: Image, lines: list[TextLine]) -> Statistics:
    """Measure what :func:`judge_kind` needs."""
    import numpy as np
    from PIL import Image as PillowImage

    # Pixels are picked, not averaged: averaging would smooth a photo's noise and blur a drawing's edges.
    step = max(1, max(image.size) // 1500)
    pixels = np.asarray(image, dtype=np.int16)[::step, :, :]
    beside = np.abs(np.diff(pixels, axis=1)).max(axis=2) if image.width > 1 else np.zeros((1, 1))
    small = image.resize((min(256, image.width), min(256, image.height)), PillowImage.Resampling.BOX)
    values = np.asarray(small, dtype=np.int16)
    colourful = values.max(axis=2) - values.min(axis=2)
    area = sum((line.box[2] - line.box[0]) * (line.box[3] - line.box[1]) for line in lines)
    return Statistics(
        spread=float(pixels.std(axis=(0, 1)).max()),
        flat=float((beside <= 2).mean()),
        grey=float((colourful < 32).mean()),
        light=float((values.mean(axis=2) > 150).mean()),
        text=min(1.0, area / (image.width * image.height)),
        lines=len(lines),
        tall=image.height / image.width,
    )


def judge_kind(seen: Statistics) -> Kind:
    """The likeliest kind; rules of thumb, checked on rendered screens, pages and charts and on scanned receipts."""
    if seen.spread < 3 and seen.lines == 0:
        return "blank"
    paper = seen.grey > 0.85 and seen.light > 0.6
    if seen.flat < 0.6:
        # A scan or a photo of paper is as noisy as any photo; its text and whiteness tell.
        return "document" if seen.lines >= 5 and paper and seen.text > 0.04 else "photo"
    if seen.lines < 3 and seen.text < 0.2:
        return "graphic"
    page = 1.2 <= seen.tall <= 1.6 or seen.tall > 2.4
    scanned = seen.flat < 0.9
    if paper and (page or scanned) and seen.lines >= 5:
        return "document"
    return "screenshot"
