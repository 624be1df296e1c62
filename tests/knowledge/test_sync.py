"""Ingest into a real Chroma server with the real embedder."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from knowledge.embed import EmbedderConfig, load_embedder
from knowledge.errors import CollectionInvalid, CollectionNotFound, StoreUnavailable
from knowledge.load.content import Helpers, LoadStopped
from knowledge.store import Store, StoreConfig
from knowledge.sync import LoadedFile, SourceReport, Step, ingest, ingest_steps

pytestmark = pytest.mark.service

REFUNDS = b"# Refunds\n\nYou can return a lamp within thirty days. We pay the postage.\n"
HOURS = b"# Opening hours\n\nThe shop opens at nine and closes at six. On Sundays it is closed.\n"


class CountingEmbedder:
    """The real embedder; remembers what it embedded."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.texts: list[str] = []
        self.name, self.version = inner.name, inner.version
        self.dimensions, self.max_tokens = inner.dimensions, inner.max_tokens
        self.before: Callable[[], None] = lambda: None

    def embed_array(self, texts: Any) -> Any:
        self.before()
        self.texts.extend(texts)
        return self.inner.embed_array(texts)

    def count_tokens(self, texts: Any) -> Any:
        return self.inner.count_tokens(texts)


@pytest.fixture
def embedder(embedder_cache: Any) -> CountingEmbedder:
    return CountingEmbedder(load_embedder(EmbedderConfig(cache_dir=embedder_cache, threads=1)))


@pytest.fixture
def store(chroma_server: str, embedder: Any) -> Any:
    store = Store(StoreConfig(chroma_server, tenant=uuid.uuid4().hex), embedder)
    yield store
    store.close()


def files(**named: bytes) -> list[LoadedFile]:
    return [LoadedFile(f"docs/{name}.md", f"{name}.md", data) for name, data in named.items()]


def run(store: Store, given: list[LoadedFile], **more: Any) -> dict[str, SourceReport]:
    return {report.source: report for report in ingest(store, "help", given, **more)}


def statuses(reports: dict[str, SourceReport]) -> dict[str, str]:
    return {source: report.status for source, report in reports.items()}


def test_what_was_ingested_is_found_with_its_place(store: Store) -> None:
    run(store, files(refunds=REFUNDS, hours=HOURS))
    found = store.search("help", "how long may I return something?", 2)
    assert [passage.source for passage in found] == ["docs/refunds.md", "docs/hours.md"]
    best = found[0]
    assert best.text == "You can return a lamp within thirty days. We pay the postage."
    assert (best.title, best.heading, best.collection) == ("Refunds", "Refunds", "help")
    assert best.score > 0.4 > found[1].score
    query = store.embedder.embed_array(["how long may I return something?", f"Refunds\n{best.text}"])
    assert best.score == pytest.approx(float(query[0] @ query[1]), abs=0.02)


def test_line_language_and_time_come_back_with_a_passage(store: Store) -> None:
    ticket = {"id": 1, "subject": "Lamp", "description": "The lamp is broken.", "created_at": "2026-01-02T10:00:00Z"}
    given = [
        LoadedFile("a.md", "a.md", b"# Lamps\n\nThe lamp stands on the table.\n\n# Chairs\n\nThe chair is red.\n"),
        LoadedFile("t.jsonl", "t.jsonl", b"{}\n" + json.dumps(ticket).encode()),
    ]
    list(ingest_steps(store, "help", given, helpers=Helpers(detect=lambda _: "en")))
    (chair,) = store.search("help", "a red chair", 1)
    assert (chair.line, chair.language, chair.modified) == (7, "en", None)
    (broken,) = store.search("help", "which lamp is broken?", 1)
    assert (broken.line, broken.modified) == (2, datetime(2026, 1, 2, 10, tzinfo=UTC))


def test_a_stop_while_a_page_is_read_leaves_the_file_to_the_next_run(store: Store) -> None:
    def load_stopped(*_: object) -> bytes:
        raise LoadStopped

    run(store, files(hours=HOURS))
    stopped = [LoadedFile("docs/hours.md", "hours.md", load_stopped)]
    assert run(store, stopped) == {}
    assert store.search("help", "opening hours", 1)


def test_unchanged_documents_are_not_embedded_again(store: Store, embedder: CountingEmbedder) -> None:
    given = files(refunds=REFUNDS, hours=HOURS)
    assert set(statuses(run(store, given)).values()) == {"added"}
    embedder.texts.clear()
    assert set(statuses(run(store, given)).values()) == {"unchanged"}
    assert embedder.texts == []


def test_a_changed_document_replaces_its_passages_and_embeds_only_what_is_new(
    store: Store, embedder: CountingEmbedder
) -> None:
    text = REFUNDS + b"\n## Costs\n\nPostage within the country is free.\n"
    run(store, files(refunds=text))
    embedder.texts.clear()
    reports = run(store, files(refunds=b"# Refunds\n\nA preface.\n\n## Costs\n\nPostage within the country is free.\n"))
    assert statuses(reports) == {"docs/refunds.md": "replaced"}
    assert embedder.texts == ["Refunds\nA preface."]
    texts = {passage.text for passage in store.search("help", "postage", 10)}
    assert texts == {"A preface.", "Postage within the country is free."}


def test_another_way_of_embedding_embeds_again(store: Store, embedder: CountingEmbedder) -> None:
    run(store, files(refunds=REFUNDS))
    embedder.texts.clear()
    embedder.version += "/next"
    assert statuses(run(store, files(refunds=REFUNDS))) == {"docs/refunds.md": "replaced"}
    assert len(embedder.texts) == 1


def test_a_bad_file_is_reported_and_the_others_go_on(store: Store) -> None:
    run(store, files(hours=HOURS))
    given = [
        LoadedFile("docs/a.pdf", "a.pdf", b"%PDF-1.7 broken"),
        LoadedFile("docs/hours.md", "hours.md", b"\x00\x01\x02" * 100),
        *files(refunds=REFUNDS),
    ]
    reports = run(store, given, prune_under="docs")
    assert statuses(reports) == {"docs/a.pdf": "failed", "docs/hours.md": "failed", "docs/refunds.md": "added"}
    assert reports["docs/a.pdf"].error is not None
    assert reports["docs/a.pdf"].error.code == "document_unreadable"
    # The older version of a file that can't be read now is still served.
    assert "nine" in store.search("help", "when does the shop open?", 1)[0].text


def test_only_bad_files_make_no_collection(store: Store) -> None:
    run(store, [LoadedFile("a.pdf", "a.pdf", b"%PDF-1.7 broken")])
    assert not store.exists("help")


def test_prune_deletes_below_the_folder_only(store: Store) -> None:
    more = [LoadedFile(f"{folder}/x.md", "x.md", b"Words of " + folder.encode()) for folder in ("docs2", "other")]
    run(store, [*files(refunds=REFUNDS, hours=HOURS), *more])
    reports = run(store, [], prune_under="docs", keep=["docs/hours.md"])
    assert statuses(reports) == {"docs/refunds.md": "deleted"}
    left = {passage.source for passage in store.search("help", "words", 10)}
    assert left == {"docs/hours.md", "docs2/x.md", "other/x.md"}


def test_a_crash_between_writing_and_deleting_is_mended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from knowledge.collection import Collection

    run(store, files(refunds=REFUNDS))
    changed = REFUNDS.replace(b"thirty", b"sixty")
    with monkeypatch.context() as patch:
        patch.setattr(Collection, "remove", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(store, files(refunds=changed))
    served = {passage.text for passage in store.search("help", "return a lamp", 10)}
    assert served == {"You can return a lamp within sixty days. We pay the postage."}  # never nothing, never both
    assert statuses(run(store, files(refunds=changed))) == {"docs/refunds.md": "replaced"}
    assert [passage.text for passage in store.search("help", "return a lamp", 10)] == [
        "You can return a lamp within sixty days. We pay the postage."
    ]


def test_a_long_document_that_was_stopped_goes_on_where_it_was(store: Store, embedder: CountingEmbedder) -> None:
    text = "\n".join(f"## Item {number}\nThe item number {number} costs {number} coins.\n" for number in range(300))
    given = [LoadedFile("list.md", "list.md", text.encode())]
    steps: list[Any] = []
    for step in ingest_steps(store, "help", given, should_stop=lambda: bool(steps)):
        steps.append(step)
    assert steps == [Step("list.md", 128, 300)]
    embedder.texts.clear()
    steps = list(ingest_steps(store, "help", given))
    assert steps == [Step("list.md", 256, 300), Step("list.md", 300, 300), SourceReport("list.md", "replaced", 300)]
    assert len(embedder.texts) == 300 - 128
    assert store.open("help").count() == 300


def test_a_long_document_that_is_half_written_leaves_its_old_version_served(store: Store) -> None:
    def text(price: int) -> bytes:
        items = (f"## Item {number}\nThe item number {number} costs {number + price} coins.\n" for number in range(300))
        return "\n".join(items).encode()

    def served() -> tuple[set[str], int]:
        found = store.search("help", "What does the item number 7 cost?", 400)
        return {passage.text.split()[-2] for passage in found}, len(found)

    old, new = ({str(number + price) for number in range(300)} for price in (1000, 2000))
    list(ingest_steps(store, "help", [LoadedFile("list.md", "list.md", text(1000))]))
    assert served() == (old, 300)
    steps: list[Any] = []
    for step in ingest_steps(
        store, "help", [LoadedFile("list.md", "list.md", text(2000))], should_stop=lambda: len(steps) == 2
    ):
        steps.append(step)
    assert steps[-1] == Step("list.md", 256, 300)
    assert store.open("help").count() == 300 + 256
    assert served() == (old, 300)
    assert list(ingest_steps(store, "help", [LoadedFile("list.md", "list.md", text(2000))]))[-1] == SourceReport(
        "list.md", "replaced", 300
    )
    assert served() == (new, 300)
    assert store.open("help").count() == 300
    assert statuses(run(store, [LoadedFile("list.md", "list.md", text(2000))])) == {"list.md": "unchanged"}


def test_the_store_going_away_in_the_middle_raises_and_what_was_reported_is_there(
    store: Store, embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from knowledge.collection import Collection

    run(store, files(refunds=REFUNDS))

    def broken(*_: Any) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(Collection, "put", broken)
        with pytest.raises(StoreUnavailable):
            run(store, files(hours=HOURS))
    assert statuses(run(store, files(refunds=REFUNDS, hours=HOURS))) == {
        "docs/refunds.md": "unchanged",
        "docs/hours.md": "added",
    }


def test_tenants_never_see_each_other(store: Store, chroma_server: str, embedder: Any) -> None:
    run(store, files(refunds=REFUNDS))
    other = Store(StoreConfig(chroma_server, tenant="other-" + uuid.uuid4().hex), embedder)
    with pytest.raises(CollectionNotFound) as caught:
        other.search("help", "refunds")
    assert caught.value.hint == "phiq ingest PATH --collection help"
    assert other.collections() == []
    assert [(info.name, info.passages) for info in store.collections()] == [("help", 1)]
    with pytest.raises(CollectionNotFound):
        other.delete("help")
    other.close()
    store.delete("help")
    assert not store.exists("help")


def test_an_index_of_another_model_is_refused(store: Store, embedder: CountingEmbedder) -> None:
    run(store, files(refunds=REFUNDS))
    embedder.name = "another-model"
    for act in (lambda: store.search("help", "x"), lambda: run(store, files(hours=HOURS))):
        with pytest.raises(CollectionInvalid, match="all-MiniLM-L6-v2"):
            act()


def test_duplicates_count_once(store: Store) -> None:
    notice = b"Copyright notice: all lamps reserved."
    given = [LoadedFile(f"{number}.txt", "notice.txt", notice) for number in range(12)]
    run(store, [*given, *files(refunds=REFUNDS, hours=HOURS)])
    found = store.retriever("help").retrieve("copyright notice of the lamps", 3)
    assert found[0].text.startswith("Copyright")
    assert len({passage.text for passage in found}) == 3
    assert store.retriever("help").retrieve("   ") == []


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 129])
def test_names_that_can_not_be(store: Store, name: str) -> None:
    with pytest.raises(CollectionInvalid):
        store.search(name, "x")


@pytest.mark.parametrize("name", ["a", "Handbuch für Kunden", "日本語", "../../etc", "x" * 128])
def test_names_that_may_be(store: Store, name: str) -> None:
    list(ingest(store, name, files(refunds=REFUNDS)))
    assert store.search(name, "return")[0].collection == name


def test_a_collection_that_was_emptied_answers_with_nothing(store: Store) -> None:
    run(store, files(refunds=REFUNDS))
    assert statuses(run(store, [], prune_under="")) == {"docs/refunds.md": "deleted"}
    assert store.search("help", "return a lamp", 5) == []
    assert store.retriever("help").retrieve("return a lamp") == []
    assert statuses(run(store, files(refunds=REFUNDS))) == {"docs/refunds.md": "added"}
    assert len(store.search("help", "return a lamp", 50)) == 1


def test_a_file_that_comes_twice_counts_as_its_last(store: Store) -> None:
    reports = list(ingest(store, "help", [*files(refunds=REFUNDS), *files(refunds=HOURS)]))
    assert [report.status for report in reports] == ["added", "replaced"]
    assert [passage.title for passage in store.search("help", "lamp", 9)] == ["Opening hours"]


def test_a_service_fault_while_fetching_a_file_is_no_fault_of_the_file(store: Store) -> None:
    def gone() -> bytes:
        raise StoreUnavailable("the content store is down")

    with pytest.raises(StoreUnavailable):
        run(store, [LoadedFile("a.txt", "a.txt", gone)])


def test_a_stopped_run_prunes_nothing(store: Store) -> None:
    run(store, files(refunds=REFUNDS))
    assert run(store, files(hours=HOURS), prune_under="docs", should_stop=lambda: True) == {}
    assert store.open("help").count() == 1


def test_more_passages_than_one_request_takes(store: Store) -> None:
    rows = "name,price\n" + "".join(f"lamp {number},{number} coins\n" for number in range(1200))
    (report,) = ingest(store, "help", [LoadedFile("l.csv", "l.csv", rows.encode())])
    assert (report.status, report.passages) == ("added", 1200)
    collection = store.open("help")
    assert collection.count() == len(collection.passages_of("l.csv")) == 1200
    assert collection.sources() == {"l.csv"}
    assert statuses(run(store, [], prune_under="l.csv")) == {"l.csv": "deleted"}
    assert collection.count() == 0
