"""A collection's next index: made beside it by another embedding model, and put in its place.

Chroma swaps nothing at once: the old index is renamed, then the new one gets its name. Between the two, and after a
crash there, the new one, complete by then, is found under its own name.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from knowledge.chroma import Connection, border
from knowledge.errors import CollectionNotFound

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection as ChromaCollection

_COMPLETE = "phiq_complete"


class Successor:
    """The next index of one collection.

    Args:
        connection: To Chroma.
        name: The collection's name in Chroma.
        collection: What its tenant calls it.
    """

    def __init__(self, connection: Connection, name: str, collection: str) -> None:
        self._connection = connection
        self._name = name
        self._collection = collection

    def find(self) -> ChromaCollection | None:
        """The next index; None when there is none."""
        return self._get(f"{self._name}-next")

    def complete(self) -> ChromaCollection | None:
        """The next index where it may serve already; None otherwise."""
        found = self.find()
        return found if found is not None and (found.metadata or {}).get(_COMPLETE) else None

    def make(self, about: dict[str, Any], index: dict[str, Any]) -> ChromaCollection:
        """The next index, made when it is not there; one that was begun for another embedder is begun anew."""
        found = self.find()
        if found is not None and (found.metadata or {}).get("embedder") == about["embedder"]:
            return found
        with border(self._connection.config.url, self._collection):
            client = self._connection.client()
            if found is not None:
                client.delete_collection(found.name)
            return client.create_collection(
                f"{self._name}-next",
                embedding_function=None,
                configuration=index,  # type: ignore[arg-type]  # Chroma's own form
                metadata=about,
            )

    def put_in_place(self) -> None:
        """Give the next index the collection's name, and delete the old one. May be repeated after a crash."""
        found, old = self.find(), self._get(self._name)
        with border(self._connection.config.url, self._collection):
            if found is not None:
                about = {name: value for name, value in (found.metadata or {}).items() if name != _COMPLETE}
                found.modify(metadata={**about, _COMPLETE: True})
                if old is not None:
                    self._forget_old()
                    old.modify(name=f"{self._name}-old")
                found.modify(name=self._name, metadata=about)
            self._forget_old()

    def _forget_old(self) -> None:
        with suppress(CollectionNotFound), border(self._connection.config.url, self._collection):
            self._connection.client().delete_collection(f"{self._name}-old")

    def _get(self, name: str) -> ChromaCollection | None:
        try:
            with border(self._connection.config.url, self._collection):
                return self._connection.client().get_collection(name, embedding_function=None)
        except CollectionNotFound:
            return None
