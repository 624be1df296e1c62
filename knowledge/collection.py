"""One collection in Chroma: what is read from it and written to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from knowledge.rank.neighbours import Place
from knowledge.types import Filters, Passage
from knowledge.words.index import Entry

if TYPE_CHECKING:
    import numpy as np
    from chromadb.api.models.Collection import Collection as ChromaCollection
    from numpy.typing import NDArray

    from knowledge.embed.base import Embedder
    from knowledge.split import Split
    from knowledge.words.mirror import Mirror

Metadata = Mapping[str, Any]
_PAGE = 1000
_BATCH = 500
PENDING = "pending"
"""Metadata of a passage whose document is still being written: true while nobody may find it."""


class Collection:
    """An open collection; made by :class:`knowledge.store.Store`.

    All methods raise StoreUnavailable when the server fails and CollectionNotFound when the collection was deleted
    meanwhile.
    """

    def __init__(
        self,
        name: str,
        raw: ChromaCollection,
        border: Callable[[], AbstractContextManager[None]],
        batch: int,
        embedder: Embedder,
        mirror: Mirror | None = None,
    ) -> None:
        self.name = name
        self._raw = raw
        self._border = border
        self.embedder = embedder
        self._mirror = mirror
        self._batch = max(1, min(_BATCH, batch)) if batch > 0 else _BATCH

    def count(self) -> int:
        """Passages in it."""
        with self._border():
            return self._raw.count()

    def query(self, vector: NDArray[np.float32], top_k: int, where: Metadata | None = None) -> list[Passage | None]:
        """The passages nearest to a unit-length vector, best first, ``score`` their cosine.

        None stands for one that may not be shown: its document is being written, or a newer version of it is here.
        """
        with self._border():
            found = self._raw.query(
                query_embeddings=vector.reshape(1, -1),
                n_results=top_k,
                where=where,  # type: ignore[arg-type]  # Chroma's own dictionaries
                include=["documents", "metadatas", "distances"],
            )
        columns = (found["ids"], found["documents"] or [[]], found["metadatas"] or [[]], found["distances"] or [[]])
        rows = list(zip(*(column[0] for column in columns), strict=True))
        served = _served([metadata for _, _, metadata, _ in rows])
        return [
            self._passage(id_, text, metadata, 1.0 - distance) if fit else None
            for (id_, text, metadata, distance), fit in zip(rows, served, strict=True)
        ]

    def fetch(
        self, ids: Sequence[str], vector: NDArray[np.float32], where: Metadata | None = None
    ) -> dict[str, Passage]:
        """Passages by their ids, ``score`` the cosine to a unit-length vector; those not served are left out."""
        with self._border():
            found = self._raw.get(
                ids=list(ids),
                where=where,  # type: ignore[arg-type]  # as above
                include=["documents", "metadatas", "embeddings"],
            )
        columns = (found["ids"], found["documents"] or [], found["metadatas"] or [], found["embeddings"])
        rows = list(zip(*columns, strict=True)) if found["ids"] else []  # type: ignore[arg-type]
        served = _served([about for _, _, about, _ in rows])
        return {
            id_: self._passage(id_, text, about, float(vector @ made))
            for (id_, text, about, made), fit in zip(rows, served, strict=True)
            if fit
        }

    def places(self, passages: Sequence[Passage]) -> dict[str, Place]:
        """Where passages stand among their neighbours, by id; those that are gone are left out."""
        if not passages:
            return {}
        with self._border():
            found = self._raw.get(ids=[passage.id for passage in passages], include=["metadatas"])
        about = dict(zip(found["ids"], found["metadatas"] or [], strict=True))
        return {one.id: _place(one, about[one.id]) for one in passages if one.id in about}

    def beside(self, wanted: Sequence[tuple[str, int]]) -> list[Place]:
        """The passages of these sources at these places in them; without a score."""
        if not wanted:
            return []
        each: list[Metadata] = [{"$and": [{"source": source}, {"ordinal": ordinal}]} for source, ordinal in wanted]
        with self._border():
            found = self._raw.get(
                where=each[0] if len(each) == 1 else {"$or": each},  # type: ignore[arg-type,dict-item]  # as above
                include=["documents", "metadatas"],
            )
        rows = list(zip(found["ids"], found["documents"] or [], found["metadatas"] or [], strict=True))
        served = _served([about for _, _, about in rows])
        return [
            _place(self._passage(id_, text, about, 0.0), about)
            for (id_, text, about), fit in zip(rows, served, strict=True)
            if fit
        ]

    def words(self, query: str, top_k: int, filters: Filters | None = None) -> list[str] | None:
        """The ids of the passages that hold a query's words, best first; None where there is no word index."""
        return None if self._mirror is None else self._mirror.search(query, top_k, filters)

    @property
    def has_words(self) -> bool:
        """Whether there should be a word index."""
        return self._mirror is not None

    def ids(self) -> list[str]:
        """The ids of all passages."""
        with self._border():
            return list(self._raw.get(include=[])["ids"])

    def entries(self, ids: Sequence[str]) -> list[Entry]:
        """Passages as the word index takes them; those that are not here are left out."""
        with self._border():
            found = self._raw.get(ids=list(ids), include=["documents", "metadatas"])
        rows = zip(found["ids"], found["documents"] or [], found["metadatas"] or [], strict=True)
        return [_entry(id_, text, about) for id_, text, about in rows]

    def passages_of(self, source: str) -> dict[str, Metadata]:
        """Metadata of a source's passages by id."""
        return {id_: metadata for page in self._pages({"source": source}) for id_, metadata in page.items()}

    def sources(self) -> set[str]:
        """Every source that has passages here."""
        return {str(metadata["source"]) for page in self._pages(None) for metadata in page.values()}

    def sources_under(self, under: Sequence[str]) -> list[str]:
        """The sources that begin with one of these: by the word index, or else by going through all."""
        known = None if self._mirror is None else self._mirror.sources(under)
        return sorted(one for one in self.sources() if one.startswith(tuple(under))) if known is None else known

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
            if not common.get(PENDING):
                self._mirrored(some)

    def describe(self, splits: Sequence[Split], common: Metadata) -> None:
        """Write only the metadata of passages that are here already with the same text and vector."""
        for at in range(0, len(splits), self._batch):
            some = splits[at : at + self._batch]
            with self._border():
                self._raw.update(
                    ids=[split.passage.id for split in some], metadatas=[_metadata(split, common) for split in some]
                )
            self._mirrored(some)

    def remove(self, ids: Sequence[str]) -> None:
        """Delete passages; ids that are not here do no harm."""
        for at in range(0, len(ids), self._batch):
            with self._border():
                self._raw.delete(ids=list(ids[at : at + self._batch]))
            if self._mirror is not None:
                self._mirror.remove(ids[at : at + self._batch])

    def _mirrored(self, splits: Sequence[Split]) -> None:
        if self._mirror is not None:
            self._mirror.put([_entry(one.passage.id, one.passage.text, _metadata(one, {})) for one in splits])

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
            line=None if metadata.get("line") is None else int(metadata["line"]),
            language=str(metadata.get("language", "")),
            modified=_moment(metadata.get("modified")),
        )


def _served(found: Sequence[Metadata]) -> list[bool]:
    """Which of some passages may be shown: of two versions of a document the newer, and none that is being written."""
    newest: dict[str, float] = {}
    for about in found:
        if not about.get(PENDING):
            source = str(about["source"])
            newest[source] = max(newest.get(source, 0.0), float(about.get("written", 0.0)))
    return [
        not about.get(PENDING) and float(about.get("written", 0.0)) == newest[str(about["source"])] for about in found
    ]


def _place(passage: Passage, about: Metadata) -> Place:
    gap = about.get("gap")
    section, ordinal = int(about.get("section", 0)), int(about.get("ordinal", 0))
    return Place(passage, section, ordinal, None if gap is None else str(gap))


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _entry(id_: str, text: str, about: Metadata) -> Entry:
    title, heading = str(about["title"]), str(about["heading"])
    head = heading if heading.startswith(title) else f"{title}\n{heading}"
    modified = about.get("modified")
    return Entry(
        id=id_,
        text=f"{head}\n{text}",
        source=str(about["source"]),
        language=str(about.get("language", "")),
        modified=None if modified is None else float(modified),
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
    known = {
        "page": passage.page,
        "line": passage.line,
        "language": passage.language or None,
        "gap": split.gap,
        # A number: Chroma compares nothing else by size.
        "modified": None if passage.modified is None else passage.modified.timestamp(),
    }
    # Chroma has no empty values: what is not known is left out.
    return own | dict(common) | {name: value for name, value in known.items() if value is not None}
