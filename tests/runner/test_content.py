"""The content store keeps bytes by their hash, refuses what is too large, and notices damage."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from knowledge.errors import DocumentUnreadable
from workers.content import ContentStore
from workers.errors import ContentMissing, JobTooLarge


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(str(tmp_path / "content"), max_bytes=1000)


def test_what_is_put_comes_back(store: ContentStore) -> None:
    attachment = store.put(b"hello", "a.txt")
    assert attachment.ref == "sha256:" + hashlib.sha256(b"hello").hexdigest()
    assert (attachment.name, attachment.size) == ("a.txt", 5)
    assert store.get(attachment.ref) == b"hello"


def test_the_same_bytes_are_kept_once(store: ContentStore, tmp_path: Path) -> None:
    first = store.put(b"same", "a.txt")
    second = store.put(io.BytesIO(b"same"), "b.txt")
    assert first.ref == second.ref
    assert len([p for p in (tmp_path / "content").rglob("*") if p.is_file()]) == 1


def test_too_large_is_refused_while_reading_and_leaves_nothing(store: ContentStore, tmp_path: Path) -> None:
    class Endless(io.RawIOBase):
        read_so_far = 0

        def read(self, size: int = -1) -> bytes:
            self.read_so_far += size
            assert self.read_so_far < 10_000_000, "read on after the limit"
            return b"x" * size

    with pytest.raises(JobTooLarge) as caught:
        store.put(Endless(), "endless.bin")  # type: ignore[arg-type]
    assert caught.value.subject == "endless.bin"
    assert [p for p in (tmp_path / "content").rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("ref", ["", "sha256:..", "../../etc/passwd", "sha256:" + "0" * 64, "sha256:" + "Z" * 64])
def test_an_unknown_reference_is_a_clear_error(store: ContentStore, ref: str) -> None:
    with pytest.raises(ContentMissing):
        store.get(ref)


def test_damage_is_noticed(store: ContentStore, tmp_path: Path) -> None:
    attachment = store.put(b"precious", "a.txt")
    path = next(p for p in (tmp_path / "content").rglob("*") if p.is_file())
    path.write_bytes(b"rotten")
    with pytest.raises(ContentMissing, match="damaged"):
        store.get(attachment.ref)


def test_files_that_cannot_be_read_say_why(store: ContentStore, tmp_path: Path) -> None:
    with pytest.raises(DocumentUnreadable, match="does not exist"):
        store.put_file(tmp_path / "nowhere.txt")
    with pytest.raises(DocumentUnreadable, match="is a folder"):
        store.put_file(tmp_path)
