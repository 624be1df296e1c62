"""Searches by meaning and by words together, over a real Chroma and a real word index server."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from knowledge.chroma import Connection
from knowledge.collection import Collection
from knowledge.embed import EmbedderConfig, load_embedder
from knowledge.errors import WordsUnavailable
from knowledge.keep import Keep
from knowledge.search import NO_WORDS, fuse
from knowledge.store import Store, StoreConfig, chroma_name
from knowledge.sync import LoadedFile, ingest
from knowledge.types import Filters
from knowledge.words.client import Words

CODES = "# Errors of the lamp\n\n" + "\n\n".join(
    f"## Error E-{number}\n\nThe lamp shows this error when part {number * 7} of the bridge does not answer. "
    f"Take the lamp off the wall and push it back on."
    for number in range(11, 60)
)


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_embedder(EmbedderConfig(cache_dir=tmp_path_factory.mktemp("embed"), threads=1))


@pytest.fixture
def make(chroma_server: str, words_server: str, embedder: Any) -> Iterator[Callable[..., Store]]:
    tenant = uuid.uuid4().hex
    made: list[Store] = []

    def store(words: str = words_server) -> Store:
        made.append(Store(StoreConfig(chroma_server, tenant=tenant, words=words), embedder))
        return made[-1]

    yield store
    for one in made:
        one.close()


def fill(store: Store, **named: str) -> None:
    list(
        ingest(
            store, "help", [LoadedFile(f"docs/{name}.md", f"{name}.md", data.encode()) for name, data in named.items()]
        )
    )


def top(store: Store, query: str) -> str:
    return store.search("help", query, 3)[0].heading


def test_a_code_is_found_by_its_words(make: Callable[..., Store]) -> None:
    store = make()
    fill(store, codes=CODES)
    codes = [f"E-{number}" for number in range(11, 60, 4)]
    by_both = sum(code in top(store, f"What should I do about {code}?") for code in codes)
    by_meaning = sum(code in top(make(words=""), f"What should I do about {code}?") for code in codes)
    assert by_both == len(codes)
    assert by_meaning < by_both
    # The score stays the cosine, also of what only the words found.
    scores = [passage.score for passage in store.search("help", "E-31", 40)]
    assert all(0 < score < 1 for score in scores)


def test_filters_hold_for_both(make: Callable[..., Store]) -> None:
    store = make()
    fill(store, codes=CODES, other="The lamp E-31 is sold in our shop.")
    assert {p.source for p in store.search("help", "E-31", 9, Filters(under=("docs/o",)))} == {"docs/other.md"}
    assert store.search("help", "E-31", 9, Filters(since=datetime(2020, 1, 1, tzinfo=UTC))) == []
    assert store.search("help", "E-31", 9, Filters(under=("nowhere/",))) == []


def test_sources_are_looked_up_without_going_through_all(
    make: Callable[..., Store],
    words_server: str,
    wait_until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    unused_tcp_port: int,
) -> None:
    store = make()
    fill(store, codes=CODES, other="The lamp E-31 is sold in our shop.")
    words, name = Words(words_server), chroma_name(store.config.tenant, "help")
    store.search("help", "lamp")
    wait_until(lambda: words.sources(name, ["docs/"]).checked, 20, "the index is compared")
    listed: list[str] = []
    going = Collection.sources
    monkeypatch.setattr(Collection, "sources", lambda self: listed.append(self.name) or going(self))
    assert store.open("help").sources_under(("docs/o", "x")) == ["docs/other.md"]
    assert listed == []
    # Each of these may mean that the index does not know them all.
    words.mark(name, checked=False)
    assert store.open("help").sources_under(("docs/o",)) == ["docs/other.md"]
    assert len(listed) == 1
    words.mark(name, checked=True)
    fill(make(words=""), late="Something that the index was not told.")
    assert store.open("help").sources_under(("docs/l",)) == ["docs/late.md"]
    away = make(words=f"http://:x@127.0.0.1:{unused_tcp_port}")
    assert away.open("help").sources_under(("docs/l",)) == ["docs/late.md"]
    assert make(words="").open("help").sources_under(("docs/l",)) == ["docs/late.md"]
    assert len(listed) == 4
    words.close()


def test_without_its_server_searches_go_on_and_say_so(make: Callable[..., Store], unused_tcp_port: int) -> None:
    store = make(words=f"http://:x@127.0.0.1:{unused_tcp_port}")
    fill(store, other="The lamp is sold in our shop.")
    found = store.find("help", "Where is the lamp sold?")
    assert found.passages
    assert found.notes == [NO_WORDS]
    assert store.find("help", "Where is the lamp sold?").notes == [NO_WORDS]
    assert make(words="").find("help", "lamp").notes == []


def test_what_was_missed_is_found_by_comparing(
    make: Callable[..., Store], words_server: str, wait_until: Callable[..., None]
) -> None:
    silent = make(words="")
    fill(silent, codes=CODES)
    store = make()
    words = Words(words_server)
    name = chroma_name(store.config.tenant, "help")
    store.search("help", "E-31")
    wait_until(lambda: len(words.ids(name)) == 49, 20, "the index is complete")
    # Written by one that knows no index, then asked: it is compared again, also when the number is the same.
    fill(silent, codes=CODES.replace("E-31", "E-99"))
    words.mark(name, checked=False)
    store.search("help", "E-99")
    wait_until(lambda: words.search(name, "E99", 1).ids != [], 20, "the new passage is there")
    assert words.search(name, "E31", 1).ids == []
    words.close()


def test_what_is_deleted_leaves_the_index(make: Callable[..., Store], words_server: str) -> None:
    store = make()
    fill(store, codes=CODES, other="The lamp is sold in our shop.")
    words = Words(words_server)
    name = chroma_name(store.config.tenant, "help")
    assert len(words.ids(name)) == 50
    keep = Keep(Connection(store.config))
    kept = keep.named(store.config.tenant, "help")
    assert kept is not None
    keep.remove(kept, keep.ids(kept, {"source": "docs/other.md"}))
    assert len(words.ids(name)) == 49
    keep.compact_words()
    store.delete("help")
    assert name not in words.names()
    keep.close()
    words.close()


def test_another_secret_is_refused(words_server: str, tmp_path: Path) -> None:
    stranger = Words(words_server.replace("http://:", "http://:x"))
    assert not stranger.healthy()
    with pytest.raises(WordsUnavailable, match="401"):
        stranger.names()
    stranger.close()
    words = Words(words_server)
    assert words.healthy()
    with pytest.raises(WordsUnavailable, match=r"4(04|22)"):
        words.drop("../../etc")
    words.close()


def test_what_both_know_goes_first() -> None:
    assert fuse([["a", "b", "c"], ["b", "d"]]) == ["b", "a", "d", "c"]
    assert fuse([["a"], []]) == ["a"]
