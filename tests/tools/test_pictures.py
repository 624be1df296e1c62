"""Picture files: what is read, what is refused, and in which words."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tools.errors import ImageTooLarge, ImageUnreadable
from tools.pictures import FORMATS, PictureLimits, open_picture, shrink, to_png

AsFile = Callable[..., bytes]


def _noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(3).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("kind", FORMATS)
def test_each_supported_kind_becomes_rgb_and_says_what_it_was(kind: str, as_file: AsFile) -> None:
    image = open_picture(as_file(Image.new("RGB", (30, 20), (200, 30, 30)), kind), f"a.{kind.lower()}")

    assert (image.mode, image.size, image.format) == ("RGB", (30, 20), kind)
    assert all(abs(seen - meant) < 12 for seen, meant in zip(image.getpixel((5, 5)), (200, 30, 30), strict=True))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_cut_off_anywhere_is_unreadable_or_whole_but_never_a_crash(kind: str, as_file: AsFile) -> None:
    data = as_file(_noise(64, 48), kind)
    refused = 0
    hints: set[str] = set()
    for length in sorted({*range(1, 40), *range(40, len(data), max(1, len(data) // 40))}):
        try:
            image = open_picture(data[:length], "cut")
        except ImageUnreadable as error:
            refused += 1
            hints.add(error.hint)
        else:
            # Formats with a tail that carries no pixels may open without it.
            assert image.size == (64, 48)
            assert length > 0.9 * len(data)
    assert refused > 30
    assert all(hints)


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_bytes_are_refused_or_read_but_never_a_crash(kind: str, as_file: AsFile) -> None:
    data = bytearray(as_file(_noise(40, 30), kind))
    dice = np.random.default_rng(11)
    for _ in range(60):
        spoilt = bytearray(data)
        for at in dice.integers(0, len(data), 8):
            spoilt[at] = int(dice.integers(0, 256))
        try:
            image = open_picture(bytes(spoilt), "spoilt")
        except (ImageUnreadable, ImageTooLarge):
            continue
        assert image.mode == "RGB"


def _png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (2_000_000_000, 1), (12_000, 10_000)])
def test_a_bomb_is_refused_by_its_header_before_a_pixel_is_decoded(width: int, height: int) -> None:
    data = _png_header(width, height) + b"\x00\x00\x00\x00IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))

    with pytest.raises(ImageTooLarge) as caught:
        open_picture(data, "bomb.png")

    assert "PHIQ_MAX_IMAGE_PIXELS" in caught.value.hint
    assert "40,000,000" in caught.value.message


def test_a_small_file_of_many_pixels_is_refused_by_the_limit_given(as_file: AsFile) -> None:
    data = as_file(Image.new("L", (3000, 2000)))
    assert len(data) < 30_000

    with pytest.raises(ImageTooLarge, match="3000 x 2000"):
        open_picture(data, "wide.png", PictureLimits(max_pixels=5_999_999))

    assert open_picture(data, "wide.png", PictureLimits(max_pixels=6_000_000)).size == (3000, 2000)


def test_a_file_of_too_many_bytes_is_refused_unopened() -> None:
    with pytest.raises(ImageTooLarge, match="1,001 bytes") as caught:
        open_picture(b"x" * 1001, "big.png", PictureLimits(max_bytes=1000))

    assert "PHIQ_MAX_FILE_BYTES" in caught.value.hint


def test_the_content_decides_not_the_extension(as_file: AsFile) -> None:
    assert open_picture(as_file(Image.new("RGB", (4, 4)), "JPEG"), "photo.png").format == "JPEG"


def test_an_empty_file_is_named() -> None:
    with pytest.raises(ImageUnreadable, match=r"shot\.png is empty"):
        open_picture(b"", "shot.png")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"></svg>', "an SVG drawing"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "a HEIC photo"),
        (b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00", "an AVIF picture"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00", "a video"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"\x00\x00\x01\x00\x01\x00", "an icon file"),
        (b"hello, I am a text", "no picture"),
        (b"\x00" * 200, "no picture"),
    ],
)
def test_an_unsupported_kind_is_named_with_the_supported_ones(data: bytes, words: str) -> None:
    with pytest.raises(ImageUnreadable) as caught:
        open_picture(data, "it.png")

    assert words in caught.value.message
    assert all(kind in caught.value.hint for kind in ("PNG", "JPEG", "WebP", "GIF", "BMP", "TIFF"))


def test_a_postscript_file_never_reaches_its_interpreter() -> None:
    with pytest.raises(ImageUnreadable, match="no picture"):
        open_picture(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n", "drawing.eps")


def test_one_pixel_is_a_picture(as_file: AsFile) -> None:
    image = open_picture(as_file(Image.new("RGB", (1, 1), "red")), "dot.png")

    assert (image.size, image.getpixel((0, 0))) == ((1, 1), (255, 0, 0))


def test_the_first_frame_of_an_animation_is_read() -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(out, format="GIF", save_all=True, append_images=frames[1:])

    assert open_picture(out.getvalue(), "moving.gif").getpixel((3, 3)) == (255, 0, 0)


def test_a_cmyk_photo_keeps_its_colour(as_file: AsFile) -> None:
    data = as_file(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG")

    red, green, blue = open_picture(data, "print.jpg").getpixel((5, 5))

    assert red > 200
    assert max(green, blue) < 60


def test_sixteen_bits_are_scaled_not_clipped(as_file: AsFile) -> None:
    ramp = np.linspace(0, 65535, 256, dtype=np.uint16)[None, :].repeat(4, axis=0)
    image = open_picture(as_file(Image.fromarray(ramp)), "scan.png")

    seen = np.asarray(image)[0, :, 0].astype(int)

    assert image.mode == "RGB"
    assert np.abs(seen - np.arange(256)).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(mode: str, as_file: AsFile) -> None:
    image = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 10, 10))
    if mode == "P":
        flat = Image.new("P", (20, 10), 1)
        flat.putpalette([0, 0, 0, 10, 10, 10])
        flat.paste(0, (0, 0, 10, 10))
        data = as_file(flat, "PNG", transparency=1)
    else:
        data = as_file(image.convert(mode))

    seen = open_picture(data, "logo.png")

    assert seen.getpixel((15, 5)) == (255, 255, 255)
    assert seen.getpixel((5, 5)) == (0, 0, 0)


def test_a_photo_taken_sideways_is_turned_upright_and_loses_its_metadata(as_file: AsFile) -> None:
    image = Image.new("RGB", (40, 20), "white")
    image.paste((255, 0, 0), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side: turn by 90 degrees clockwise
    exif[0x010F] = "Camera of somebody"

    seen = open_picture(as_file(image, "JPEG", exif=exif, quality=95), "phone.jpg")

    assert seen.size == (20, 40)
    assert seen.getpixel((10, 5))[1] < 60 < 200 < seen.getpixel((10, 35))[1]
    assert not seen.getexif()
    assert b"Camera of somebody" not in to_png(seen)


def test_shrink_bounds_the_longer_side_and_never_enlarges() -> None:
    image = Image.new("RGB", (400, 100))

    assert shrink(image, 200).size == (200, 50)
    assert shrink(image, 400) is image
    assert shrink(Image.new("RGB", (5000, 1)), 100).size == (100, 1)
