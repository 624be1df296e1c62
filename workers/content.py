"""The content store: attachments and large payloads by the hash of their bytes, on disk or any fsspec address.

Jobs carry references, so that Redis holds no pictures and no files, and two workers on different machines read
the same bytes. Writing the same bytes twice is harmless; nothing is overwritten with something else.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from agents.contract import Attachment
from knowledge.errors import DocumentUnreadable
from workers.content_errors import extra_missing, storage_errors
from workers.errors import ContentMissing, JobTooLarge
from workers.settings import Settings

_REF = re.compile(r"^sha256:([0-9a-f]{64})$")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Stored:
    """What lies in the store: its reference, size in bytes, and when it was last put, in seconds since 1970."""

    ref: str
    size: int
    modified: float


class ContentStore:
    """Bytes by their SHA-256.

    Args:
        url: A folder or an fsspec address (``s3://bucket/folder`` needs the extra ``s3``).
        max_bytes: The largest attachment taken; enforced while reading, not after.

    Raises:
        SettingsInvalid: the address needs a library that is not installed, or is none.
    """

    def __init__(self, url: str, max_bytes: int) -> None:
        import fsspec
        from fsspec.implementations.local import LocalFileSystem

        self._fs: Any
        with extra_missing(url):
            self._fs, self._root = fsspec.core.url_to_fs(url)
        self._folder = Path(self._root) if isinstance(self._fs, LocalFileSystem) else None
        self._max = max_bytes
        self.url = url

    @property
    def folder(self) -> Path | None:
        """The folder it lies in; None when it is not on this machine's disk."""
        return self._folder

    def put(self, data: bytes | IO[bytes], name: str, limit: int | None = None) -> Attachment:
        """Store bytes, or a stream read to its end; on the disk for good before it returns.

        Args:
            data: What to store.
            name: What to call it in errors and in the attachment.
            limit: Bytes taken at most, in place of ``max_bytes``.

        Raises:
            JobTooLarge: above the limit.
            StorageFull: no room; nothing was kept.
            ContentUnavailable: the store does not answer.
        """
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        blocks = _bounded(stream, name, self._max if limit is None else limit)
        with storage_errors(name):
            digest, size = self._keep(blocks) if self._folder is not None else self._send(blocks)
        return Attachment(ref=f"sha256:{digest}", name=name, size=size)

    def put_file(self, path: Path) -> Attachment:
        """Store a file under its own name.

        Raises:
            DocumentUnreadable: when it is missing, a folder or not readable.
        """
        try:
            with path.open("rb") as stream:
                return self.put(stream, path.name)
        except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
            reason = {FileNotFoundError: "does not exist", IsADirectoryError: "is a folder"}.get(
                type(error), "may not be read by this user"
            )
            raise DocumentUnreadable(
                f"{path} {reason}.", hint="Check the path and its permissions.", subject=str(path)
            ) from error

    def get(self, ref: str) -> bytes:
        """The bytes behind a reference, checked against it.

        Raises:
            ContentMissing: not a reference, not there (any more), or damaged.
            ContentUnavailable: the store does not answer.
        """
        digest = _digest(ref)
        try:
            with storage_errors(ref):
                data: bytes = self._fs.cat_file(self._path(digest))
        except FileNotFoundError as error:
            raise _gone(ref) from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise _damaged(ref)
        return data

    def open(self, ref: str) -> IO[bytes]:
        """The bytes behind a reference as a stream that can be sought; not checked against it (`blocks` does).

        Raises:
            ContentMissing: not a reference, or not there (any more).
            ContentUnavailable: the store does not answer.
        """
        path = self._path(_digest(ref))
        try:
            with storage_errors(ref):
                if self._folder is not None:
                    return Path(path).open("rb")
                # Buffered by Python: fsspec's own files read a line without regard to its length.
                return io.BufferedReader(self._fs.open(path, "rb"))
        except FileNotFoundError as error:
            raise _gone(ref) from error

    def blocks(self, ref: str) -> Iterator[bytes]:
        """The bytes behind a reference, block by block, checked against it at the end.

        Raises:
            ContentMissing: not a reference, not there (any more), or damaged.
            ContentUnavailable: the store does not answer.
        """
        digest = hashlib.sha256()
        with self.open(ref) as stream:
            while True:
                with storage_errors(ref):
                    block = stream.read(_BLOCK)
                if not block:
                    break
                digest.update(block)
                yield block
        if digest.hexdigest() != _digest(ref):
            raise _damaged(ref)

    def delete(self, ref: str, put_before: float | None = None) -> bool:
        """Delete what a reference names; returns whether it was there.

        Args:
            ref: What to delete.
            put_before: Leave it when it was put (again) after this instant, in seconds since 1970.
        """
        path = self._path(_digest(ref))
        with storage_errors(ref), contextlib.suppress(FileNotFoundError):
            # Looked at in any case: S3 says yes to deleting what is not there.
            if self._modified(path) >= (put_before or float("inf")):
                return False
            self._fs.rm_file(path)
            return True
        return False

    def stored(self) -> Iterator[Stored]:
        """All that is in the store."""
        with storage_errors("content store"):
            for path, about in self._found():
                name = path.rsplit("/", 1)[-1]
                if _REF.match(f"sha256:{name}") and path == self._path(name):
                    size = int(about.get("size") or 0)
                    with contextlib.suppress(FileNotFoundError):
                        yield Stored(f"sha256:{name}", size, self._modified(path, about))

    def clear_unfinished(self, older_than: float) -> int:
        """Delete what uploads that broke off more than ``older_than`` seconds ago left; returns how many files."""
        removed = 0
        with storage_errors("content store"):
            for path, about in self._found():
                if path.startswith(f"{self._root}/incoming/"):
                    with contextlib.suppress(FileNotFoundError):
                        if self._modified(path, about) < time.time() - older_than:
                            self._fs.rm_file(path)
                            removed += 1
        return removed

    def owners(self, mine: str) -> list[str]:
        """The other installations that use this store; writes down that this one does.

        Args:
            mine: A name no other installation has.
        """
        with storage_errors("content store"):
            self._fs.makedirs(f"{self._root}/owners", exist_ok=True)
            self._fs.pipe_file(f"{self._root}/owners/{mine}", b"phiq")
        return [name for name in self.installations() if name != mine]

    def installations(self) -> list[str]:
        """The installations that have used this store; those that are gone too, until their files are deleted."""
        with storage_errors("content store"), contextlib.suppress(FileNotFoundError):
            self._fs.invalidate_cache()  # another machine may have written
            return sorted(str(path).rsplit("/", 1)[-1] for path in self._fs.find(f"{self._root}/owners"))
        return []

    def _keep(self, blocks: Iterator[bytes]) -> tuple[str, int]:
        """Write a file beside its place and move it there once it is whole and on the disk."""
        assert self._folder is not None
        incoming = self._folder / "incoming"
        incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = incoming / uuid.uuid4().hex
        digest, size = hashlib.sha256(), 0
        try:
            with temporary.open("xb") as out:
                for block in blocks:
                    digest.update(block)
                    size += out.write(block)
                out.flush()
                os.fsync(out.fileno())
            path = Path(self._path(digest.hexdigest()))
            path.parent.mkdir(mode=0o700, exist_ok=True)
            # Also when it is there already: the fresh file's time keeps the sweep away.
            temporary.replace(path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
        return digest.hexdigest(), size

    def _send(self, blocks: Iterator[bytes]) -> tuple[str, int]:
        """Upload under the name of the hash, which must be known first: an object can't be moved, only copied."""
        digest, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(prefix="phiq-") as spool:
            for block in blocks:
                digest.update(block)
                size += spool.write(block)
            spool.flush()
            path = self._path(digest.hexdigest())
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            self._fs.put_file(spool.name, path)
        return digest.hexdigest(), size

    def _found(self) -> Iterator[tuple[str, dict[str, Any]]]:
        self._fs.invalidate_cache()  # another machine may have written
        try:
            found: dict[str, dict[str, Any]] = self._fs.find(self._root, detail=True)
        except FileNotFoundError:
            return iter(())  # a bucket that nothing was put into yet
        return iter(found.items())

    def _modified(self, path: str, about: dict[str, Any] | None = None) -> float:
        """When a file was put; FileNotFoundError when it is gone."""
        if self._folder is not None:
            return Path(path).stat().st_mtime
        if about is None:
            self._fs.invalidate_cache()
        instant = (about or {}).get("LastModified") or self._fs.modified(path)
        return float(instant.timestamp())

    def _path(self, digest: str) -> str:
        return f"{self._root}/{digest[:2]}/{digest}"


def open_content(settings: Settings) -> ContentStore:
    """The content store these settings name."""
    return ContentStore(settings.content_url or str(settings.data_dir / "content"), settings.max_file_bytes)


def _digest(ref: str) -> str:
    match = _REF.match(ref)
    if match is None:
        raise ContentMissing(
            f"'{ref[:80]}' is no reference into the content store.", hint="Submit the file again.", subject=ref[:80]
        )
    return match[1]


def _gone(ref: str) -> ContentMissing:
    return ContentMissing(
        f"{ref[:19]}… is no longer in the content store.",
        hint="Submit the job again with its file; workers on other machines need the same PHIQ_CONTENT_URL.",
        subject=ref,
    )


def _damaged(ref: str) -> ContentMissing:
    return ContentMissing(
        f"{ref[:19]}… is damaged in the content store.", hint="Submit the job again with its file.", subject=ref
    )


def _bounded(stream: IO[bytes], name: str, limit: int) -> Iterator[bytes]:
    size = 0
    while block := stream.read(_BLOCK):
        size += len(block)
        if size > limit:
            raise JobTooLarge(
                f"{name} is larger than {limit:,} bytes.",
                hint="Split it, or raise PHIQ_MAX_FILE_BYTES.",
                subject=name,
                limit=limit,
            )
        yield block


def _sync(folder: Path) -> None:
    """Bring a folder's own entries to the disk: a file that was moved there could else be gone after a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
