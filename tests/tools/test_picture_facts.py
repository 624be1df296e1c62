"""What is measured in a picture: its kind, its colours, its codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import zxingcpp
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tools.colours import NAMES, colour_name, dominant_colours
from tools.picture_facts import measure, read_codes

Written = Callable[..., Image.Image]


def _code(text: str, kind: str) -> Image.Image:
    made = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind))
    return Image.fromarray(np.asarray(zxingcpp.write_barcode_to_image(made, scale=4))).convert("RGB")


def _screen() -> Image.Image:
    image = Image.new("RGB", (1000, 640), (240, 242, 245))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, 1000, 60), fill=(20, 90, 170))
    font = ImageFont.load_default(22)
    pen.text((24, 16), "Account settings", font=font, fill="white")
    for at, words in enumerate(("Name and address", "Payment method", "Notifications", "Delete the account")):
        pen.rectangle((40, 110 + at * 110, 960, 190 + at * 110), fill="white", outline=(200, 200, 200))
        pen.text((64, 134 + at * 110), words, font=font, fill=(30, 30, 30))
    return image


def _page() -> Image.Image:
    image = Image.new("RGB", (850, 1200), "white")
    pen = ImageDraw.Draw(image)
    for at in range(18):
        pen.text(
            (80, 80 + at * 56),
            f"Clause {at + 1} binds both parties to deliver in time.",
            font=ImageFont.load_default(22),
            fill="black",
        )
    return image


def _photo() -> Image.Image:
    dice = np.random.default_rng(5)
    ground = Image.fromarray(dice.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize(
        (640, 480), Image.Resampling.BICUBIC
    )
    soft = np.asarray(ground.filter(ImageFilter.GaussianBlur(6)), dtype=np.int16)
    return Image.fromarray((soft + dice.normal(0, 6, soft.shape)).clip(0, 255).astype(np.uint8))


def _chart() -> Image.Image:
    image = Image.new("RGB", (600, 400), "white")
    pen = ImageDraw.Draw(image)
    for at, colour in enumerate(("red", "orange", "green", "blue")):
        pen.rectangle((60 + at * 130, 300 - at * 70, 150 + at * 130, 380), fill=colour)
    return image


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (_screen, "screenshot"),
        (_page, "document"),
        (_photo, "photo"),
        (_chart, "graphic"),
        (lambda: Image.new("RGB", (300, 200), "navy"), "blank"),
        (lambda: Image.new("RGB", (1, 1), "white"), "blank"),
    ],
)
def test_kind(make: Callable[[], Image.Image], kind: str) -> None:
    facts = measure("it", make(), "PNG")

    assert facts.kind == kind
    assert (facts.name, facts.format) == ("it", "PNG")


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"lime", "deep blue"}))
def test_a_colour_has_its_own_name(name: str) -> None:
    assert colour_name(NAMES[name]) == name


def test_colours_come_by_their_share_and_specks_are_left_out() -> None:
    image = Image.new("RGB", (200, 100), "white")
    image.paste((230, 20, 20), (0, 0, 60, 100))
    image.paste((0, 150, 40), (60, 0, 80, 100))
    image.paste((0, 0, 0), (199, 0, 200, 20))

    assert dominant_colours(image) == ["white", "red", "green"]
    assert dominant_colours(image, most=1) == ["white"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("https://example.org/help?code=E-31", "QRCode"), ("5901234123457", "EAN13"), ("LP-204-77310", "Code128")],
)
def test_a_code_is_read(text: str, kind: str) -> None:
    image = Image.new("RGB", (1100, 500), "white")
    image.paste(_code(text, kind), (60, 60))

    assert read_codes(image) == [text]
    assert measure("label", image, "PNG", lines=[]).codes == [text]


def test_a_code_seen_twice_counts_once_and_carries_no_control_characters() -> None:
    image = Image.new("RGB", (900, 400), "white")
    code = _code("call\x1b[31m \u202enow", "QRCode")
    image.paste(code, (30, 30))
    image.paste(code, (460, 30))

    (text,) = read_codes(image)

    assert text.isprintable()
    assert text.startswith("call")
    assert text.endswith("now")


def test_a_picture_without_codes_has_none(written: Written) -> None:
    assert read_codes(written("no code here")) == []


def test_lines_that_were_read_already_are_taken_as_they_are(written: Written) -> None:
    assert measure("it", written("text that is there"), "PNG", lines=[]).lines == []
