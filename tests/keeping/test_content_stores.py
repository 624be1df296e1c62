"""Every sort of content store keeps bytes by their hash, and tells a missing, a damaged and a full place apart."""

from __future__ import annotations

import errno
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from s3fs import S3FileSystem

from workers.content import ContentStore, open_content
from workers.doctor.services import content_store
from workers.errors import ContentMissing, ContentUnavailable, JobTooLarge, SettingsInvalid, StorageFull
from workers.settings import Settings


def test_what_is_put_comes_back_and_can_be_deleted(store: ContentStore) -> None:
    before = time.time() - 5
    attachment = store.put(io.BytesIO(b"hello"), "a.txt")
    assert store.put(b"hello", "b.txt").ref == attachment.ref
    assert store.get(attachment.ref) == b"hello"
    [found] = store.stored()
    assert (found.ref, found.size) == (attachment.ref, 5)
    assert before < found.modified < time.time() + 5
    assert store.delete(attachment.ref)
    assert not store.delete(attachment.ref)
    assert list(store.stored()) == []
    with pytest.raises(ContentMissing):
        store.get(attachment.ref)


def test_what_is_too_large_leaves_nothing(store: ContentStore) -> None:
    with pytest.raises(JobTooLarge):
        store.put(io.BytesIO(b"x" * 1001), "large")
    assert list(store.stored()) == []
    assert store.put(b"x" * 1001, "payload", limit=2000).size == 1001


def test_damage_is_noticed(store: ContentStore) -> None:
    attachment = store.put(b"precious", "a.txt")
    store._fs.pipe_file(store._path(attachment.ref.removeprefix("sha256:")), b"rotten")
    with pytest.raises(ContentMissing, match="damaged"):
        store.get(attachment.ref)


def test_what_was_put_again_is_not_deleted_as_old(store: ContentStore) -> None:
    attachment = store.put(b"again", "a")
    assert not store.delete(attachment.ref, put_before=time.time() - 60)
    assert store.delete(attachment.ref, put_before=time.time() + 60)


def test_other_installations_are_known_by_what_they_leave(store: ContentStore) -> None:
    assert store.owners("one") == []
    assert store.owners("two") == ["one"]
    assert store.owners("one") == ["two"]
    assert list(store.stored()) == []


def test_the_doctor_says_when_others_use_the_store(settings: Callable[..., Settings], tmp_path: Path) -> None:
    ours = settings(content_url=str(tmp_path / "shared"))
    [check] = content_store(ours)
    assert check.status == "ok"
    for name in ("one", "two"):
        open_content(ours).owners(name)
    [check] = content_store(ours)
    assert (check.status, "PHIQ_CONTENT_URL" in check.fix) == ("warn", True)


def test_a_full_disk_is_storage_full_and_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ContentStore(str(tmp_path / "content"), max_bytes=1000)

    def full(_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("workers.content.os.fsync", full)
    with pytest.raises(StorageFull):
        store.put(b"hello", "a.txt")
    assert [path for path in (tmp_path / "content").rglob("*") if path.is_file()] == []


def test_a_bucket_that_is_full_is_storage_full(store: ContentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    if store.folder is not None:
        pytest.skip("a folder has no bucket")

    def full(*_: Any, **__: Any) -> None:
        raise OSError("An error occurred (QuotaExceeded) when calling the PutObject operation")

    monkeypatch.setattr(store._fs, "put_file", full)
    with pytest.raises(StorageFull):
        store.put(b"hello", "a.txt")


def test_a_server_that_does_not_answer_may_be_asked_again(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    S3FileSystem.clear_instance_cache()  # fsspec keeps a client for each address
    with pytest.raises(ContentUnavailable) as caught:
        ContentStore(s3_url + "/away", max_bytes=1000).put(b"hello", "a.txt")
    assert caught.value.transient
    S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("url", ["nothing-speaks-this://x", "s3://"])
def test_an_address_that_cannot_be_used_names_the_setting(url: str) -> None:
    if url == "s3://":
        assert ContentStore(url, 1).folder is None
        return
    with pytest.raises(SettingsInvalid) as caught:
        ContentStore(url, 1)
    assert caught.value.subject == "PHIQ_CONTENT_URL"
