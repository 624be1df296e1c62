"""The data folder: made, private, writable, with room."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from workers.errors import StackFailed, StorageFull

NEEDED_BYTES = 64 * 1024 * 1024
"""Below this nothing is started: Redis ends when it can't write its file."""
_LOG_BYTES = 10 * 1024 * 1024
_FOLDERS = ("run", "logs", "redis", "chroma")


def prepare(data_dir: Path) -> None:
    """Make the folders of a stack, for this user only.

    Raises:
        StackFailed: the folder can't be made or written.
        StorageFull: there is no room.
    """
    try:
        for name in _FOLDERS:
            (data_dir / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = data_dir / "run" / "probe"
        probe.write_bytes(b"phiq")
        probe.unlink()
        free = shutil.disk_usage(data_dir).free
    except OSError as error:
        raise storage_error(error, data_dir) from error
    if free < NEEDED_BYTES:
        raise _full(data_dir, f"only {free // 1_000_000} MB are free")


def storage_error(error: OSError, data_dir: Path) -> StackFailed | StorageFull:
    """Our error for one of the file system's."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(data_dir, error.strerror or "the disk is full")
    return StackFailed(
        f"The data folder {data_dir} can't be used: {error.strerror or error}.",
        hint="Give this user a folder it may write: export PHIQ_DATA_DIR=…",
        subject=str(data_dir),
    )


def log_file(data_dir: Path, name: str) -> Path:
    """Where a part logs. A long log of earlier runs is set aside; one earlier generation is kept."""
    log = data_dir / "logs" / f"{name}.log"
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    return log


def _full(data_dir: Path, reason: str) -> StorageFull:
    return StorageFull(
        f"There is no room for phiq's data in {data_dir}: {reason}.",
        hint="Free some disk space, or set PHIQ_DATA_DIR to a folder on a larger disk.",
        subject=str(data_dir),
    )
