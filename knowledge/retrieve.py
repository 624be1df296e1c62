"""From a question to passages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knowledge.types import Passage

if TYPE_CHECKING:
    from knowledge.store import Store

_SPARE = 5


class DenseRetriever:
    """Nearest passages by cosine. Identical texts (a notice on every page, a file kept twice) count once."""

    def __init__(self, store: Store, collection: str) -> None:
        self._store = store
        self._collection = collection

    def retrieve(self, query: str, top_k: int = 5) -> list[Passage]:
        """The passages nearest to ``query``, best first; empty when the collection or the query is.

        Raises:
            CollectionNotFound: when the collection was never ingested into.
            CollectionInvalid: when another embedding model made it.
            StoreUnavailable: when Chroma's server does not answer.
        """
        if not query.strip():
            self._store.open(self._collection)  # the same errors as for any other question
            return []
        wanted = top_k + _SPARE
        while True:
            found = self._store.search(self._collection, query, wanted)
            distinct = list({" ".join(passage.text.split()): passage for passage in reversed(found)}.values())[::-1]
            # Ask for more only while duplicates took the places of others.
            if len(distinct) >= top_k or len(found) < wanted or wanted >= 50 * top_k:
                return distinct[:top_k]
            wanted *= 4
