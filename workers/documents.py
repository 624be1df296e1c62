"""What lies in the collections, and taking it out again. Asks Chroma's server; no embedding model is needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from knowledge.errors import CollectionNotFound, ServiceError, UserError

if TYPE_CHECKING:
    from knowledge.keep import Keep, Kept
    from workers.ledger import Ledger
    from workers.settings import Settings

_SECONDS = 30.0
"""For Chroma to answer."""
_PATIENCE = 10.0
"""Seconds to wait for an ingest to leave a collection."""


class DocumentNotFound(UserError):
    """Raised when a collection has no such document."""

    code = "document_not_found"


class CollectionBusy(ServiceError):
    """Raised when an ingest writes to a collection that is to be changed."""

    code = "collection_busy"
    transient = True


class CollectionAbout(BaseModel):
    """A collection."""

    name: str
    passages: int
    documents: int | None = Field(default=None, description="only told where one collection is asked for")
    embedder: str = Field(default="", description="the embedding model that made its vectors")


class DocumentAbout(BaseModel):
    """A document that lies in a collection."""

    source: str = Field(description="its identity in the collection: a path, an address, the name it was uploaded as")
    title: str = ""
    passages: int = 0


class Documents:
    """The documents of all tenants. Safe between threads; connects at the first use.

    All methods raise `StoreUnavailable` when Chroma's server does not answer and `NotRunning` when there is none.

    Args:
        ledger: Whose locks keep ingests away.
        settings: Where Chroma is.
    """

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._opened: tuple[str, Keep] | None = None
        self._lock = threading.Lock()

    def collections(self, tenant: str) -> list[CollectionAbout]:
        """A tenant's collections with the number of their passages, by name."""
        from knowledge.store import is_served

        there = [kept for kept in self._keep.collections(tenant) if is_served(kept.name, kept.about)]
        found = [self._about(kept) for kept in there]
        return sorted(found, key=lambda one: one.name)

    def collection(self, tenant: str, name: str) -> CollectionAbout:
        """One collection.

        Raises:
            CollectionNotFound: there is none of that name.
        """
        kept = self._kept(tenant, name)
        return self._about(kept).model_copy(update={"documents": len(self._keep.documents(kept))})

    def drop(self, tenant: str, name: str) -> None:
        """Delete a collection and all that is in it.

        Raises:
            CollectionNotFound: there is none of that name.
            CollectionBusy: an ingest writes to it and does not end soon.
        """
        kept = self._kept(tenant, name)
        with self._alone_with(kept):
            self._keep.drop(kept)

    def documents(self, tenant: str, name: str) -> list[DocumentAbout]:
        """The documents of a collection, by source.

        Raises:
            CollectionNotFound: there is none of that name.
        """
        found = self._keep.documents(self._kept(tenant, name)).values()
        made = [DocumentAbout(source=one.source, title=one.title, passages=one.passages) for one in found]
        return sorted(made, key=lambda one: one.source)

    def passages(self, tenant: str, name: str, source: str) -> int:
        """How many passages a document has; 0: it is not there, or its collection is not."""
        try:
            return self._keep.count(self._kept(tenant, name), {"source": source})
        except CollectionNotFound:
            return 0

    def remove(self, tenant: str, name: str, source: str) -> int:
        """Delete a document's passages; returns how many they were.

        Raises:
            CollectionNotFound, DocumentNotFound: it is not there.
            CollectionBusy: an ingest writes to the collection and does not end soon.
        """
        kept = self._kept(tenant, name)
        with self._alone_with(kept):
            ids = self._keep.ids(kept, {"source": source})
            if not ids:
                raise document_not_found(name, source)
            self._keep.remove(kept, ids)
        return len(ids)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._opened is not None:
                self._opened[1].close()
            self._opened = None

    @property
    def _keep(self) -> Keep:
        """The connection to where Chroma is now: a stack that was started again has it elsewhere."""
        from knowledge.chroma import Connection, StoreConfig
        from knowledge.keep import Keep
        from workers.connections import chroma_url, words_url

        url = chroma_url(self._settings)
        with self._lock:
            if self._opened is None or self._opened[0] != url:
                if self._opened is not None:
                    self._opened[1].close()
                config = StoreConfig(url=url, timeout=_SECONDS, words=words_url(self._settings))
                self._opened = (url, Keep(Connection(config)))
            return self._opened[1]

    def _kept(self, tenant: str, name: str) -> Kept:
        from knowledge.chroma import not_found

        found = self._keep.named(tenant, name)
        if found is None:
            raise not_found(name)
        return found

    def _about(self, kept: Kept) -> CollectionAbout:
        embedder = str(kept.about.get("embedder", ""))
        return CollectionAbout(name=kept.collection, passages=self._keep.count(kept), embedder=embedder)

    @contextmanager
    def _alone_with(self, kept: Kept) -> Iterator[None]:
        """While no ingest writes to a collection."""
        from agents.errors import Interrupted
        from workers.collection_lock import collection_lock

        waiting = threading.Event()
        timer = threading.Timer(_PATIENCE, waiting.set)
        timer.daemon = True
        timer.start()
        key = self._ledger.scripts.key("writer", kept.tenant, kept.collection)
        try:
            with collection_lock(self._ledger.scripts.client, key, waiting):
                yield
        except Interrupted as error:
            raise CollectionBusy(
                f"An ingest writes to the collection '{kept.collection}'.",
                hint="Try again when it is done: GET /v1/jobs?kind=ingest&state=running",
                subject=kept.collection,
                retry_after=10,
            ) from error
        finally:
            timer.cancel()


def document_not_found(collection: str, source: str) -> DocumentNotFound:
    """The error for a document that is not there."""
    return DocumentNotFound(
        f"The collection '{collection}' has no such document.",
        hint=f"GET /v1/documents?collection={collection} lists them.",
        subject=source[:200],
    )
