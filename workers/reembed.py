"""The job that gives a collection another embedding model's vectors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from agents.contract import Chunk, IngestResult, Progress

if TYPE_CHECKING:
    from knowledge.store import Store

Lock = Callable[[], AbstractContextManager[threading.Event]]


def reembed(store: Store, collection: str, lock: Lock, stop: threading.Event) -> Iterator[Chunk]:
    """Move a collection to the store's embedder while the old index serves; the last chunk has the result.

    What was embedded is kept when the job is stopped or dies, and its next attempt goes on from there.

    Args:
        store: The tenant's.
        collection: Its name.
        lock: Takes the collection for writing, for the switch only; its event says when it was lost.
        stop: Ends the work.

    Raises:
        CollectionNotFound, CollectionInvalid: as `Reembedding` says.
    """
    from knowledge.reembed import Reembedding

    work = Reembedding(store, collection)
    if not work.needed:
        note = f"'{collection}' has the vectors of {store.embedder.name} already."
        yield Chunk(result=IngestResult(collection=collection, notes=[note]))
        return
    total = 0
    for done, total in work.copy(stop.is_set):
        yield Chunk(progress=Progress(done=done, total=total, note="embedding"))
    with lock() as lost:
        yield Chunk(progress=Progress(done=total, total=total, note="switching"))
        work.switch(lambda: stop.is_set() or lost.is_set())
    note = f"{store.open(collection).count()} passages of '{collection}' have vectors of {store.embedder.name} now."
    yield Chunk(result=IngestResult(collection=collection, notes=[note]))
