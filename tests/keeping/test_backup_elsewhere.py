"""Backup and restore over a Redis and a Chroma that somebody else runs, and what the commands print."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli.connection import using
from knowledge.chroma import Connection, StoreConfig
from knowledge.keep import Keep, Kept, Page
from workers.backup.errors import BackupRefused
from workers.backup.make import backup
from workers.backup.restore import restore
from workers.erase.run import erase
from workers.erase.scope import Scope
from workers.jobs import Capability, State, parse_job
from workers.ledger import WorkerInfo
from workers.service import Service
from workers.settings import Settings


@pytest.fixture
def elsewhere(redis_url: str, chroma_server: str, settings: Callable[..., Settings]) -> Any:
    """Settings of an installation with nothing on this machine but its content store, and its service."""
    made = settings(redis_url=redis_url, chroma_url=chroma_server, inline_bytes=500, allow_fake_engine=True)
    service = Service.connect(made)
    yield made, service
    service.close()


def _submit(service: Service, text: str) -> str:
    job = parse_job({"kind": "complete", "input": {"prompt": text}})
    return service.ledger.submit(job, model="fake:echo", capability=Capability.GENERATE).id


def test_an_installation_elsewhere_moves_with_all_it_has(elsewhere: Any, tmp_path: Path) -> None:
    settings, service = elsewhere
    keep = Keep(Connection(StoreConfig(url=settings.chroma_url)))
    name = f"phiq-{uuid.uuid4().hex}"
    kept = Kept(name, {"tenant": "move", "collection": "c", "phiq_schema": 1}, {"space": "cosine", "ef_search": 200})
    ids = [f"p{number}" for number in range(1203)]
    vectors = np.random.default_rng(1).random((1203, 4), dtype=np.float32)
    keep.make(kept)
    keep.put(kept, Page(ids, [f"text ü {one}" for one in ids], [{"source": "s", "page": 2} for _ in ids], vectors))
    queued, running = _submit(service, "long " * 500), _submit(service, "short")
    attempt = service.ledger.claim(running, "w1")
    assert attempt is not None
    attempt.checkpoints["part"] = [1, 2, 3]

    made = backup(settings, tmp_path / "phiq.tar")
    assert made.manifest is not None
    assert made.manifest.jobs == 2
    with pytest.raises(BackupRefused, match="something here"):
        restore(settings, tmp_path / "phiq.tar")
    service.ledger.scripts.client.flushall()
    for one in keep.collections():
        keep.drop(one)
    done = restore(settings, tmp_path / "phiq.tar")
    assert (done.jobs, done.released) == (2, 1)
    [back] = keep.collections("move")
    assert (back.about, back.index["space"]) == (kept.about, "cosine")
    pages = {
        one: (text, about)
        for page in keep.pages(back)
        for one, text, about in zip(page.ids, page.texts, page.about, strict=True)
    }
    assert pages == {one: (f"text ü {one}", {"source": "s", "page": 2}) for one in ids}
    got = np.concatenate([page.vectors[np.argsort(page.ids)] for page in keep.pages(back)])
    assert np.allclose(np.sort(got, axis=0), np.sort(vectors, axis=0))
    assert service.get(queued).job["input"]["prompt"] == "long " * 500
    record = service.get(running)
    assert record.state is State.QUEUED
    assert record.attempts[0].outcome == "released"
    again = service.ledger.claim(running, "w2")
    assert again is not None
    assert again.checkpoints["part"] == [1, 2, 3]
    with pytest.raises(Exception, match="no longer held"):
        attempt.succeed(_result())
    keep.drop(back)
    keep.close()


def _result() -> Any:
    from agents.contract import CompletionResult

    return CompletionResult(text="of a holder that a restore has fenced")


def test_no_restore_under_workers_at_work(elsewhere: Any, tmp_path: Path) -> None:
    settings, service = elsewhere
    backup(settings, tmp_path / "phiq.tar")
    service.ledger.heartbeat(WorkerInfo(name="alpha", serves=[Capability.CORE]))
    with pytest.raises(BackupRefused, match="alpha"):
        restore(settings, tmp_path / "phiq.tar", force=True)


def test_another_prefix_is_refused_with_the_right_one(elsewhere: Any, tmp_path: Path) -> None:
    settings, _ = elsewhere
    backup(settings, tmp_path / "phiq.tar")
    with pytest.raises(BackupRefused) as caught:
        restore(settings.model_copy(update={"key_prefix": "other"}), tmp_path / "phiq.tar")
    assert "PHIQ_KEY_PREFIX=phiq" in caught.value.hint


def test_the_commands_say_what_is_in_the_file(elsewhere: Any, tmp_path: Path) -> None:
    settings, service = elsewhere
    _submit(service, "hello")
    target = tmp_path / "phiq.tar.gz"
    run = CliRunner().invoke
    with using(settings):
        made = run(app, ["backup", str(target), "--json"])
        assert made.exit_code == 0, made.output
        assert json.loads(made.stdout)["jobs"] == 1
        assert run(app, ["backup", str(target)]).exit_code == 3
        assert "1 jobs" in run(app, ["backup", str(target), "--force"]).stdout
        assert run(app, ["restore", str(target)]).exit_code == 3
        assert "Restored 1 jobs" in run(app, ["restore", str(target), "--force"]).stdout
        assert run(app, ["restore", str(tmp_path / "nowhere.tar"), "--json"]).exit_code == 3
    assert [record.state for record in service.list()] == [State.QUEUED]


def test_a_full_redis_can_be_backed_up_and_made_empty(elsewhere: Any, tmp_path: Path) -> None:
    settings, service = elsewhere
    job_id = _submit(service, "hello " * 500)
    client = service.ledger.scripts.client
    try:
        client.config_set("maxmemory", 1)
        made = backup(settings, tmp_path / "phiq.tar")
        assert made.manifest is not None
        assert made.manifest.jobs == 1
        gone = erase(settings, Scope("default", job=job_id))
        assert (gone.jobs, gone.contents) == (1, 1)
        assert client.keys("phiq:job:*") == []
    finally:
        client.config_set("maxmemory", 0)
