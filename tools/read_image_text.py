"""Text in a picture, read on this machine by the recognition models that rapidocr's wheel carries."""

from __future__ import annotations

import os
import threading
import unicodedata
from collections import Counter
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING, Any

from tools.types import TextLine

if TYPE_CHECKING:
    from PIL.Image import Image

RELIABLE = 0.90
"""A line whose score is below this is often misread; :func:`is_reliable` says which."""

_LEAST_SCORE = 0.5
_LONGEST = 2000  # pixels; rapidocr scales down to this itself, its detector gains nothing beyond
_SMALLEST = 48  # pixels of height below which the detector misses a single line of text
_TALL = 2.5  # times as high as wide: a long screenshot would lose its letters when scaled as a whole
_THINNEST = 6  # pixels: no letter fits into less
_NARROW = 8  # times as long as the other side: rapidocr enlarges by the shorter one, without a bound on the longer
_OVERLAP = 80  # pixels of a tile that are seen twice, so that a line on the cut is whole in one of them
_DET, _REC, _CLS = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx", "ch_ppocr_mobile_v2.0_cls_mobile.onnx"

# The engine keeps the options of a call in itself: two threads may not be inside it at once.
_in_use = threading.Lock()


def read_lines(image: Image) -> list[TextLine]:
    """The pieces of text in an RGB image, in reading order: rows from top to bottom, each from left to right.

    A piece is what stands together; several may lie in one row (:func:`rows` groups them). Lone symbols, which are
    nearly always icons or specks, are dropped, and so are doubtful pieces in another script than the picture's text.
    ``score`` is the recogniser's own, 0.5 to 1. Boxes are pixels of ``image``.
    """
    lines = [line for tile, offset in _tiles(image) for line in _read(tile, offset)]
    return [line for row in rows(without_strangers(_without_repeats(lines))) for line in row]


def is_reliable(line: TextLine) -> bool:
    """Whether a line was read with a score at which it is rarely wrong."""
    return line.score >= RELIABLE


def without_strangers(lines: list[TextLine]) -> list[TextLine]:
    """Lines but for unreliable ones in another script than most of what was read well: an icon, read as an ideograph.

    Where nothing was read well, no script is at home and all stay.
    """
    letters = Counter(script for line in lines if is_reliable(line) for script in _scripts(line.text))
    if not letters:
        return lines
    home = letters.most_common(1)[0][0]
    return [line for line in lines if is_reliable(line) or home in (own := _scripts(line.text)) or not own]


def _scripts(text: str) -> list[str]:
    """The script of each letter, by its Unicode name; Han, kana and hangul are one family here."""
    names = (unicodedata.name(char, "").split(" ")[0] for char in text if char.isalpha())
    return ["CJK" if name in ("HIRAGANA", "KATAKANA", "HANGUL") else name for name in names]


def rows(lines: list[TextLine]) -> list[list[TextLine]]:
    """Lines grouped into rows: those that share more than half of the lower one's height."""
    found: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda item: (item.box[1] + item.box[3], item.box[0])):
        # A slanted receipt drifts: compare with the row's median, and with the last rows only.
        home = next((row for row in reversed(found[-3:]) if _shares_row(row, line)), None)
        if home is None:
            found.append([line])
        else:
            home.append(line)
    return [sorted(row, key=lambda item: item.box[0]) for row in found]


def as_text(lines: list[TextLine]) -> str:
    """The lines as people would copy them: a row a line, pieces of one row apart by two spaces."""
    return "\n".join("  ".join(line.text for line in row) for row in rows(lines))


def _shares_row(row: list[TextLine], line: TextLine) -> bool:
    top = median(item.box[1] for item in row)
    bottom = median(item.box[3] for item in row)
    shared = min(bottom, line.box[3]) - max(top, line.box[1])
    return shared > 0.5 * min(bottom - top, line.box[3] - line.box[1])


def _tiles(image: Image) -> list[tuple[Image, int]]:
    """The image, or overlapping stretches of a very tall one, each with its distance from the top."""
    width, height = image.size
    if height <= _LONGEST or height <= _TALL * width:
        return [(image, 0)]
    step = max(int(_TALL * width) - _OVERLAP, _LONGEST // 2)
    return [
        (image.crop((0, top, width, min(top + step + _OVERLAP, height))), top)
        for top in range(0, height, step)
        if top == 0 or height - top > _OVERLAP
    ]


def _read(image: Image, offset: int) -> list[TextLine]:
    import numpy as np
    from PIL import Image as PillowImage

    if min(image.size) < _THINNEST:
        return []
    scale = 1.0
    if image.height < _SMALLEST or image.width < _SMALLEST:
        scale = min(4.0, _SMALLEST / max(1, min(image.size)), _LONGEST / max(image.size))
    if max(image.size) * scale > _LONGEST:
        scale = _LONGEST / max(image.size)
    if scale != 1.0:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, PillowImage.Resampling.LANCZOS)
    image = _broadened(image)
    with _in_use:
        # It takes arrays as BGR. Measured, the order hardly matters: on receipts .857 of the words against .854.
        output = _engine()(np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1]))
    if output.boxes is None or not output.txts:
        return []
    return [
        TextLine(text=text.strip(), score=round(float(score), 4), box=_box(corners, scale, offset))
        for corners, text, score in zip(output.boxes.tolist(), output.txts, output.scores, strict=True)
        if score >= _LEAST_SCORE and _says_something(text)
    ]


def _broadened(image: Image) -> Image:
    """A strip with room beside or below it; boxes stay where they are.

    A strip of one pixel by 30,000 as it is took rapidocr more than 20 GB, and the worker with it.
    """
    from PIL import Image as PillowImage

    longest = max(image.size)
    if min(image.size) * _NARROW >= longest:
        return image
    room = longest * 2 // _NARROW
    plain = PillowImage.new("RGB", (max(image.width, room), max(image.height, room)), image.getpixel((0, 0)))
    plain.paste(image, (0, 0))
    return plain


def _says_something(text: str) -> bool:
    letters = [char for char in text if char.isalnum()]
    # One ideograph or digit is a word of its own; one Latin letter, or marks alone, is an icon.
    return len(letters) > 1 or (len(letters) == 1 and (letters[0].isdigit() or ord(letters[0]) > 0x2E80))


def _box(corners: list[list[float]], scale: float, offset: int) -> tuple[int, int, int, int]:
    xs = [point[0] / scale for point in corners]
    ys = [point[1] / scale + offset for point in corners]
    return round(min(xs)), round(min(ys)), round(max(xs)), round(max(ys))


def _without_repeats(lines: list[TextLine]) -> list[TextLine]:
    """Lines seen in two tiles once, the better read one."""
    kept: list[TextLine] = []
    for line in sorted(lines, key=lambda item: -item.score):
        if not any(_covers(other.box, line.box) for other in kept):
            kept.append(line)
    return kept


def _covers(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return False
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height > 0.6 * max(smaller, 1)


@lru_cache(maxsize=1)
def _engine() -> Any:
    """The one engine of this process (about 100 MB; made at the first picture)."""
    import logging
    from pathlib import Path

    import rapidocr

    # It writes to standard error with a handler of its own, at a level its constructor sets.
    logging.getLogger("RapidOCR").handlers.clear()
    models = Path(rapidocr.__file__).parent / "models"
    affinity = getattr(os, "sched_getaffinity", None)
    threads = max(1, len(affinity(0)) if affinity else os.cpu_count() or 1)
    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.max_side_len": _LONGEST,
            # By path: with a name it would fetch a missing model from the network.
            # Lone digits in columns are lost at the default of .5.
            "Det.box_thresh": 0.3,
            "Det.model_path": str(models / _DET),
            "Rec.model_path": str(models / _REC),
            "Cls.model_path": str(models / _CLS),
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
