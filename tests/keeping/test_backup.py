"""A backup of a whole installation comes back whole, made while phiq runs; what is no backup is refused."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.connection import using
from gateway.cli.documents import ingest_paths
from gateway.cli.io import Io
from gateway.client import Client
from workers.backup.archive import Reader, Writer, spool
from workers.backup.errors import BackupInvalid, BackupRefused
from workers.backup.make import backup
from workers.backup.restore import restore
from workers.jobs import State
from workers.settings import Settings
from workers.stack import Stack

NOTE = "The Loop's warranty lasts thirty-one months from the day it was bought.\n"


def test_what_was_backed_up_while_it_ran_answers_elsewhere(
    tmp_path: Path, redis_binary: str, wait_until: Callable[..., Any]
) -> None:
    given: dict[str, Any] = {"allow_fake_engine": True, "slots": 1, "inline_bytes": 2000, "drain_seconds": 1.0}
    here = Settings(data_dir=tmp_path / "here", **given)
    paper = tmp_path / "warranty.md"
    paper.write_text(f"# Warranty\n\n{NOTE}")
    archive = tmp_path / "phiq.tar.gz"
    with Stack(here, parts=("redis", "chroma", "worker")), using(here):
        client = Client(settings=here)
        ingest_paths(Io(json=True), client, [str(paper)], "default")
        done = client.submit("complete", "echo this " + "word " * 1000, model="fake:echo")
        text = done.result(timeout=60).text
        letter = client.submit("complete", "hello", model="fake:echo?fail=engine_lost", max_attempts=1)
        wait_until(lambda: letter.record.state.final, 60)
        running = client.submit("complete", "slowly", model="fake:words?rate=2&count=400")
        wait_until(lambda: running.record.state is State.RUNNING, 60)
        queued = client.submit("complete", "behind it", model="fake:echo")
        made = backup(here, archive)
        assert made.manifest is not None
        assert made.manifest.running
        assert made.held < here.lease_seconds / 2
        with pytest.raises(BackupRefused):
            restore(here, archive)
        with pytest.raises(BackupRefused):
            backup(here, archive)
    there = Settings(data_dir=tmp_path / "there", **given)
    restored = restore(there, archive)
    assert restored.released == 1
    assert restored.passages == made.manifest.passages > 0
    with pytest.raises(BackupRefused):
        restore(there, archive)
    with Stack(there, parts=("redis", "chroma", "worker")), using(there):
        client = Client(settings=there)
        assert client.job(done.id).result(timeout=60).text == text
        assert client.job(letter.id).record.state is State.DEAD
        client.job(running.id).cancel()
        assert client.job(queued.id).result(timeout=120).text
        assert client.job(running.id).record.attempts[0].outcome == "released"
        answer = client.submit("chat", "How long does the warranty of the Loop last?").result(timeout=120)
        assert "thirty-one months" in answer.text
    stopped = backup(there, tmp_path / "stopped.tar")
    assert stopped.manifest is not None
    assert not stopped.manifest.running
    assert stopped.manifest.jobs == made.manifest.jobs + 1
    assert stopped.manifest.passages == made.manifest.passages


def test_a_backup_of_a_stopped_phiq_needs_no_worker(tmp_path: Path, redis_binary: str) -> None:
    here = Settings(data_dir=tmp_path / "here")
    made = backup(here, tmp_path / "empty.tar")
    assert made.manifest is not None
    assert (made.manifest.jobs, made.manifest.passages) == (0, 0)


def _tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for about, data in members:
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
    return path


def _manifest(**changes: Any) -> bytes:
    return json.dumps({"key_prefix": "phiq", "created_at": "2026-01-01T00:00:00Z", "files": {}, **changes}).encode()


@pytest.mark.parametrize(
    "name",
    ["../outside", "/etc/outside", "content/../../outside", "models/../outside", "models/a/../../outside", "other"],
)
def test_names_that_lead_out_of_it_are_refused(tmp_path: Path, name: str) -> None:
    # The manifest knows it: whoever made the archive could write that as well.
    entry = {"size": 4, "sha256": hashlib.sha256(b"evil").hexdigest()}
    for files in ({name: entry}, {}):
        manifest = (tarfile.TarInfo("manifest.json"), _manifest(files=files))
        archive = _tar(tmp_path / "evil.tar", (tarfile.TarInfo(name), b"evil"), manifest)
        with pytest.raises(BackupInvalid):
            restore(Settings(data_dir=tmp_path / "data"), archive)
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    about = tarfile.TarInfo("models/phi/genai_config.json")
    about.type, about.linkname = kind, "/etc/passwd"
    archive = _tar(tmp_path / "evil.tar", (about, b""), (tarfile.TarInfo("manifest.json"), _manifest()))
    with pytest.raises(BackupInvalid):
        Reader(archive)


def test_a_changed_cut_or_newer_backup_is_refused(tmp_path: Path) -> None:
    from workers.backup.manifest import Manifest

    path = tmp_path / "whole.tar"
    writer = Writer(path)
    with spool() as out:
        out.write(b"x" * 5000)
        writer.add("redis.dump", out)
    writer.finish(Manifest.model_validate_json(_manifest()))
    assert Reader(path).manifest.files["redis.dump"].size == 5000
    assert path.stat().st_mode & 0o077 == 0
    data = path.read_bytes()
    for bad in (data[:3000], data[:6000], data.replace(b"xxx", b"xyx", 1), b"no tar at all", b""):
        path.write_bytes(bad)
        with pytest.raises(BackupInvalid):
            Reader(path)
    with pytest.raises(BackupInvalid, match="newer"):
        Reader(_tar(tmp_path / "newer.tar", (tarfile.TarInfo("manifest.json"), _manifest(format=99))))
    with pytest.raises(BackupInvalid):
        Reader(tmp_path / "nowhere.tar")


def test_a_backup_that_fails_leaves_no_file(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "phiq.tar")
    writer.abandon()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BackupRefused, match="does not exist"):
        Writer(tmp_path / "missing" / "phiq.tar")
