"""Picture files in, plain RGB images out; whatever is wrong with the bytes becomes one of our errors.

Only six decoders may run, size is checked before a pixel is decoded, and what leaves here is RGB without metadata
(no place or camera of the user's goes on to an engine).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.errors import ImageTooLarge, ImageUnreadable

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
KINDS = "PNG, JPEG, WebP, GIF, BMP and TIFF"


@dataclass(frozen=True)
class PictureLimits:
    """What a picture may be at most: ``max_bytes`` as a file, ``max_pixels`` (width by height) decoded."""

    max_bytes: int = 100_000_000
    max_pixels: int = 40_000_000


def open_picture(data: bytes, name: str, limits: PictureLimits | None = None) -> Image:
    """Decode a picture.

    The first frame of an animation or the first page; turned upright as its EXIF data says; transparent parts on
    white; 16-bit and CMYK brought to RGB. ``format`` of the image says what the file was.

    Args:
        data: The file's bytes.
        name: What to call it in errors.
        limits: Bounds; None for the defaults.

    Raises:
        ImageTooLarge: too many bytes, or too many pixels by its header.
        ImageUnreadable: empty, damaged, cut off, or of a kind that is not supported.
    """
    from PIL import Image, UnidentifiedImageError

    limits = limits or PictureLimits()
    if not data:
        raise ImageUnreadable(f"The picture {name} is empty.", hint="Send a file that has content.", subject=name)
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(
            f"The picture {name} has {len(data):,} bytes; at most {limits.max_bytes:,} are allowed.",
            hint="Send a smaller file, or raise PHIQ_MAX_FILE_BYTES.",
            subject=name,
            bytes=len(data),
            limit=limits.max_bytes,
        )
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_pixels(image.size, name, limits)
            image.load()
            kind = image.format
            plain = _to_rgb(_upright(image))
    except ImageTooLarge:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(name, limits) from error
    except UnidentifiedImageError as error:
        raise _unknown_kind(data, name) from error
    # Pillow's decoders raise nearly anything on damaged data: OSError, SyntaxError, ValueError, struct.error…
    except Exception as error:
        raise ImageUnreadable(
            f"The picture {name} is damaged or cut off: {error}.",
            hint="Open it in a viewer and save it again as PNG, or fetch it again.",
            subject=name,
        ) from error
    plain.format = kind
    return plain


def to_png(image: Image) -> bytes:
    """The image as a PNG file without metadata."""
    out = io.BytesIO()
    image.save(out, format="PNG", compress_level=3)
    return out.getvalue()


def shrink(image: Image, longest: int) -> Image:
    """The image with its longer side at most ``longest`` pixels; the same object when it already is."""
    from PIL import Image

    scale = longest / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _check_pixels(size: tuple[int, int], name: str, limits: PictureLimits) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageUnreadable(f"The picture {name} has no pixels.", hint="Send another file.", subject=name)
    if width * height > limits.max_pixels:
        raise _too_many_pixels(name, limits, width, height)


def _too_many_pixels(name: str, limits: PictureLimits, width: int = 0, height: int = 0) -> ImageTooLarge:
    size = f"{width} x {height} pixels" if width else "too many pixels to decode safely"
    return ImageTooLarge(
        f"The picture {name} has {size}; at most {limits.max_pixels:,} pixels are allowed.",
        hint="Scale it down, or raise PHIQ_MAX_IMAGE_PIXELS.",
        subject=name,
        width=width,
        height=height,
        limit=limits.max_pixels,
    )


def _unknown_kind(data: bytes, name: str) -> ImageUnreadable:
    head = data[:1024].lstrip().lower()
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    known = (
        ("an SVG drawing", b"<svg" in head),
        ("a PDF", head.startswith(b"%pdf")),
        ("an AVIF picture", brand in (b"avif", b"avis")),
        ("a HEIC photo", brand in (b"heic", b"heix", b"mif1", b"hevc", b"msf1")),
        ("a JPEG XL picture", data.startswith((b"\xff\x0a", b"\x00\x00\x00\x0cJXL "))),
        ("an icon file", data.startswith(b"\x00\x00\x01\x00")),
        ("a video", bool(brand)),
        ("a web page", head.startswith((b"<!doctype html", b"<html"))),
    )
    kind = next((words for words, found in known if found), "")
    message = f"{name} is {kind}, which can't be read here." if kind else f"{name} is no picture that can be read here."
    return ImageUnreadable(message, hint=f"Supported kinds: {KINDS}. Convert it to PNG and try again.", subject=name)


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    # Damaged EXIF data says nothing about the pixels, and its parser raises many things.
    except Exception:  # noqa: BLE001
        return image


def _to_rgb(image: Image) -> Image:
    from PIL import Image

    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = _to_eight_bits(image)
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        plain = Image.new("RGB", coloured.size, "white")
        plain.paste(coloured, mask=coloured.getchannel("A"))
        return plain
    plain = image.convert("RGB")
    if plain is image:
        plain = image.copy()
    plain.info = {}
    return plain


def _to_eight_bits(image: Image) -> Image:
    """Wide greyscale to eight bits: 16-bit by its full range, other ranges by what occurs."""
    import numpy as np
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    low, high = float(values.min()), float(values.max())
    if low >= 0 and 255 < high <= 65535:
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 255 and image.mode != "F":
        low, high = 0.0, 65535.0 if image.mode.startswith("I;16") else 255.0
    return Image.fromarray(((values - low) * (255.0 / max(high - low, 1e-9))).clip(0, 255).astype(np.uint8))
