"""Private text is painted over so that it can't be read again."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from tools.mask_picture import mask_picture
from tools.read_image_text import read_lines


def drawn(*lines: str) -> Image.Image:
    image = Image.new("RGB", (900, 60 + 60 * len(lines)), "white")
    pen = ImageDraw.Draw(image)
    for at, line in enumerate(lines):
        pen.text((30, 30 + at * 60), line, font=ImageFont.load_default(28), fill="black")
    return image


def test_what_is_private_is_gone_from_text_and_pixels() -> None:
    image = drawn(
        "Order 4711 was sent",
        "Contact jane.roe@example.org",
        "IBAN DE89 3704 0044 0532 0130 00",
        "Password:",
        "hunter22",
    )
    found = mask_picture("a.png", image, "PNG")
    text = " ".join(line.text for line in found.facts.lines)
    assert "[e-mail]" in text
    assert "Order 4711" in text
    for secret in ("jane", "3704", "hunter22"):
        assert secret not in text
    assert found.counts == {"email": 1, "iban": 1, "secret": 1}
    again = " ".join(line.text for line in read_lines(found.image))
    for secret in ("jane", "example.org", "3704", "0532", "hunter22"):
        assert secret not in again
    assert "Order 4711 was sent" in again
    assert image.getpixel((3, 3)) == found.image.getpixel((3, 3))


def test_a_picture_without_anything_private_stays_itself() -> None:
    image = drawn("Nothing to see here")
    found = mask_picture("a.png", image, "PNG")
    assert found.image is image
    assert (found.boxes, found.counts) == ([], {})
