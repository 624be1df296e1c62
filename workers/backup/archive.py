"""The file that a backup is: a tar with a manifest as its last member, read without trusting it."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import io
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from workers.backup import manifest
from workers.backup.errors import BackupInvalid, BackupRefused
from workers.backup.manifest import Entry, Manifest
from workers.errors import StorageFull

_BLOCK = 1 << 20
_MANIFEST_BYTES = 256 * 1024 * 1024


class Writer:
    """Writes a backup beside its place; `finish` moves it there, whole. Readable by this user only.

    Args:
        target: The file; names ending in ``gz`` are compressed.
        force: Replace a file that is there.

    Raises:
        BackupRefused: something is there, or its folder is not.
        StorageFull: there is no room; also raised by the other methods.
    """

    def __init__(self, target: Path, *, force: bool = False) -> None:
        if target.exists() and (not force or not target.is_file()):
            raise BackupRefused(
                f"{target} is there already.",
                hint="Choose another name" + (" or add --force." if target.is_file() else "."),
                subject=str(target),
            )
        if not target.parent.is_dir():
            raise BackupRefused(
                f"The folder {target.parent} does not exist.", hint=f"mkdir -p {target.parent}", subject=str(target)
            )
        self._target = target
        self._temporary = target.with_name(f".{target.name}.unfinished")
        self.files: dict[str, Entry] = {}
        self._stack = contextlib.ExitStack()
        with disk_errors(target):
            self._temporary.unlink(missing_ok=True)
            handle = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._raw = self._stack.enter_context(os.fdopen(handle, "wb"))
            out: Any = self._raw
            if target.suffix in (".gz", ".tgz"):
                out = self._stack.enter_context(gzip.GzipFile(fileobj=self._raw, mode="wb", compresslevel=6))
            self._tar = self._stack.enter_context(tarfile.TarFile(fileobj=out, mode="w", format=tarfile.PAX_FORMAT))

    def add(self, name: str, source: IO[bytes]) -> Entry:
        """Add a file, read from its beginning to its end."""
        source.seek(0, os.SEEK_END)
        size = source.tell()
        source.seek(0)
        about = tarfile.TarInfo(name)
        about.size, about.mode = size, 0o600
        reading = _Hashing(source)
        with disk_errors(self._target):
            self._tar.addfile(about, reading)
        self.files[name] = Entry(size=size, sha256=reading.digest.hexdigest())
        return self.files[name]

    def finish(self, made: Manifest) -> None:
        """Add the manifest and put the file in its place."""
        text = made.model_copy(update={"files": self.files}).model_dump_json(indent=1).encode()
        about = tarfile.TarInfo(manifest.NAME)
        about.size, about.mode = len(text), 0o600
        with disk_errors(self._target):
            self._tar.addfile(about, io.BytesIO(text))
            self._tar.close()
            self._stack.close()
            with self._temporary.open("rb") as written:
                os.fsync(written.fileno())
            self._temporary.replace(self._target)

    def abandon(self) -> None:
        """Leave nothing behind; fine after `finish`."""
        with contextlib.suppress(OSError):
            self._stack.close()
        self._temporary.unlink(missing_ok=True)


class Reader:
    """Reads a backup that may come from anybody: nothing is unpacked by the names it gives.

    Raises:
        BackupInvalid: it is no backup, not whole, or not as its manifest says.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.manifest = self._check()

    def each(self, folder: str) -> Iterator[tuple[str, IO[bytes], int]]:
        """The files below a folder of the archive (or the one file of that name): name, contents, size."""
        with self._open() as tar:
            for member in self._members(tar):
                if member.name == folder or member.name.startswith(f"{folder}/"):
                    yield member.name, self._contents(tar, member), member.size

    def _check(self) -> Manifest:
        """Read the whole archive once: every file is there, as it was written, and nothing else is."""
        found: dict[str, Entry] = {}
        text = b""
        with self._open() as tar:
            for member in self._members(tar):
                if text:
                    raise self._bad("something follows its manifest")
                contents = self._contents(tar, member)
                if member.name == manifest.NAME:
                    text = contents.read(_MANIFEST_BYTES)
                    continue
                if member.name in found:
                    raise self._bad(f"{member.name[:80]} comes twice")
                digest = hashlib.sha256()
                while block := contents.read(_BLOCK):
                    digest.update(block)
                found[member.name] = Entry(size=member.size, sha256=digest.hexdigest())
        if not text:
            raise self._bad("it ends before its manifest")
        made = manifest.parse(text, str(self._path))
        if made.files != found:
            odd = sorted(name for name in {*made.files, *found} if made.files.get(name) != found.get(name))
            raise self._bad(f"{odd[0][:80]} is missing, changed or was never part of it")
        return made

    @contextlib.contextmanager
    def _open(self) -> Iterator[tarfile.TarFile]:
        try:
            with tarfile.open(self._path, "r:*") as tar:
                yield tar
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._bad(f"it can't be read ({error})") from error
        except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
            raise BackupInvalid(
                f"{self._path} can't be opened: {error.strerror}.", hint="Check the path.", subject=str(self._path)
            ) from error

    def _members(self, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        for member in tar:
            if (
                not member.isreg()
                or member.issparse()
                or not (member.name == manifest.NAME or manifest.allowed(member.name))
            ):
                raise self._bad(f"it holds {member.name[:80]!r}, which no backup does")
            yield member

    def _contents(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
        contents = tar.extractfile(member)
        assert contents is not None
        return contents

    def _bad(self, why: str) -> BackupInvalid:
        return BackupInvalid(
            f"{self._path} is no whole backup: {why}.",
            hint="Nothing was restored. Take another backup.",
            subject=str(self._path),
        )


class _Hashing:
    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        self.digest.update(block)
        return block


@contextlib.contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn a full or forbidden disk into our errors."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"There is no room for {target}.", hint="Free some disk space.", subject=str(target)
            ) from error
        raise BackupRefused(
            f"{target} can't be written: {error.strerror or error}.", hint="Choose another folder.", subject=str(target)
        ) from error


def spool() -> IO[bytes]:
    """A private temporary file for what is not yet known to be whole; gone when it is closed."""
    return tempfile.TemporaryFile(prefix="phiq-backup-")
