"""Paints over what is private in a picture, and takes it out of the text that was read in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.picture_facts import Box, find_codes, measure
from tools.private_text import NAMES, PrivateKind, find_private, label_of
from tools.read_image_text import read_lines, rows
from tools.types import PictureFacts, TextLine

if TYPE_CHECKING:
    from PIL.Image import Image

_GAP = "  "
_MARGIN = 1.5  # letters painted over beside a match: letters are not equally wide
_WHOLE = 0.6  # of a piece of text that is private: from here on all of it goes


@dataclass
class Masked:
    """A picture without what was private in it.

    Attributes:
        image: The painted copy; the very same picture where nothing was found.
        facts: Its facts, with the text masked.
        boxes: What was painted, in pixels.
        counts: How much of each kind.
        doubtful: Something private could be read again after painting, so whole rows were painted too.
    """

    image: Image
    facts: PictureFacts
    boxes: list[Box] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    doubtful: bool = False


def mask_picture(name: str, image: Image, file_format: str, lines: list[TextLine] | None = None) -> Masked:
    """Mask a picture; the painted copy is read again, and what can still be read is painted whole.

    Args:
        name: What people call it.
        image: RGB.
        file_format: What the file was.
        lines: Text already read in it; None reads it now.
    """
    lines = read_lines(image) if lines is None else lines
    counts: dict[str, int] = {}
    kept, boxes = _masked_lines(lines, counts)
    codes: list[str] = []
    for text, box in find_codes(image):
        found = find_private(text)
        if found:
            boxes.append(box)
            counts[found[0].kind] = counts.get(found[0].kind, 0) + 1
        else:
            codes.append(text)
    facts = measure(name, image, file_format, lines)
    facts = facts.model_copy(update={"codes": list(dict.fromkeys(codes)), "lines": kept})
    if not boxes:
        return Masked(image, facts)
    painted = _paint(image, boxes)
    again = [line.box for line in read_lines(painted) if find_private(line.text)]
    if again:
        boxes += again
        painted = _paint(painted, again)
    return Masked(painted, facts, boxes, counts, bool(again))


def _masked_lines(lines: list[TextLine], counts: dict[str, int]) -> tuple[list[TextLine], list[Box]]:
    kept: list[TextLine] = []
    boxes: list[Box] = []
    waiting: PrivateKind | None = None
    for row in rows(lines):
        # A label alone in its row: its value stands below, in the next one.
        if waiting is not None and not any(find_private(line.text) for line in row):
            kept.append(_gone(row[0], waiting, counts))
            boxes.append(row[0].box)
            rest, waiting = row[1:], None
        else:
            rest, waiting = row, None
        masked, painted = _masked_row(rest, counts)
        kept += masked
        boxes += painted
        if len(row) == 1 and not painted:
            waiting = label_of(row[0].text)
    return kept, boxes


def _masked_row(row: list[TextLine], counts: dict[str, int]) -> tuple[list[TextLine], list[Box]]:
    """Pieces of one row, looked at together: a number may be split, a label stand apart from its value."""
    if not row:
        return [], []
    starts, text = [], ""
    for line in row:
        starts.append(len(text))
        text += line.text + _GAP
    spans = find_private(text.rstrip())
    kept: list[TextLine] = []
    boxes: list[Box] = []
    for at, (start, line) in enumerate(zip(starts, row, strict=True)):
        label = label_of(row[at - 1].text) if at else None
        inside = [
            (one.kind, max(0, one.start - start), min(len(line.text), one.end - start), one.start >= start)
            for one in spans
            if one.start < start + len(line.text) and one.end > start
        ]
        if label is not None and not inside:
            kept.append(_gone(line, label, counts))
            boxes.append(line.box)
            continue
        masked, cursor = "", 0
        for kind, begin, end, first in inside:
            masked += line.text[cursor:begin] + f"[{NAMES[kind]}]"
            counts[kind] = counts.get(kind, 0) + int(first)
            boxes.append(_part(line, begin, end))
            cursor = end
        kept.append(line.model_copy(update={"text": masked + line.text[cursor:]}) if inside else line)
    return kept, boxes


def _gone(line: TextLine, kind: PrivateKind, counts: dict[str, int]) -> TextLine:
    counts[kind] = counts.get(kind, 0) + 1
    return line.model_copy(update={"text": f"[{NAMES[kind]}]"})


def _part(line: TextLine, begin: int, end: int) -> Box:
    """The box of some characters of a line, guessed from their share of it and rather too wide than too narrow."""
    left, top, right, bottom = line.box
    length = max(1, len(line.text))
    if (end - begin) / length >= _WHOLE or bottom - top > right - left:
        return line.box
    wide = (right - left) / length
    return (
        max(left, round(left + (begin - _MARGIN - 0.1 * begin) * wide)),
        top,
        min(right, round(left + (end + _MARGIN + 0.1 * (length - end)) * wide)),
        bottom,
    )


def _paint(image: Image, boxes: list[Box]) -> Image:
    from PIL import ImageDraw

    painted = image.copy()
    draw = ImageDraw.Draw(painted)
    for left, top, right, bottom in boxes:
        room = max(2, round(0.15 * (bottom - top)))
        draw.rectangle((left - room, top - room, right + room, bottom + room), fill="black")
    return painted
