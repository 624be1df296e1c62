"""Chroma's server ends in the middle and comes back: what was written is there, and the same store goes on."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from knowledge.embed import EmbedderConfig, load_embedder
from knowledge.errors import StoreUnavailable
from knowledge.store import Store, StoreConfig
from knowledge.sync import LoadedFile, SourceReport, ingest
from workers.stack import binaries, health
from workers.stack.child import Child
from workers.stack.ports import free_port

pytestmark = pytest.mark.service


@pytest.fixture
def server(tmp_path: Path, wait_until: Callable[..., Any]) -> Iterator[Any]:
    """A server of this test's own: ``start()`` returns its address, ``stop()`` ends it, both may be repeated."""
    port = free_port()
    running: list[Child] = []

    class Server:
        url = f"http://127.0.0.1:{port}"

        def start(self) -> None:
            running.append(Child(binaries.chroma_argv(tmp_path / "data", port), tmp_path / "log", tmp_path))
            wait_until(lambda: not health.chroma(self.url), 60, "Chroma healthy")

        def stop(self) -> None:
            while running:
                running.pop().stop(grace=10)

    yield Server()
    Server().stop()


def files() -> Iterator[LoadedFile]:
    for number in range(60):
        text = f"Lamp {number}.\n" + "\n".join(f"## Part {part}\nIts part {part} is red." for part in range(5))
        yield LoadedFile(f"{number}.md", f"{number}.md", text.encode())


def test_down_in_the_middle_and_back(server: Any, embedder_cache: Path) -> None:
    embedder = load_embedder(EmbedderConfig(cache_dir=embedder_cache, threads=1))
    server.start()
    store = Store(StoreConfig(server.url, tenant=uuid.uuid4().hex), embedder)

    def stopping() -> Iterator[LoadedFile]:
        for number, file in enumerate(files()):
            if number == 45:
                server.stop()
            yield file

    reports: list[SourceReport] = []  # extend keeps what came before the error
    with pytest.raises(StoreUnavailable) as caught:
        reports.extend(ingest(store, "lamps", stopping()))
    assert caught.value.transient
    assert {report.status for report in reports} == {"added"}
    with pytest.raises(StoreUnavailable):
        store.search("lamps", "lamp")

    server.start()
    written = {report.source for report in reports}
    assert written
    assert written <= store.open("lamps").sources()
    statuses = {report.source: report.status for report in ingest(store, "lamps", files())}
    assert {statuses[source] for source in written} == {"unchanged"}
    assert store.open("lamps").count() == 60 * 6
    store.close()
