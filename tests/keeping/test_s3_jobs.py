"""A whole phiq whose content store is a bucket: jobs, results, documents, backup and erase go through it."""

from __future__ import annotations

from pathlib import Path

from gateway.cli.connection import using
from gateway.client import Client
from workers.backup.archive import Reader
from workers.backup.make import backup
from workers.erase.run import erase
from workers.erase.scope import Scope
from workers.settings import Settings
from workers.stack import Stack


def test_jobs_work_from_a_bucket(s3_url: str, redis_binary: str, tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path / "data", content_url=s3_url, allow_fake_engine=True, slots=1, inline_bytes=2000
    )
    with Stack(settings, parts=("redis", "chroma", "worker")), using(settings):
        client = Client(settings=settings)
        job = client.submit("complete", "word " * 1000, model="fake:echo", subject="c-1")
        assert job.result(timeout=60).text.split() == ["word"] * 1000
        attached = client.attach(("page.md", b"# Page\n\nThe lantern burns for nine hours.\n"))
        files = [{"source": "/page.md", **attached.model_dump()}]
        client.submit("ingest", {"files": files}).result(timeout=120)
        found = client.submit("search", "How long does the lantern burn?").result(timeout=60)
        assert "nine hours" in found.passages[0].text
        made = backup(settings, tmp_path / "phiq.tar")
        assert made.notes == []
        assert Reader(tmp_path / "phiq.tar").manifest.contents == 3
        assert erase(settings, Scope("default", subject="c-1")).contents == 2
        assert [one.ref for one in client.service._content.stored()] == [attached.ref]
