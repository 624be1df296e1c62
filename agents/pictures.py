"""What every description begins with: pictures opened, frames taken from videos, text read, private things masked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agents.contract import Attachment, DescribeRequest, MaskedPicture, Picture, PictureText, Progress
from knowledge.errors import PhiqError
from tools.pictures import PictureLimits

if TYPE_CHECKING:
    from PIL.Image import Image

    from tools.types import PictureFacts, TextLine

MOST = 20
"""Pictures and frames of one job."""
Keep = Callable[[bytes, str], Attachment]
"""Puts a file into the content store."""


@dataclass(frozen=True)
class Looked:
    """A picture that was opened and measured; with masking, the masked copy and its facts."""

    name: str
    image: Image
    facts: PictureFacts


@dataclass
class Looking:
    """Opens the pictures of a request, one after the other.

    Args:
        request: Which, and what is wished.
        limits: How large they may be.
        keep: Puts masked pictures into the content store; None: they are not kept.
        needs_text: A picture whose text can't be read is an error; else its text is left out with a note.

    Attributes:
        looked: The pictures.
        masked: What was masked in each, where that was asked.
        notes: Sentences for people.
        total: How many there will be, frames of videos included; known once the first is opened.
    """

    request: DescribeRequest
    limits: PictureLimits
    keep: Keep | None = None
    needs_text: bool = False
    looked: list[Looked] = field(default_factory=list)
    masked: list[MaskedPicture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    total: int = 0

    def run(self) -> Iterator[Progress | Looked]:
        """Open them; says before each how far it is, and gives it after.

        Raises:
            ImageUnreadable, ImageTooLarge, VideoUnsupported: naming the picture.
        """
        pictures = list(self._stills())
        self.total = len(pictures)
        for number, picture in enumerate(pictures):
            yield Progress(done=number, total=len(pictures) + 1, note=f"reading {picture.name}")
            self._look(picture)
            yield self.looked[-1]

    @property
    def facts(self) -> list[PictureFacts]:
        """Of each picture."""
        return [one.facts for one in self.looked]

    def texts(self) -> list[PictureText]:
        """The text that was read in each picture that has some; none for requests that older versions know."""
        if self.request.plain:
            return []
        from tools.read_image_text import as_text

        return [PictureText(name=one.name, text=as_text(one.facts.lines)) for one in self.looked if one.facts.lines]

    def _stills(self) -> Iterator[Picture]:
        """The pictures, with some frames in the place of each video."""
        from tools.video import is_video, read_frames

        videos = [picture.name for picture in self.request.pictures if is_video(picture.data)]
        room = max(1, (MOST - len(self.request.pictures) + len(videos)) // max(1, len(videos)))
        count = min(self.request.frames, room)
        for picture in self.request.pictures:
            if not is_video(picture.data):
                yield picture
                continue
            frames = read_frames(picture.data, picture.name, count, self.limits.max_pixels)
            self.notes.append(f"{picture.name} is a video: {len(frames)} of its frames were looked at.")
            for frame in frames:
                minutes, seconds = divmod(frame.at, 60)
                yield Picture(name=f"{picture.name} at {minutes:.0f}:{seconds:04.1f}", data=frame.png)

    def _look(self, picture: Picture) -> None:
        from tools import read_image_text
        from tools.picture_facts import measure
        from tools.pictures import open_picture

        image = open_picture(picture.data, picture.name, self.limits)
        kind = image.format or ""
        lines: list[TextLine] = []
        try:
            lines = read_image_text.read_lines(image)
        except PhiqError as error:
            # The text is a hint only: without it the model still sees the picture. What can't be read can't be masked.
            if self.needs_text or self.request.mask:
                raise
            self.notes.append(f"The text in {picture.name} could not be read apart: {error.message}")
        if self.request.mask:
            self.looked.append(self._masked(picture.name, image, kind, lines))
        else:
            self.looked.append(Looked(picture.name, image, measure(picture.name, image, kind, lines)))

    def _masked(self, name: str, image: Image, kind: str, lines: list[TextLine]) -> Looked:
        from tools.mask_picture import mask_picture
        from tools.pictures import to_png

        found = mask_picture(name, image, kind, lines)
        kept = None
        if found.boxes and self.keep is not None:
            kept = self.keep(to_png(found.image), f"{name.rsplit('.', 1)[0]}-masked.png")
        self.masked.append(MaskedPicture(name=name, picture=kept, counts=found.counts))
        note = (
            "Personal data and secrets were looked for in the text that could be read; names only where a label says "
            "so. Faces, and text the reader missed, are not masked."
        )
        if note not in self.notes:
            self.notes.append(note)
        return Looked(name, found.image, found.facts)
