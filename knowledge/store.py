"""Passages and their vectors in Chroma, always behind its server."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from knowledge.chroma import Connection, StoreConfig, border, not_found
from knowledge.collection import Collection
from knowledge.errors import CollectionInvalid, CollectionNotFound
from knowledge.successor import Successor
from knowledge.types import Found
from knowledge.words.mirror import Mirror

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection as ChromaCollection

    from knowledge.embed.base import Embedder
    from knowledge.rank.cross import Reranker
    from knowledge.types import Filters, Passage, Retriever

__all__ = ["CollectionInfo", "Store", "StoreConfig"]

_SCHEMA = 1
_PREFIX = "phiq-"
INDEX = {"hnsw": {"space": "cosine", "ef_search": 200}}
"""How an index is set up."""
_NOTED = "noted:"
_LONGEST_NAME = 128


@dataclass(frozen=True)
class CollectionInfo:
    """What a collection holds."""

    name: str
    passages: int
    embedder: str
    dimensions: int


class Store:
    """The collections of one tenant. Safe to share between threads; connects at the first use.

    One writer at a time a collection: two ingests of the same source would delete each other's new passages.

    Args:
        config: Where, and whose.
        embedder: What new collections are made with.
        others: Gets another embedder by its name, for collections that it made; None: it is not to be had here.
        reranker: Gets what puts found passages into order, at each search; None: they stay as they were found.
    """

    def __init__(
        self,
        config: StoreConfig,
        embedder: Embedder,
        others: Callable[[str], Embedder | None] = lambda _name: None,
        reranker: Callable[[], Reranker | None] = lambda: None,
    ) -> None:
        self.config = config
        self.embedder = embedder
        self._others = others
        self._reranker = reranker
        self._connection = Connection(config)
        self._mirrors: dict[str, Mirror] = {}

    def search(self, collection: str, query: str, top_k: int = 5, filters: Filters | None = None) -> list[Passage]:
        """What `find` finds, without its notes."""
        return self.find(collection, query, top_k, filters).passages

    def find(
        self,
        collection: str,
        query: str,
        top_k: int = 5,
        filters: Filters | None = None,
        before: Sequence[str] = (),
    ) -> Found:
        """The passages that answer a query best, by meaning and by words; ``score`` is the cosine.

        ``before`` is what was asked earlier in the conversation, the oldest first.

        Raises:
            CollectionNotFound: when it was never ingested into.
            CollectionInvalid: when its name can't be used or another embedding model made it.
            RerankerUnavailable: when there is to be one and it can't be used.
            StoreUnavailable: when Chroma's server does not answer.
        """
        from knowledge.search import ask, search

        found = self.open(collection)
        if not query.strip():
            return Found(passages=[])
        return search(found, ask(found.embedder, query, before), top_k, filters, self._reranker())

    def retriever(self, collection: str, filters: Filters | None = None, notes: list[str] | None = None) -> Retriever:
        """What agents take. Nothing is asked of the server yet; ``notes`` gathers what people must know of searches."""
        from knowledge.retrieve import CollectionRetriever

        return CollectionRetriever(self, collection, filters, notes)

    def open(self, collection: str) -> Collection:
        """A collection that exists.

        Raises:
            CollectionNotFound: when it was never ingested into.
            CollectionInvalid: when another embedding model made it.
            StoreUnavailable: when Chroma's server does not answer.
        """
        return self._checked(collection, self.raw(collection))

    def raw(self, collection: str) -> ChromaCollection:
        """A collection as Chroma has it, whichever embedder made it.

        Raises:
            CollectionNotFound: when it was never ingested into.
            StoreUnavailable: when Chroma's server does not answer.
        """
        name = chroma_name(self.config.tenant, collection)
        client = self._connection.client()
        try:
            with border(self.config.url, collection):
                return client.get_collection(name, embedding_function=None)
        except CollectionNotFound:
            if (next_one := self.successor(collection).complete()) is not None:
                return next_one
            raise

    def successor(self, collection: str) -> Successor:
        """The index that another embedding model makes of a collection."""
        return Successor(self._connection, chroma_name(self.config.tenant, collection), collection)

    def create(self, collection: str) -> Collection:
        """A collection, made when it is not there.

        Raises:
            CollectionInvalid: when its name can't be used or another embedding model made it.
            StoreUnavailable: when Chroma's server does not answer.
        """
        with suppress(CollectionNotFound):
            return self.open(collection)
        name = chroma_name(self.config.tenant, collection)
        client = self._connection.client()
        with border(self.config.url, collection):
            raw = client.get_or_create_collection(
                name,
                embedding_function=None,
                configuration=INDEX,  # type: ignore[arg-type]  # Chroma's own form
                metadata=self.about_new(collection),
            )
        return self._checked(collection, raw)

    def about_new(self, collection: str) -> dict[str, Any]:
        """What is written about a collection of that name that this store makes."""
        return {
            "phiq_schema": _SCHEMA,
            "tenant": self.config.tenant,
            "collection": collection,
            "embedder": self.embedder.name,
            "dimensions": self.embedder.dimensions,
        }

    def delete(self, collection: str) -> None:
        """Delete a collection and all that is in it.

        Raises:
            CollectionNotFound: when it is not there.
            StoreUnavailable: when Chroma's server does not answer.
        """
        client = self._connection.client()
        with border(self.config.url, collection):
            client.delete_collection(chroma_name(self.config.tenant, collection))
        self._connection.drop_words(chroma_name(self.config.tenant, collection))

    def collections(self) -> list[CollectionInfo]:
        """This tenant's collections, by name.

        Raises:
            StoreUnavailable: when Chroma's server does not answer.
        """
        client = self._connection.client()
        infos = []
        with border(self.config.url):
            for raw in client.list_collections():
                about = raw.metadata or {}
                if about.get("tenant") == self.config.tenant and is_served(raw.name, about):
                    name, made_by = str(about["collection"]), str(about["embedder"])
                    infos.append(CollectionInfo(name, raw.count(), made_by, int(about["dimensions"])))
        return sorted(infos, key=lambda info: info.name)

    def remark(self, collection: str, key: str) -> str:
        """What was noted about a collection; empty when nothing was.

        Raises:
            CollectionNotFound: when it is not there.
            StoreUnavailable: when Chroma's server does not answer.
        """
        client = self._connection.client()
        with border(self.config.url, collection):
            raw = client.get_collection(chroma_name(self.config.tenant, collection), embedding_function=None)
        return str((raw.metadata or {}).get(_NOTED + key, ""))

    def note(self, collection: str, key: str, text: str) -> None:
        """Note something about a collection, in the place of what was noted under this key; kept while it is there.

        Raises:
            CollectionNotFound: when it is not there.
            StoreUnavailable: when Chroma's server does not answer.
        """
        client = self._connection.client()
        with border(self.config.url, collection):
            raw = client.get_collection(chroma_name(self.config.tenant, collection), embedding_function=None)
            raw.modify(metadata={**(raw.metadata or {}), _NOTED + key: text})

    def exists(self, collection: str) -> bool:
        """Whether a collection is there, whoever made its vectors."""
        client = self._connection.client()
        try:
            with border(self.config.url, collection):
                client.get_collection(chroma_name(self.config.tenant, collection), embedding_function=None)
        except CollectionNotFound:
            return False
        return True

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        for mirror in self._mirrors.values():
            mirror.close()
        self._connection.close()

    def _checked(self, collection: str, raw: ChromaCollection) -> Collection:
        about = raw.metadata or {}
        if about.get("tenant") != self.config.tenant:
            raise not_found(collection)
        if about.get("phiq_schema") != _SCHEMA:
            raise CollectionInvalid(
                f"'{collection}' was written by another version of phiq (schema {about.get('phiq_schema')}).",
                hint=f"phiq ingest PATH --collection {collection}-2",
                subject=collection,
            )
        mine = (self.embedder.name, self.embedder.dimensions)
        theirs = (about.get("embedder"), about.get("dimensions"))
        embedder = self.embedder if mine == theirs else self._others(str(theirs[0]))
        if embedder is None or (embedder.name, embedder.dimensions) != theirs:
            raise CollectionInvalid(
                f"'{collection}' was made with the embedding model {theirs[0]} ({theirs[1]} numbers), "
                f"not with {mine[0]} ({mine[1]}): their vectors can't be compared.",
                hint=f"Set PHIQ_EMBEDDER={theirs[0]}, or give it new vectors: phiq reembed {collection}",
                subject=collection,
                embedder=str(theirs[0]),
            )

        client = self._connection.client()
        with border(self.config.url, collection):
            batch = client.get_max_batch_size()
        return Collection(
            collection, raw, lambda: border(self.config.url, collection), batch, embedder, self._mirror(collection)
        )

    def _mirror(self, collection: str) -> Mirror | None:
        # The next index of a collection has the same passages, so it shares the words.
        name, words = chroma_name(self.config.tenant, collection), self._connection.words
        if words is None:
            return None
        if name not in self._mirrors:
            # Opened anew each time: meanwhile the collection may be another of the same name.
            self._mirrors[name] = Mirror(
                words,
                name,
                lambda: self.open(collection).ids(),
                lambda ids: self.open(collection).entries(ids),
                lambda: self.open(collection).count(),
            )
        return self._mirrors[name]


def is_served(name: str, about: Mapping[str, Any]) -> bool:
    """Whether what Chroma holds under a name is a collection of ours, not one on its way in or out."""
    whose = (str(about.get("tenant", "")), str(about.get("collection", "")))
    return name.startswith(_PREFIX) and all(whose) and name == chroma_name(*whose)


def chroma_name(tenant: str, collection: str) -> str:
    """The name in Chroma: readable at its beginning, and a hash of both, so that no two pairs share one.

    Raises:
        CollectionInvalid: when a collection's name is empty, too long or not printable.
    """
    if not collection.strip() or len(collection) > _LONGEST_NAME or not collection.isprintable():
        raise CollectionInvalid(
            f"{collection[:40]!r} can't be a collection's name: 1 to {_LONGEST_NAME} printable characters.",
            hint="phiq ingest PATH --collection NAME",
            subject=collection[:_LONGEST_NAME],
        )
    # The length keeps ("ab", "c") and ("a", "bc") apart.
    identity = f"{len(tenant)}:{tenant}:{collection}".encode("utf-8", "surrogatepass")
    readable = re.sub(r"[^a-z0-9]+", "-", collection.lower()).strip("-")[:24]
    return f"{_PREFIX}{readable + '-' if readable else ''}{hashlib.sha256(identity).hexdigest()[:32]}"
