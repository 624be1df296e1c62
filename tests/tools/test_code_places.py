"""A code's pattern is no text, and what a code holds is given as it is."""

from __future__ import annotations

import numpy as np
import zxingcpp
from PIL import Image

from tools.picture_facts import measure, read_codes
from tools.types import TextLine


def _with_code(text: str) -> tuple[Image.Image, tuple[int, int, int, int]]:
    made = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode)
    code = Image.fromarray(np.asarray(zxingcpp.write_barcode_to_image(made, scale=4))).convert("RGB")
    image = Image.new("RGB", (500, 300), "white")
    image.paste(code, (300, 40))
    return image, (300, 40, 300 + code.width, 40 + code.height)


def test_letters_seen_within_a_code_are_dropped_and_those_beside_it_stay() -> None:
    image, (left, top, right, bottom) = _with_code("https://example.org/help")
    inside = TextLine(text="noise", score=0.95, box=(left + 30, top + 40, right - 30, bottom - 40))
    beside = TextLine(text="Scan for help", score=0.99, box=(20, top, 180, top + 24))
    below = TextLine(text="Ask us", score=0.99, box=(left, bottom + 4, right, bottom + 28))

    facts = measure("label", image, "PNG", lines=[inside, beside, below])

    assert facts.lines == [beside, below]
    assert facts.codes == ["https://example.org/help"]


def test_control_characters_of_a_code_are_dropped_not_spelled_out() -> None:
    image, _ = _with_code("pay\x1b[31m\x00 now")

    assert read_codes(image) == ["pay[31m now"]
