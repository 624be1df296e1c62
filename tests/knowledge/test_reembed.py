"""Another embedding model for a collection: beside the old index, then in its place."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest

from knowledge.embed import EmbedderConfig, load_embedder
from knowledge.errors import CollectionInvalid, CollectionNotFound
from knowledge.reembed import Reembedding
from knowledge.store import Store, StoreConfig
from knowledge.sync import LoadedFile, ingest

ITEMS = "\n".join(f"## Item {number}\nThe item number {number} costs {number} coins.\n" for number in range(200))


class Turned:
    """Another model, in effect: MiniLM's vectors with their numbers in another order, under another name."""

    name, version, max_tokens = "turned", "turned/1", 256

    def __init__(self, inner: Any, dimensions: int = 384) -> None:
        self.inner, self.dimensions = inner, dimensions
        self.texts = 0

    def embed_array(self, texts: Any) -> Any:
        self.texts += len(texts)
        return np.roll(self.inner.embed_array(texts), 7, axis=1)[:, : self.dimensions]

    def count_tokens(self, texts: Any) -> Any:
        return self.inner.count_tokens(texts)


@pytest.fixture
def minilm(embedder_cache: Any) -> Any:
    return load_embedder(EmbedderConfig(cache_dir=embedder_cache, threads=1))


@pytest.fixture
def stores(chroma_server: str, minilm: Any) -> Any:
    """The same tenant's collections seen with the old model, the new one, and the new one without the old."""
    config, turned = StoreConfig(chroma_server, tenant=uuid.uuid4().hex), Turned(minilm)
    others = {minilm.name: minilm, turned.name: turned}
    made = (Store(config, minilm, others.get), Store(config, turned, others.get), Store(config, turned))  # type: ignore[arg-type]
    put(made[0], items=ITEMS)
    yield made
    for store in made:
        store.close()


def put(store: Store, **named: str) -> None:
    files = [LoadedFile(f"{name}.md", f"{name}.md", text.encode()) for name, text in named.items()]
    list(ingest(store, "help", files))


def answer(store: Store) -> str:
    return store.search("help", "What does item number 77 cost?", 1)[0].text


def test_the_old_index_serves_until_the_switch_and_the_new_one_after_it(stores: Any) -> None:
    old, new, alone = stores
    with pytest.raises(CollectionInvalid, match="all-MiniLM-L6-v2") as refused:
        answer(alone)
    assert "phiq reembed help" in refused.value.hint
    work = Reembedding(new, "help")
    assert work.needed
    steps = list(work.copy(lambda: False))
    assert steps == [(0, 200), (128, 200), (200, 200)]
    # Made, and not in place: searches, listings and writes go to the old one.
    assert "77 coins" in answer(new)
    assert [(one.name, one.passages, one.embedder) for one in new.collections()] == [("help", 200, "all-MiniLM-L6-v2")]
    put(new, items=ITEMS, late="The late item number 500 costs 500 coins.")
    assert work.switch(lambda: False)
    assert "77 coins" in answer(alone)
    assert "77 coins" in answer(old)
    assert [(one.name, one.passages, one.embedder) for one in alone.collections()] == [("help", 201, "turned")]
    assert not Reembedding(new, "help").needed
    # What is ingested again is not embedded again.
    before = new.embedder.texts
    put(new, items=ITEMS)
    assert new.embedder.texts == before


def test_what_was_embedded_is_kept_when_it_is_stopped(stores: Any) -> None:
    _, new, _ = stores
    seen: list[Any] = []
    for step in Reembedding(new, "help").copy(lambda: len(seen) == 2):
        seen.append(step)
    assert seen == [(0, 200), (128, 200)]
    assert not Reembedding(new, "help").switch(lambda: True)
    assert next(iter(Reembedding(new, "help").copy(lambda: False))) == (128, 200)


@pytest.mark.parametrize("broken", ["rename", "name"])
def test_a_crash_in_the_switch_leaves_it_served_and_is_mended(
    stores: Any, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chromadb.api.models.Collection import Collection

    _, new, alone = stores
    modify, calls = Collection.modify, []

    def crash(self: Any, **given: Any) -> None:
        calls.append(given)
        if len(calls) == (2 if broken == "rename" else 3):
            raise KeyboardInterrupt
        modify(self, **given)

    with monkeypatch.context() as patch:
        patch.setattr(Collection, "modify", crash)
        with pytest.raises(KeyboardInterrupt):
            Reembedding(new, "help").switch(lambda: False)
    assert "77 coins" in answer(new)
    again = Reembedding(new, "help")
    assert again.needed
    assert again.switch(lambda: False)
    assert "77 coins" in answer(alone)
    assert [(one.passages, one.embedder) for one in new.collections()] == [(200, "turned")]


def test_what_can_not_be_is_said(stores: Any, minilm: Any) -> None:
    _, new, _ = stores
    with pytest.raises(CollectionNotFound):
        _ = Reembedding(new, "nothing").needed
    narrow = Turned(minilm)
    narrow.max_tokens = 128
    with pytest.raises(CollectionInvalid, match="only 128"):
        Reembedding(Store(new.config, narrow), "help")  # type: ignore[arg-type]
