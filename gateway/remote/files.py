"""Files to upload: opened anew for each try."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import IO

from knowledge.errors import DocumentUnreadable


def opener(file: Path | tuple[str, bytes]) -> tuple[str, Callable[[], IO[bytes]]]:
    """The name of a file, or of some bytes, and what opens it.

    What opens it raises `DocumentUnreadable` where the file is missing, a folder, or may not be read.
    """
    if isinstance(file, tuple):
        name, data = file
        return name, lambda: io.BytesIO(data)
    return file.name, lambda: _open(file)


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        reason = {
            FileNotFoundError: "does not exist",
            IsADirectoryError: "is a folder",
            PermissionError: "may not be read by this user",
        }.get(type(error), f"can't be read: {error.strerror}")
        raise DocumentUnreadable(
            f"{path} {reason}.", hint="Check the path and its permissions.", subject=str(path)
        ) from error
