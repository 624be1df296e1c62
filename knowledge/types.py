"""What passes between the loaders, the store and everything above: documents, passages and their places."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Frozen(BaseModel):
    """Base of small immutable values."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _unknown(value: object) -> bool:
    """For fields that came later: left out of JSON, so that older versions can read the rest."""
    return not value


class Section(Frozen):
    """A stretch of a document with one heading path and, for paged formats, one page."""

    text: str
    heading: str = ""
    page: int | None = Field(default=None, description="1-based page, where the format has pages")
    line: int | None = Field(default=None, description="1-based line where it begins, where lines are the place")
    relaid: bool = Field(default=False, description="the text was put into lines anew: all of it is at `line`")
    language: str = Field(default="", description="BCP 47, where it differs from the document's")
    modified: datetime | None = Field(default=None, description="of a part with a time of its own, such as a mail")


class Document(Frozen):
    """A loaded file: its text in reading order.

    ``source`` names it for people (a path or address) and is its identity within a collection. ``modified`` is when
    its words are from, as the file itself says; ``language`` what they are written in, empty where that is not known.
    """

    source: str
    title: str
    sections: tuple[Section, ...]
    sha256: str = Field(description="of the file's bytes, lower-case hex")
    language: str = Field(default="", description="BCP 47, as the file says or as detected")
    modified: datetime | None = None


class Passage(Frozen):
    """A piece of a document as it is stored and found.

    ``start`` and ``end`` are character offsets of ``text`` in the section's text it was cut from.
    ``score`` is the cosine similarity to the query in -1..1, 0.0 where there was no query; passages found together
    may be ordered by more than it.
    """

    id: str
    text: str
    source: str
    title: str
    heading: str = ""
    page: int | None = None
    start: int = 0
    end: int = 0
    collection: str = "default"
    score: float = 0.0
    line: int | None = Field(default=None, exclude_if=_unknown)
    language: str = Field(default="", exclude_if=_unknown)
    modified: datetime | None = Field(default=None, exclude_if=_unknown)


class Filters(Frozen):
    """Which passages may be found; what is empty does not restrict.

    ``under`` are beginnings of sources (a folder, a site); times compare with a passage's ``modified``, and passages
    without one are left out where a time is asked for. A time without a zone is UTC.
    """

    languages: tuple[str, ...] = Field(default=(), max_length=50)
    under: tuple[str, ...] = Field(default=(), max_length=50)
    since: datetime | None = None
    until: datetime | None = None

    @field_validator("since", "until")
    @classmethod
    def _with_zone(cls, moment: datetime | None) -> datetime | None:
        return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment

    @property
    def empty(self) -> bool:
        """Whether everything may be found."""
        return self == Filters()


class Found(Frozen):
    """What a search found, best first; ``notes`` say what people must know of how it was done."""

    passages: list[Passage]
    notes: list[str] = Field(default_factory=list)


class Retriever(Protocol):
    """What an agent needs of a collection."""

    def retrieve(self, query: str, top_k: int = 5, before: Sequence[str] = ()) -> list[Passage]:
        """The passages that answer ``query`` best, best first; empty when the collection is.

        ``before`` is what was asked earlier in the conversation, the oldest first: a follow-up ("and for children?")
        says little by itself.
        """
        ...
