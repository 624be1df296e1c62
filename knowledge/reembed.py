"""Give a collection the vectors of another embedding model: beside the old ones, then in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from knowledge.chroma import border
from knowledge.errors import CollectionInvalid
from knowledge.split import MAX_TOKENS, embedded
from knowledge.store import INDEX

if TYPE_CHECKING:
    import numpy as np
    from chromadb.api.models.Collection import Collection as ChromaCollection
    from numpy.typing import NDArray

    from knowledge.store import Store

_STEP = 128


class Reembedding:
    """The move of one collection to the store's embedder.

    `copy` may run while others search and write: the old index serves. `switch` copies what came meanwhile and puts
    the new index in the old one's place; nobody may write then. Either may be broken off and repeated.

    Args:
        store: Whose embedder makes the new vectors.
        collection: Its name.

    Raises:
        CollectionNotFound: when it is not there.
        CollectionInvalid: when the new model can't see its passages whole.
    """

    def __init__(self, store: Store, collection: str) -> None:
        self._store = store
        self._name = collection
        self._embedder = store.embedder
        self._next = store.successor(collection)
        if self._embedder.max_tokens < MAX_TOKENS:
            raise CollectionInvalid(
                f"'{collection}' holds passages of up to {MAX_TOKENS} tokens; {self._embedder.name} sees only "
                f"{self._embedder.max_tokens}.",
                hint=f"Ingest the documents again into another collection: phiq ingest PATH -c {collection}-2",
                subject=collection,
            )

    @property
    def needed(self) -> bool:
        """Whether another embedder made the collection's vectors, or an earlier move was broken off."""
        about = self._store.raw(self._name).metadata or {}
        return about.get("embedder") != self._embedder.name or self._next.find() is not None

    def copy(self, stopped: Callable[[], bool]) -> Iterator[tuple[int, int]]:
        """Embed what the new index has not yet; yields how many passages it has, and of how many."""
        old, new = self._store.raw(self._name), self._new()
        there, have = self._ids(old), set(self._ids(new))
        missing = [id_ for id_ in there if id_ not in have]
        yield len(there) - len(missing), len(there)
        for at in range(0, len(missing), _STEP):
            if stopped():
                return
            self._move(old, new, missing[at : at + _STEP])
            yield len(there) - len(missing) + min(at + _STEP, len(missing)), len(there)

    def switch(self, stopped: Callable[[], bool]) -> bool:
        """Bring the new index up to date and put it in the old one's place; False when it was stopped before that."""
        for _ in self.copy(stopped):
            pass
        if stopped():
            return False
        old, new = self._store.raw(self._name), self._new()
        there = set(self._ids(old))
        gone = [id_ for id_ in self._ids(new) if id_ not in there]
        with border(self._store.config.url, self._name):
            for at in range(0, len(gone), _STEP):
                new.delete(ids=gone[at : at + _STEP])
        self._refresh(old, new, sorted(there))
        self._next.put_in_place()
        return True

    def _new(self) -> ChromaCollection:
        return self._next.make(self._store.about_new(self._name), INDEX)

    def _ids(self, raw: ChromaCollection) -> list[str]:
        with border(self._store.config.url, self._name):
            return list(raw.get(include=[])["ids"])

    def _move(self, old: ChromaCollection, new: ChromaCollection, ids: Sequence[str]) -> None:
        with border(self._store.config.url, self._name):
            found = old.get(ids=list(ids), include=["documents", "metadatas"])
        texts, about = list(found["documents"] or []), [dict(one) for one in found["metadatas"] or []]
        if not texts:
            return
        vectors = self._vectors(texts, about)
        with border(self._store.config.url, self._name):
            new.upsert(
                ids=found["ids"],
                embeddings=vectors,
                documents=texts,
                metadatas=[self._made(one) for one in about],
            )

    def _refresh(self, old: ChromaCollection, new: ChromaCollection, ids: Sequence[str]) -> None:
        """Take over what is known of passages that were copied before it changed; texts don't change under an id."""
        for at in range(0, len(ids), _STEP):
            with border(self._store.config.url, self._name):
                ours = old.get(ids=list(ids[at : at + _STEP]), include=["metadatas"])
                theirs = new.get(ids=list(ids[at : at + _STEP]), include=["metadatas"])
                known = dict(zip(theirs["ids"], theirs["metadatas"] or [], strict=True))
                changed = {
                    id_: self._made(about)
                    for id_, about in zip(ours["ids"], ours["metadatas"] or [], strict=True)
                    if known.get(id_) != self._made(about)
                }
                if changed:
                    new.update(ids=list(changed), metadatas=list(changed.values()))

    def _made(self, about: Mapping[str, Any]) -> dict[str, Any]:
        return {**about, "vectors": self._embedder.version}

    def _vectors(self, texts: Sequence[str], about: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
        rows = zip(texts, about, strict=True)
        wholes = [
            embedded(str(one["title"]), str(one["heading"]), text, self._embedder.count_tokens) for text, one in rows
        ]
        return self._embedder.embed_array(wholes)
