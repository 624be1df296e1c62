"""One collection in Chroma: what is read from it and written to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from knowledge.types import Passage

if TYPE_CHECKING:
    import numpy as np
    from chromadb.api.models.Collection import Collection as ChromaCollection
    from numpy.typing import NDArray

    from knowledge.split import Split

Metadata = Mapping[str, Any]
_PAGE = 1000
_BATCH = 500


class Collection:
    """An open collection; made by :class:`knowledge.store.Store`.

    All methods raise StoreUnavailable when the server fails and CollectionNotFound when the collection was deleted
    meanwhile.
    """

    def __init__(
        self, name: str, raw: ChromaCollection, border: Callable[[], AbstractContextManager[None]], batch: int
    ) -> None:
        self.name = name
        self._raw = raw
        self._border = border
        self._batch = max(1, min(_BATCH, batch)) if batch > 0 else _BATCH

    def count(self) -> int:
        """Passages in it."""
        with self._border():
            return self._raw.count()

    def query(self, vector: NDArray[np.float32], top_k: int) -> list[Passage]:
        """The passages nearest to a unit-length vector, best first, ``score`` their cosine."""
        with self._border():
            found = self._raw.query(
                query_embeddings=vector.reshape(1, -1),
                n_results=top_k,
                include=["documents", "metadatas", "distances"],
            )
        columns = (found["ids"], found["documents"] or [[]], found["metadatas"] or [[]], found["distances"] or [[]])
        rows = zip(*(column[0] for column in columns), strict=True)
        return [self._passage(id_, text, metadata, 1.0 - distance) for id_, text, metadata, distance in rows]

    def passages_of(self, source: str) -> dict[str, Metadata]:
        """Metadata of a source's passages by id."""
        return {id_: metadata for page in self._pages({"source": source}) for id_, metadata in page.items()}

    def sources(self) -> set[str]:
        """Every source that has passages here."""
        return {str(metadata["source"]) for page in self._pages(None) for metadata in page.values()}

    def about(self, **where: str) -> Iterator[Metadata]:
        """Metadata of the passages whose own has these values, a page at a time."""
        for page in self._pages(dict(where)):
            yield from page.values()

    def put(self, splits: Sequence[Split], vectors: NDArray[np.float32], common: Metadata) -> None:
        """Write passages, replacing those of the same id.

        Args:
            splits: The passages.
            vectors: float32 [passages, dimensions].
            common: Metadata that all of them get.
        """
        for at in range(0, len(splits), self._batch):
            some = splits[at : at + self._batch]
            with self._border():
                self._raw.upsert(
                    ids=[split.passage.id for split in some],
                    embeddings=vectors[at : at + self._batch],
                    documents=[split.passage.text for split in some],
                    metadatas=[_metadata(split, common) for split in some],
                )

    def describe(self, splits: Sequence[Split], common: Metadata) -> None:
        """Write only the metadata of passages that are here already with the same text and vector."""
        for at in range(0, len(splits), self._batch):
            some = splits[at : at + self._batch]
            with self._border():
                self._raw.update(
                    ids=[split.passage.id for split in some], metadatas=[_metadata(split, common) for split in some]
                )

    def remove(self, ids: Sequence[str]) -> None:
        """Delete passages; ids that are not here do no harm."""
        for at in range(0, len(ids), self._batch):
            with self._border():
                self._raw.delete(ids=list(ids[at : at + self._batch]))

    def _pages(self, where: dict[str, Any] | None) -> Iterator[dict[str, Metadata]]:
        offset = 0
        while True:
            with self._border():
                found = self._raw.get(where=where, include=["metadatas"], limit=_PAGE, offset=offset)
            yield dict(zip(found["ids"], found["metadatas"] or [], strict=True))
            if len(found["ids"]) < _PAGE:
                return
            offset += _PAGE

    def _passage(self, id_: str, text: str, metadata: Metadata, score: float) -> Passage:
        page = metadata.get("page")
        return Passage(
            id=id_,
            text=text,
            source=str(metadata["source"]),
            title=str(metadata["title"]),
            heading=str(metadata["heading"]),
            page=None if page is None else int(page),
            start=int(metadata["start"]),
            end=int(metadata["end"]),
            collection=self.name,
            score=max(-1.0, min(1.0, score)),
        )


def _metadata(split: Split, common: Metadata) -> dict[str, Any]:
    passage = split.passage
    own = {
        "source": passage.source,
        "title": passage.title,
        "heading": passage.heading,
        "start": passage.start,
        "end": passage.end,
        "section": split.section,
        "ordinal": split.ordinal,
    }
    # Chroma has no empty values: what is not known is left out.
    return own | dict(common) | ({} if passage.page is None else {"page": passage.page})
