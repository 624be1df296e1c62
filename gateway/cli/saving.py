"""Writes files that came from elsewhere: by their last name only, beside what is there already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from gateway.errors import InputMissing


def save(files: Sequence[tuple[str, bytes]], folder: Path) -> list[Path]:
    """Write files into a folder; a name that is taken gets a number. Returns their paths.

    Raises:
        InputMissing: the folder can't be written to.
    """
    written = []
    for name, data in files:
        plain = PurePosixPath(name.replace("\\", "/")).name.replace("\0", "").lstrip(".") or "file"
        stem, suffix = Path(plain).stem[:150], Path(plain).suffix[:20]
        for number in range(1, 10_000):
            path = folder / (f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}")
            try:
                with path.open("xb") as out:
                    out.write(data)
            except FileExistsError:
                continue
            except OSError as error:
                raise InputMissing(
                    f"{path} can't be written: {error.strerror}.", hint="Name another folder with --to."
                ) from error
            written.append(path)
            break
    return written
