"""A website becomes a collection by a job: real Chroma, real embedder, a web server on loopback."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agents.contract import IngestResult
from knowledge.addresses import AddressRefused
from workers.jobs import parse_job, version_of
from workers.runner import Runner
from workers.settings import Settings

pytestmark = pytest.mark.service


@pytest.fixture
def runner(settings: Callable[..., Settings], redis_url: str, chroma_server: str, web: Any) -> Iterator[Runner]:
    runner = Runner(settings(redis_url=redis_url, chroma_url=chroma_server, site_allow=web.host, site_delay=0.0))
    yield runner
    runner.close()


@pytest.fixture
def visit(runner: Runner, web: Any) -> Callable[..., IngestResult]:
    tenant = uuid.uuid4().hex

    def go(path: str = "/", **more: Any) -> IngestResult:
        job = parse_job({"kind": "ingest", "tenant": tenant, "input": {"site": {"url": web.base + path, **more}}})
        assert version_of(job) == 4
        chunks = list(runner.run(job, threading.Event()))
        assert any(chunk.progress and chunk.progress.done for chunk in chunks)
        result = chunks[-1].result
        assert isinstance(result, IngestResult)
        return result

    go.tenant = tenant  # type: ignore[attr-defined]
    return go


def became(result: IngestResult, web: Any) -> dict[str, str]:
    return {report.source.removeprefix(web.base): report.status for report in result.files}


def test_a_site_is_followed_as_it_changes(web: Any, runner: Runner, visit: Any) -> None:
    web.sitemap("/lamps", "/refunds", "/broken")
    web.page("/lamps", "A lamp of ours burns for ten thousand hours.", etag='"1"')
    web.page("/refunds", "Money is given back within thirty days.", etag='"1"')
    assert became(visit(), web) == {"/lamps": "added", "/refunds": "added", "/broken": "failed"}
    found = list(
        runner.run(
            parse_job({"kind": "search", "tenant": visit.tenant, "input": {"query": "how long does a lamp burn"}}),
            threading.Event(),
        )
    )[-1].result
    assert found.passages[0].source == f"{web.base}/lamps"  # type: ignore[union-attr]

    web.asked.clear()
    again = visit()
    assert became(again, web) == {"/lamps": "unchanged", "/refunds": "unchanged", "/broken": "failed"}
    asked = dict(web.asked)
    assert asked["/lamps"]["if-none-match"] == '"1"'

    web.page("/lamps", "A lamp of ours burns for twenty thousand hours.", etag='"2"')
    web.sitemap("/lamps")
    assert became(visit(), web) == {"/lamps": "replaced", "/refunds": "deleted"}


def test_a_visit_that_saw_only_a_part_forgets_nothing(web: Any, visit: Any) -> None:
    web.sitemap("/a", "/b")
    web.page("/a", "Words of the first page.")
    web.page("/b", "Words of the second page.")
    visit()
    half = visit(max_pages=1)
    assert became(half, web) == {"/a": "unchanged"}
    assert any("no stored page was forgotten" in note for note in half.notes)
    web.sitemap("/a")
    assert "deleted" not in became(visit(prune=False), web).values()
    assert became(visit(), web)["/b"] == "deleted"


def test_half_a_page_is_asked_for_in_whole(web: Any, runner: Runner, visit: Any) -> None:
    web.sitemap("/long")
    web.page("/long", "".join(f"<p>Paragraph {number} tells of a lamp. " * 9 for number in range(60)), etag='"1"')
    assert became(visit(), web) == {"/long": "added"}
    collection = runner._have.store(visit.tenant).open("default")
    ids = sorted(collection.passages_of(f"{web.base}/long"))
    assert len(ids) > 1
    collection.remove(ids[:1])
    assert became(visit(), web) == {"/long": "replaced"}
    assert sorted(collection.passages_of(f"{web.base}/long")) == ids
    assert became(visit(), web) == {"/long": "unchanged"}


def test_a_site_on_a_private_network_is_refused(
    settings: Callable[..., Settings], redis_url: str, chroma_server: str, web: Any
) -> None:
    runner = Runner(settings(redis_url=redis_url, chroma_url=chroma_server))
    job = parse_job({"kind": "ingest", "input": {"site": {"url": web.base}}})
    with pytest.raises(AddressRefused, match="sent to"):
        list(runner.run(job, threading.Event()))
    runner.close()
    assert web.asked == []
