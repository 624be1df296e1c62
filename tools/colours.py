"""Names of the colours a picture is mostly made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

# CSS's basic colours under the names people use, with the few everyday ones that are missing there.
NAMES: dict[str, tuple[int, int, int]] = {
    "black": (0, 0, 0),
    "dark grey": (80, 80, 80),
    "grey": (128, 128, 128),
    "light grey": (200, 200, 200),
    "white": (255, 255, 255),
    "dark red": (128, 0, 0),
    "red": (230, 20, 20),
    "orange": (255, 150, 0),
    "brown": (139, 84, 40),
    "beige": (238, 224, 196),
    "yellow": (255, 235, 0),
    "olive": (128, 128, 0),
    "light green": (150, 225, 150),
    "lime": (0, 255, 0),
    "green": (0, 150, 40),
    "dark green": (0, 80, 20),
    "teal": (0, 128, 128),
    "cyan": (0, 230, 240),
    "light blue": (160, 205, 240),
    "blue": (30, 100, 225),
    "deep blue": (0, 0, 255),
    "dark blue": (30, 78, 121),
    "navy": (10, 20, 90),
    "purple": (128, 0, 140),
    "lavender": (200, 180, 240),
    "magenta": (255, 0, 255),
    "pink": (255, 175, 200),
}
_LEAST_SHARE = 0.02
_LIKE = {"deep blue": "blue", "lime": "green"}
"""Shades kept apart only so that the nearest one is found."""


def dominant_colours(image: Image, most: int = 5) -> list[str]:
    """Names of the colours that cover at least 2% of an RGB image, the largest share first, at most ``most``."""
    from PIL import Image as PillowImage

    small = image.copy()
    small.thumbnail((256, 256), PillowImage.Resampling.BOX)
    cut = small.quantize(colors=24, method=PillowImage.Quantize.MEDIANCUT)
    palette = cut.getpalette("RGB") or []
    shares: dict[str, int] = {}
    for count, index in cut.getcolors() or []:
        assert isinstance(index, int)
        name = colour_name((palette[3 * index], palette[3 * index + 1], palette[3 * index + 2]))
        shares[name] = shares.get(name, 0) + count
    total = small.width * small.height
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    return [name for name, count in ranked[:most] if count >= _LEAST_SHARE * total]


def colour_name(rgb: tuple[int, int, int]) -> str:
    """The name whose colour looks nearest (distance in CIELAB)."""
    import numpy as np

    names = list(NAMES)
    distances = np.linalg.norm(_lab([NAMES[name] for name in names]) - _lab([rgb]), axis=1)
    name = names[int(distances.argmin())]
    return _LIKE.get(name, name)


def _lab(colours: list[tuple[int, int, int]]) -> Any:
    """Colours from sRGB (0..255) to CIELAB under D65, shape (n, 3)."""
    import numpy as np

    srgb = np.asarray(colours, dtype=np.float64) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    cube = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * cube[:, 1] - 16, 500 * (cube[:, 0] - cube[:, 1]), 200 * (cube[:, 1] - cube[:, 2])], axis=1)
