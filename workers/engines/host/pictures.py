"""Pictures on their way into a Phi-3 model with vision, in the host's process.

GenAI's own processor ends the process on a damaged JPEG, and cuts every picture into 16 parts whatever its file says
(version 0.18): so the pixels are made here, as it makes them, from PNG files that the worker wrote. The library's
processor is asked once, on a picture of ours, in which number format the model wants them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.engines.host.crops import CROPS
from workers.engines.host.protocol import Request

_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], dtype=np.float32).reshape(3, 1, 1)
_DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], dtype=np.float32).reshape(3, 1, 1)
Pixels = NDArray[np.float32]


_CROPS = CROPS["phi3v"]
SIDE = _CROPS.side


class WrongPlaces(ValueError):
    """A prompt leaves other room for its pictures than they take."""


class Eyes:
    """Makes a model's inputs of prompts with pictures.

    Args:
        og: The library.
        model: A loaded ``phi3v`` model.
    """

    def __init__(self, og: Any, model: Any) -> None:
        self._og = og
        self._model = model
        self._format: Any = None

    def inputs(self, request: Request) -> Any:
        """The named tensors of a request: place k of the pictures is the token ``-k``, as often as it has places.

        Raises:
            WrongPlaces: the tokens don't fit the pictures.
        """
        images = [_decode(png) for png in request.pictures]
        counts = [_CROPS.places((pixels.shape[2], pixels.shape[1])) for pixels in images]
        check_places(request, counts)
        named = self._og.NamedTensors()
        named["input_ids"] = np.array([request.tokens], dtype=np.int32)
        named["pixel_values"] = stack(images).astype(self._number_format())
        sizes = [_CROPS.grid((pixels.shape[2], pixels.shape[1])) for pixels in images]
        named["image_sizes"] = np.array(sizes, dtype=np.int64) * SIDE
        named["num_image_tokens"] = np.array(counts, dtype=np.int64)
        return named

    def _number_format(self) -> Any:
        if self._format is None:
            processor = self._model.create_multimodal_processor()
            sample = processor("<|image_1|>", images=self._og.Images.open_bytes(_white()))
            self._format = sample["pixel_values"].as_numpy().dtype
        return self._format


def check_places(request: Request, counts: Sequence[int]) -> None:
    """Hold the places that a prompt has for its pictures against those they take.

    Raises:
        WrongPlaces: they differ; the library would read past them.
    """
    expected = [-number for number, count in enumerate(counts, 1) for _ in range(count)]
    if [token for token in request.tokens if token < 0] != expected:
        raise WrongPlaces("the prompt does not leave the room that its pictures take")


def stack(images: Sequence[Pixels]) -> Pixels:
    """Pictures as the model takes them: for each the whole, its parts row by row, and nothing up to the most parts."""
    parts = [np.concatenate([whole(pixels)[None], cut(pixels)]) for pixels in images]
    most = max(len(one) for one in parts)
    stacked = np.zeros((len(parts), most, 3, SIDE, SIDE), dtype=np.float32)
    for index, one in enumerate(parts):
        stacked[index, : len(one)] = one
    return stacked


def whole(pixels: Pixels) -> Pixels:
    """A picture as one part."""
    from PIL import Image

    small = [Image.fromarray(channel).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for channel in pixels]
    return np.stack([np.asarray(channel, dtype=np.float32) for channel in small])


def cut(pixels: Pixels) -> Pixels:
    """The parts of a picture, row by row."""
    rows, columns = pixels.shape[1] // SIDE, pixels.shape[2] // SIDE
    apart = pixels.reshape(3, rows, SIDE, columns, SIDE).transpose(1, 3, 0, 2, 4)
    return apart.reshape(rows * columns, 3, SIDE, SIDE)


def _decode(png: bytes) -> Pixels:
    """A picture of its scaled size, centred on white of whole parts, in the figures that the model was trained on."""
    from PIL import Image

    with Image.open(io.BytesIO(png), formats=("PNG",)) as file:
        image = file.convert("RGB")
    rows, columns = _CROPS.grid(image.size)
    page = Image.new("RGB", (columns * SIDE, rows * SIDE), "white")
    page.paste(image, ((page.width - image.width) // 2, (page.height - image.height) // 2))
    values = np.asarray(page, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)
    return np.ascontiguousarray((values - _MEAN) / _DEVIATION)


def _white() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(out, format="PNG")
    return out.getvalue()
