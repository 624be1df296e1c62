"""Pictures on their way into Phi-4-multimodal, in the host's process: through the library's own processor.

It is shown PNG files that we made here, of whole parts, since it ends the process on a damaged file of any other kind;
and a prompt of picture tags alone, since it would take control markers in people's words for its own.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from workers.engines.host.crops import CROPS
from workers.engines.host.pictures import check_places
from workers.engines.host.protocol import Request

_PICTURE = 200010
"""The token at each place of a picture, as the library has it built in."""
_CROPS = CROPS["phi4mm"]


class Eyes4:
    """Makes a model's inputs of prompts with pictures.

    Args:
        og: The library.
        model: A loaded ``phi4mm`` model.
    """

    def __init__(self, og: Any, model: Any) -> None:
        self._og = og
        self._processor = model.create_multimodal_processor()

    def inputs(self, request: Request) -> Any:
        """The named tensors of a request: place k of the pictures is the token ``-k``, as often as it has places.

        Raises:
            WrongPlaces: the tokens don't fit the pictures.
        """
        tags = "".join(f"<|image_{number}|>" for number in range(1, len(request.pictures) + 1))
        pages = [_page(png) for png in request.pictures]
        named = self._processor(tags, images=self._og.Images.open_bytes(*pages))
        check_places(request, [int(count) for count in named["num_image_tokens"].as_numpy().ravel()])
        ids = [_PICTURE if token < 0 else token for token in request.tokens]
        named["input_ids"] = np.array([ids], dtype=np.int32)
        return named


def _page(png: bytes) -> bytes:
    """A picture on white of whole parts."""
    from PIL import Image

    with Image.open(io.BytesIO(png), formats=("PNG",)) as file:
        image = file.convert("RGB")
    rows, columns = _CROPS.grid(image.size)
    page = Image.new("RGB", (columns * _CROPS.side, rows * _CROPS.side), "white")
    page.paste(image, ((page.width - image.width) // 2, (page.height - image.height) // 2))
    out = io.BytesIO()
    page.save(out, format="PNG")
    return out.getvalue()
