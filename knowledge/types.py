"""What passes between the loaders, the store and everything above: documents, passages and their places."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """Base of small immutable values."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Section(Frozen):
    """A stretch of a document with one heading path and, for paged formats, one page."""

    text: str
    heading: str = ""
    page: int | None = Field(default=None, description="1-based page, where the format has pages")


class Document(Frozen):
    """A loaded file: its text in reading order.

    ``source`` names it for people (a path or address) and is its identity within a collection.
    """

    source: str
    title: str
    sections: tuple[Section, ...]
    sha256: str = Field(description="of the file's bytes, lower-case hex")


class Passage(Frozen):
    """A piece of a document as it is stored and found.

    ``start`` and ``end`` are character offsets of ``text`` in the section's text it was cut from.
    ``score`` is the cosine similarity to the query in -1..1, 0.0 where there was no query.
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


class Retriever(Protocol):
    """What an agent needs of a collection."""

    def retrieve(self, query: str, top_k: int = 5) -> list[Passage]:
        """The passages nearest to ``query``, best first; empty when the collection is."""
        ...
