"""From a question to passages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from knowledge.types import Filters, Passage

if TYPE_CHECKING:
    from knowledge.store import Store


class CollectionRetriever:
    """A collection's passages, for agents.

    Args:
        store: The tenant's.
        collection: Its name.
        filters: Which passages may be found.
        notes: Where to put what people must know of how it was searched, each once.
    """

    def __init__(
        self, store: Store, collection: str, filters: Filters | None = None, notes: list[str] | None = None
    ) -> None:
        self._store = store
        self._collection = collection
        self._filters = filters
        self._notes = [] if notes is None else notes

    def retrieve(self, query: str, top_k: int = 5, before: Sequence[str] = ()) -> list[Passage]:
        """The passages that answer ``query`` best, best first; empty when the collection or the query is.

        ``before`` is what was asked earlier in the conversation, the oldest first.

        Raises:
            CollectionNotFound: when the collection was never ingested into.
            CollectionInvalid: when another embedding model made it.
            StoreUnavailable: when Chroma's server does not answer.
        """
        found = self._store.find(self._collection, query, top_k, self._filters, before)
        self._notes += [note for note in found.notes if note not in self._notes]
        return found.passages
