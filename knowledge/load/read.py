"""Read a file from disk, or say why not."""

from __future__ import annotations

from pathlib import Path

from knowledge.errors import DocumentTooLarge, DocumentUnreadable
from knowledge.load.limits import LoadLimits


def read_file(path: Path, limits: LoadLimits | None = None) -> bytes:
    """The bytes of a file.

    Raises:
        DocumentUnreadable: when it is missing, a folder, a device, or may not be read.
        DocumentTooLarge: before anything is read.
    """
    limits = limits or LoadLimits()
    try:
        if path.is_dir():
            raise DocumentUnreadable(f"{path} is a folder.", hint=f"phiq ingest {path}", subject=str(path))
        if path.exists() and not path.is_file():
            raise DocumentUnreadable(f"{path} is not a regular file.", subject=str(path))
        check_size(path.stat().st_size, str(path), limits.max_bytes)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DocumentUnreadable(
            f"There is no file {path}.", hint="Check the path; `ls` shows what is there.", subject=str(path)
        ) from error
    except PermissionError as error:
        raise DocumentUnreadable(
            f"{path} may not be read.", hint=f"chmod u+r {path}, or run as its owner.", subject=str(path)
        ) from error
    except OSError as error:
        raise DocumentUnreadable(f"{path} can't be read: {error.strerror or error}.", subject=str(path)) from error


def check_size(size: int, name: str, limit: int, what: str = "It") -> None:
    """Refuse what is above a limit.

    Raises:
        DocumentTooLarge: with both sizes.
    """
    if size > limit:
        raise DocumentTooLarge(
            f"{name} is too large: {what.lower()} has {size:,} bytes, the limit is {limit:,}.",
            hint="Split it, or raise PHIQ_MAX_FILE_BYTES.",
            subject=name,
            bytes=size,
            limit=limit,
        )
