"""The content store: attachments by the hash of their bytes, on disk or any fsspec address.

Jobs carry references, so that Redis holds no pictures and no files, and two workers on different machines read
the same bytes. Writing the same bytes twice is harmless; nothing is overwritten with something else.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from agents.contract import Attachment
from knowledge.errors import DocumentUnreadable, ServiceError
from workers.errors import ContentMissing, JobTooLarge, StorageFull
from workers.settings import Settings

_REF = re.compile(r"^sha256:([0-9a-f]{64})$")
_BLOCK = 1 << 20


class ContentStore:
    """Bytes by their SHA-256.

    Args:
        url: A folder or an fsspec address (``s3://…`` needs the library that speaks it).
        max_bytes: The largest attachment taken; enforced while reading, not after.
    """

    def __init__(self, url: str, max_bytes: int) -> None:
        import fsspec

        self._fs: Any
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._max = max_bytes

    def put(self, data: bytes | BinaryIO, name: str) -> Attachment:
        """Store bytes, or a stream read to its end.

        Raises:
            JobTooLarge: above ``max_bytes``.
            StorageFull: no room; nothing was kept.
        """
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        temporary = f"{self._root}/incoming/{uuid.uuid4().hex}"
        digest = hashlib.sha256()
        size = 0
        with _storage_errors(name):
            self._fs.makedirs(f"{self._root}/incoming", exist_ok=True)
            try:
                with self._fs.open(temporary, "wb") as out:
                    while block := stream.read(_BLOCK):
                        size += len(block)
                        if size > self._max:
                            raise JobTooLarge(
                                f"{name} is larger than {self._max:,} bytes.",
                                hint="Split it, or raise PHIQ_MAX_FILE_BYTES.",
                                subject=name,
                                limit=self._max,
                            )
                        digest.update(block)
                        out.write(block)
                path = self._path(digest.hexdigest())
                self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
                # Also when it is there already: the fresh file's time keeps the sweep away.
                self._fs.mv(temporary, path)
            finally:
                with contextlib.suppress(OSError):
                    if self._fs.exists(temporary):
                        self._fs.rm_file(temporary)
        return Attachment(ref=f"sha256:{digest.hexdigest()}", name=name, size=size)

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
        """
        match = _REF.match(ref)
        if match is None:
            raise ContentMissing(
                f"'{ref[:80]}' is no reference into the content store.", hint="Submit the file again.", subject=ref[:80]
            )
        try:
            with _storage_errors(ref):
                data: bytes = self._fs.cat_file(self._path(match[1]))
        except FileNotFoundError as error:
            raise ContentMissing(
                f"The attachment {ref[:19]}… is no longer in the content store.",
                hint="Submit the job again with its file; workers on other machines need the same PHIQ_CONTENT_URL.",
                subject=ref,
            ) from error
        if hashlib.sha256(data).hexdigest() != match[1]:
            raise ContentMissing(
                f"The attachment {ref[:19]}… is damaged in the content store.",
                hint="Submit the job again with its file.",
                subject=ref,
            )
        return data

    def sweep(self, older_than: float) -> int:
        """Delete what was stored more than ``older_than`` seconds ago; returns how many files went."""
        removed = 0
        limit = time.time() - older_than
        with _storage_errors("content store"):
            for path in self._fs.find(self._root):
                if self._fs.modified(path).timestamp() < limit:
                    with contextlib.suppress(FileNotFoundError):
                        self._fs.rm_file(path)
                        removed += 1
        return removed

    def _path(self, digest: str) -> str:
        return f"{self._root}/{digest[:2]}/{digest}"


def open_content(settings: Settings) -> ContentStore:
    """The content store these settings name."""
    return ContentStore(settings.content_url or str(settings.data_dir / "content"), settings.max_file_bytes)


@contextlib.contextmanager
def _storage_errors(subject: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, IsADirectoryError):
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"No room left in the content store for {subject}.",
                hint="Free disk space, or point PHIQ_CONTENT_URL elsewhere; nothing was accepted and nothing lost.",
                subject=subject,
            ) from error
        raise ServiceError(
            f"The content store can't be used: {error.strerror or error}.",
            hint="Check PHIQ_CONTENT_URL and the permissions of PHIQ_DATA_DIR (`phiq doctor`).",
            subject=subject,
        ) from error
