"""What a search shows: repeated texts once, neighbours put together with offsets that stay true, filters by option."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from knowledge.embed import EmbedderConfig, load_embedder
from knowledge.load import load
from knowledge.rank.repeats import distinct
from knowledge.store import Store, StoreConfig
from knowledge.sync import LoadedFile, ingest
from knowledge.types import Filters, Passage

CLAUSES = ", ".join(f"part {number} of the boiler is checked by hand before the winter begins" for number in range(60))
TEXT = f"# Boiler\n\nEvery autumn {CLAUSES}, and then the gasket is greased with tallow.\n\nThe door stays shut."


@pytest.fixture(scope="module")
def store(chroma_server: str, words_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    embedder: Any = load_embedder(EmbedderConfig(cache_dir=tmp_path_factory.mktemp("embed"), threads=1))
    made = Store(StoreConfig(chroma_server, tenant=uuid.uuid4().hex, words=words_server), embedder)
    yield made
    made.close()


def fill(store: Store, collection: str, **named: str) -> None:
    files = [LoadedFile(f"{name}.md", f"{name}.md", text.encode()) for name, text in named.items()]
    list(ingest(store, collection, files))


def test_a_cut_sentence_is_whole_again_and_stays_citable(store: Store) -> None:
    fill(store, "cut", boiler=TEXT)
    stored = store.open("cut")
    assert stored.count() > 2
    (best, *_) = store.search("cut", "What is the gasket greased with?", 1)
    section = load(TEXT.encode(), "boiler.md", "boiler.md").sections[0].text
    assert section[best.start : best.end] == best.text
    assert "greased with tallow" in best.text
    assert len(best.text) > max(len(entry.text) for entry in stored.entries(stored.ids()))


def test_neighbours_that_were_both_found_come_as_one(store: Store) -> None:
    paragraphs = [
        f"The lamp of kind {word} is " + "made of brass and glass. " * 25 for word in ("red", "blue", "green")
    ]
    text = "# Lamps\n\n" + "\n\n".join(paragraphs)
    fill(store, "lamps", lamps=text, other="# Shop\n\nThe shop opens at nine.")
    assert store.open("lamps").count() == 4
    found = store.search("lamps", "Which lamp is made of brass and glass?", 4)
    assert [one.source for one in found] == ["lamps.md", "other.md"]
    section = load(text.encode(), "lamps.md", "lamps.md").sections[0].text
    assert found[0].text == section[found[0].start : found[0].end]
    assert all(word in found[0].text for word in ("red", "blue", "green"))


def test_near_repeats_count_once_and_numbers_keep_texts_apart() -> None:
    def passage(text: str) -> Passage:
        return Passage(id=text, text=text, source="s", title="t")

    notice = "This letter is confidential and meant for the person it is addressed to, who may not pass it on to others"
    texts = [
        notice,
        f"{notice}.",
        notice.upper(),
        f"{notice} at all",
        "The lamp costs 30 euros",
        "The lamp costs 40 euros",
    ]
    assert [one.text for one in distinct(map(passage, texts))] == [notice, *texts[-2:]]


def test_a_time_without_a_zone_is_utc() -> None:
    assert Filters.model_validate({"since": "2026-01-01T00:00:00"}) == Filters.model_validate(
        {"since": "2026-01-01T00:00:00Z"}
    )
