"""Pictures and what is said of them."""

from __future__ import annotations

from pydantic import Field

from agents.contract.base import Attachment, Input, Result
from knowledge.types import Frozen
from tools.types import PictureFacts


class DescribeInput(Input):
    """Describe one or several pictures."""

    images: list[Attachment] = Field(min_length=1, max_length=20)
    question: str | None = None


class Picture(Frozen):
    """A picture's bytes, as fetched from the content store."""

    name: str
    data: bytes = Field(repr=False)


class DescribeRequest(Frozen):
    """A describe job whose pictures have been fetched: what the agents take."""

    pictures: tuple[Picture, ...]
    question: str | None = None


class DescriptionResult(Result):
    """A description, with the measured facts of each picture."""

    facts: list[PictureFacts] = Field(default_factory=list)
