"""Collections as a whole, of all tenants: for backup, restore and erasing. No embedding model is needed for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from knowledge.chroma import Connection, border
from knowledge.errors import CollectionNotFound, WordsUnavailable

if TYPE_CHECKING:
    import numpy as np
    from chromadb.api.models.Collection import Collection as ChromaCollection
    from numpy.typing import NDArray

_PREFIX = "phiq-"
_PAGE = 500
_LISTED = 100
_LOOKED_AT = 2000
_INDEX = ("space", "ef_search", "ef_construction", "max_neighbors")


@dataclass(frozen=True)
class Kept:
    """A collection as Chroma has it: its name there, what is written about it, and how its index is set up."""

    name: str
    about: dict[str, Any]
    index: dict[str, Any]

    @property
    def tenant(self) -> str:
        """Whose it is."""
        return str(self.about.get("tenant", ""))

    @property
    def collection(self) -> str:
        """What its tenant calls it."""
        return str(self.about.get("collection", self.name))


@dataclass(frozen=True)
class Document:
    """A document: its identity in the collection, its title, and how many passages it became."""

    source: str
    title: str
    passages: int


@dataclass(frozen=True)
class Page:
    """Some passages: ids, texts, what is known of each, and float32 vectors [passages, dimensions]."""

    ids: list[str]
    texts: list[str]
    about: list[dict[str, Any]]
    vectors: NDArray[np.float32]


class Keep:
    """What one Chroma server holds for phiq.

    All methods raise StoreUnavailable when the server fails; `remove` and `drop` also WordsUnavailable, before they
    change anything in Chroma.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def collections(self, tenant: str | None = None) -> list[Kept]:
        """The collections of a tenant, or of all, by their names in Chroma."""
        found: list[Kept] = []
        with border(self._connection.config.url):
            client = self._connection.client()
            while page := client.list_collections(limit=_LISTED, offset=len(found)):
                found += [Kept(raw.name, dict(raw.metadata or {}), _index(raw)) for raw in page]
                if len(page) < _LISTED:
                    break
        ours = [one for one in found if one.name.startswith(_PREFIX) and "tenant" in one.about]
        return sorted((one for one in ours if tenant in (None, one.tenant)), key=lambda one: one.name)

    def named(self, tenant: str, collection: str) -> Kept | None:
        """A tenant's collection by its name; None when it is not there.

        Raises:
            CollectionInvalid: no collection can be called so.
        """
        from knowledge.store import chroma_name

        name = chroma_name(tenant, collection)
        try:
            with border(self._connection.config.url, collection):
                raw = self._connection.client().get_collection(name, embedding_function=None)
        except CollectionNotFound:
            return None
        kept = Kept(raw.name, dict(raw.metadata or {}), _index(raw))
        return kept if kept.tenant == tenant else None

    def ids(self, kept: Kept, where: Mapping[str, str] | None = None) -> list[str]:
        """The ids of the passages whose metadata has these values; all without. Empty when the collection is gone."""
        try:
            raw = self._open(kept)
            with border(self._connection.config.url, kept.collection):
                return list(raw.get(where=_where(where), include=[])["ids"])
        except CollectionNotFound:
            return []

    def sources(self, kept: Kept, where: Mapping[str, str]) -> dict[str, str]:
        """The passages whose metadata has these values: their ids, and the source of each."""
        try:
            raw = self._open(kept)
            with border(self._connection.config.url, kept.collection):
                got = raw.get(where=_where(where), include=["metadatas"])
        except CollectionNotFound:
            return {}
        return {
            id_: str((about or {}).get("source", ""))
            for id_, about in zip(got["ids"], got["metadatas"] or [], strict=True)
        }

    def count(self, kept: Kept, where: Mapping[str, str] | None = None) -> int:
        """How many passages there are; 0 when the collection is gone."""
        if where:
            return len(self.ids(kept, where))
        try:
            raw = self._open(kept)
            with border(self._connection.config.url, kept.collection):
                return raw.count()
        except CollectionNotFound:
            return 0

    def documents(self, kept: Kept) -> dict[str, Document]:
        """The documents, by source. Reads what is known of every passage, but neither texts nor vectors."""
        found: dict[str, Document] = {}
        seen = 0
        while True:
            try:
                raw = self._open(kept)
                with border(self._connection.config.url, kept.collection):
                    got = raw.get(include=["metadatas"], limit=_LOOKED_AT, offset=seen)
            except CollectionNotFound:
                return found
            for about in got["metadatas"] or []:
                source = str((about or {}).get("source", ""))
                old = found.get(source)
                found[source] = Document(source, str((about or {}).get("title", "")), 1 + (old.passages if old else 0))
            seen += len(got["ids"])
            if len(got["ids"]) < _LOOKED_AT:
                return found

    def pages(self, kept: Kept) -> Iterator[Page]:
        """All passages. By the ids there were at the beginning: pages by offset skip some when others are deleted."""
        import numpy as np

        ids = self.ids(kept)
        for at in range(0, len(ids), _PAGE):
            try:
                raw = self._open(kept)
                with border(self._connection.config.url, kept.collection):
                    got = raw.get(ids=ids[at : at + _PAGE], include=["documents", "metadatas", "embeddings"])
            except CollectionNotFound:
                return
            vectors = np.asarray(got["embeddings"], dtype=np.float32)
            about = [dict(one or {}) for one in got["metadatas"] or []]
            yield Page(list(got["ids"]), list(got["documents"] or []), about, vectors)

    def make(self, kept: Kept) -> None:
        """A collection as it was kept; one of that name that is there stays."""
        with border(self._connection.config.url, kept.collection):
            self._connection.client().get_or_create_collection(
                kept.name,
                embedding_function=None,
                configuration={"hnsw": kept.index} if kept.index else None,  # type: ignore[arg-type]  # as Chroma gave it
                metadata=kept.about,
            )

    def put(self, kept: Kept, page: Page) -> None:
        """Write passages as they were kept, replacing those of the same ids."""
        if not page.ids:
            return
        raw = self._open(kept)
        with border(self._connection.config.url, kept.collection):
            raw.upsert(
                ids=page.ids,
                embeddings=page.vectors,
                documents=page.texts,
                metadatas=page.about,  # type: ignore[arg-type]  # Chroma's own values, given back
            )
        if (words := self._connection.words) is not None:
            # The next search brings it in step.
            with suppress(WordsUnavailable):
                words.mark(kept.name, checked=False)

    def remove(self, kept: Kept, ids: list[str]) -> None:
        """Delete passages; fine when they or the collection are gone."""
        try:
            raw = self._open(kept)
            if (words := self._connection.words) is not None:
                # First: should it fail, the passages are still found when the caller tries again.
                words.remove(kept.name, ids)
            for at in range(0, len(ids), _PAGE):
                with border(self._connection.config.url, kept.collection):
                    raw.delete(ids=ids[at : at + _PAGE])
        except CollectionNotFound:
            return

    def drop(self, kept: Kept) -> None:
        """Delete a collection; fine when it is gone."""
        if (words := self._connection.words) is not None:
            words.drop(kept.name)
        try:
            with border(self._connection.config.url, kept.collection):
                self._connection.client().delete_collection(kept.name)
        except CollectionNotFound:
            return

    def compact_words(self) -> None:
        """Write the word indexes' files anew without what was taken out.

        Raises:
            WordsUnavailable: their server does not answer.
        """
        if (words := self._connection.words) is not None:
            for name in words.names():
                words.compact(name)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def _open(self, kept: Kept) -> ChromaCollection:
        with border(self._connection.config.url, kept.collection):
            return self._connection.client().get_collection(kept.name, embedding_function=None)


def _index(raw: ChromaCollection) -> dict[str, Any]:
    given = (raw.configuration_json or {}).get("hnsw") or {}
    return {name: given[name] for name in _INDEX if given.get(name) is not None}


def _where(wanted: Mapping[str, str] | None) -> Any:
    if not wanted:
        return None
    each = [{name: value} for name, value in wanted.items()]
    return each[0] if len(each) == 1 else {"$and": each}
