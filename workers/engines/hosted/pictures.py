"""The pictures of a conversation: out of its messages, through Pillow, and into a size for which there is room."""

from __future__ import annotations

import base64
import binascii
import math
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from agents.errors import ModelCannotSee
from knowledge.errors import UserError
from tools.errors import ImageUnreadable
from tools.pictures import PictureLimits, open_picture, to_png
from workers.engines.host.crops import CROPS, Crops, Size

_DATA = re.compile(r"data:[\w/+.-]*;base64,(?P<data>.*)\Z", re.DOTALL)


class Album:
    """Takes the pictures out of one conversation and says where they belong.

    Args:
        model: Its name, for messages.
        limits: How large a picture may be; None: this model sees none.
        crops: How this kind of model cuts pictures up.
    """

    def __init__(self, model: str, limits: PictureLimits | None, crops: Crops = CROPS["phi3v"]) -> None:
        self._crops = crops
        self._model = model
        self._limits = limits
        self._nonce = secrets.token_hex(12)
        self._files: list[bytes] = []
        self._sizes: list[Size] = []
        self.parts = crops.levels[0]
        """Most parts a picture is cut into."""

    def __len__(self) -> int:
        return len(self._files)

    @property
    def marks(self) -> Mapping[str, int]:
        """What stands for each picture in the text, and the token that stands for it in the prompt."""
        return {self._mark(number): -number for number in range(1, len(self) + 1)}

    def add(self, block: Mapping[str, Any]) -> str:
        """Take a picture in; returns what stands for it in the text, which nobody's words can contain.

        Raises:
            ModelCannotSee: when the model reads text only.
            ImageUnreadable, ImageTooLarge: naming the picture by its number.
            UserError: when it is an address: fetching it would leave this machine.
        """
        if self._limits is None:
            raise ModelCannotSee(
                f"{self._model} reads text only.",
                hint="Take a model with vision, such as onnx:phi-3.5-vision (phiq models list shows which).",
                subject=self._model,
            )
        name = f"number {len(self) + 1}"
        data = _bytes(block, name)
        # Decoded now, so that a bad one is refused before anything runs; again when it is sent, since forty million
        # pixels are too much to keep for each.
        self._sizes.append(open_picture(data, name, self._limits).size)
        self._files.append(data)
        return self._mark(len(self))

    def place(self, tokens: Sequence[int], room: int) -> tuple[int, ...]:
        """Make room for the pictures in a prompt, with as many parts each as fit ``room`` tokens in all."""
        self.parts = self._crops.choose(self._sizes, room - len(tokens) + len(self))
        counts = [self._crops.places(self._crops.scaled(size, self.parts)) for size in self._sizes]
        made: list[int] = []
        for token in tokens:
            made.extend([token] * counts[-token - 1] if token < 0 else [token])
        return tuple(made)

    def pngs(self) -> tuple[bytes, ...]:
        """The pictures as PNG files made here, each of the size that the model cuts up."""
        from PIL import Image

        made = []
        for number, (data, size) in enumerate(zip(self._files, self._sizes, strict=True), 1):
            image = open_picture(data, f"number {number}", self._limits)
            made.append(to_png(image.resize(self._crops.scaled(size, self.parts), Image.Resampling.BILINEAR)))
        return tuple(made)

    def notes(self) -> list[str]:
        """What people must know of how the pictures were seen."""
        crops, most_parts = self._crops, self._crops.levels[0]
        kind = [crops.note] if self._files and crops.note else []
        levels = (self.parts, most_parts)
        cuts = [[math.prod(crops.grid(crops.scaled(size, parts))) for size in self._sizes] for parts in levels]
        if cuts[0] == cuts[1]:
            return kind
        most = max(cuts[0])
        what = f"at most {most} {'part' if most == 1 else 'parts'} instead of {most_parts}"
        return [*kind, f"To fit the model's context, each picture was seen in {what}: small print may be lost."]

    def _mark(self, number: int) -> str:
        return f"picture{self._nonce}n{number}e"


def _bytes(block: Mapping[str, Any], name: str) -> bytes:
    """The file in a block of any of the forms in use: LangChain's two, and OpenAI's."""
    address = block.get("image_url") or block.get("url") or ""
    if isinstance(address, Mapping):
        address = address.get("url") or ""
    text = block.get("base64") or block.get("data")
    if not text and (match := _DATA.match(str(address))):
        text = match["data"]
    if isinstance(text, bytes):
        return text
    if not text:
        raise UserError(
            f"The picture {name} must be sent as base64, not as an address.",
            hint="Send the file itself: a data: address, or an attachment of the job.",
            subject=name,
        )
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageUnreadable(
            f"The picture {name} is no base64.", hint="Encode the file again.", subject=name
        ) from error
