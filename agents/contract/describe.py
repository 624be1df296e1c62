"""Pictures and what is said of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agents.contract.base import Attachment, Input, Result, Since, unused
from knowledge.types import Frozen
from tools.types import PictureFacts

Form = Literal["description", "alt_text", "long", "screenshot", "chart", "receipt"]
"""What a description is for. ``alt_text``: a sentence of at most 125 characters for who can't see the picture;
``long``: everything in it; ``screenshot``: application, error and what is seen, for support; ``chart``: what it plots
and says; ``receipt``: company, date, address and total."""

ALT_TEXT = 125
"""Characters of an alt text at most: what screen readers read in one go."""

FIELDS: dict[str, tuple[str, ...]] = {
    "receipt": ("company", "date", "address", "total"),
    "screenshot": ("application", "error", "seen"),
}
"""The fields of the forms that have some."""


class DescribeInput(Input):
    """Describe one or several pictures; of a video among them, some frames are looked at."""

    images: list[Attachment] = Field(min_length=1, max_length=20)
    question: str | None = None
    form: Annotated[Form, Since(4)] = Field(
        default="description", exclude_if=lambda form: form == "description", description="what the description is for"
    )
    mask: Annotated[bool, Since(4)] = Field(
        default=False,
        exclude_if=unused,
        description="take personal data and secrets out of text and pictures; a model sees the masked pictures only",
    )
    frames: Annotated[int, Since(4)] = Field(
        default=6, ge=1, le=20, exclude_if=lambda frames: frames == 6, description="frames looked at, of each video"
    )
    language: Annotated[str | None, Since(4)] = Field(
        default=None, max_length=64, exclude_if=unused, description="of what is said (BCP 47 or English name)"
    )


class Picture(Frozen):
    """A picture's bytes, as fetched from the content store."""

    name: str
    data: bytes = Field(repr=False)


class DescribeRequest(Frozen):
    """A describe job whose pictures have been fetched: what the agents take."""

    pictures: tuple[Picture, ...]
    question: str | None = None
    form: Form = "description"
    mask: bool = False
    frames: int = 6
    language: str | None = None

    @property
    def plain(self) -> bool:
        """Whether older versions know all that is asked for: they must be able to read the result too."""
        return self.form == "description" and not self.mask and self.frames == 6 and self.language is None


class PictureText(Frozen):
    """What is said of one picture, where each has its own; ``shortened``: the model's words were longer."""

    name: str
    text: str
    shortened: bool = False


class PictureFields(Frozen):
    """The fields of one picture; None where nothing was found. See `FIELDS`.

    ``unsupported`` names those whose value is not in the text that was read in the picture: look at them yourself.
    """

    name: str
    values: dict[str, str | None]
    unsupported: list[str] = Field(default_factory=list)


class MaskedPicture(Frozen):
    """A copy of a picture with what is private painted over; None where there was nothing to paint.

    ``counts`` is how much of each kind was found: email, phone, iban, card, secret, name, id.
    """

    name: str
    picture: Attachment | None = None
    counts: dict[str, int] = Field(default_factory=dict)


class DescriptionResult(Result):
    """A description, with the measured facts of each picture, the lines of text in it among them.

    ``texts`` has these lines as one text a picture, where a form, a mask, frames or a language was asked for.
    """

    facts: list[PictureFacts] = Field(default_factory=list)
    texts: list[PictureText] = Field(default_factory=list, exclude_if=unused)
    descriptions: list[PictureText] = Field(default_factory=list, exclude_if=unused)
    fields: list[PictureFields] = Field(default_factory=list, exclude_if=unused)
    masked: list[MaskedPicture] = Field(default_factory=list, exclude_if=unused)

    def attached(self) -> list[Attachment]:
        """The masked pictures in the content store."""
        return [one.picture for one in self.masked if one.picture is not None]
