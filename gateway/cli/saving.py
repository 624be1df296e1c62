"""Writes files that came from elsewhere: by their last name only, beside what is there already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from gateway.cli.io import Io
from gateway.errors import InputMissing

if TYPE_CHECKING:
    from workers.jobs import JobRecord


def save_text(io: Io, name: str, record: JobRecord, folder: Path) -> None:
    """Write the text of a finished job into a folder, under the name of what it was made from.

    Raises:
        InputMissing: the folder can't be made or written to.
    """
    made = record.parsed_result()
    if made is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputMissing(
            f"The folder {folder} can't be made: {error.strerror}.", hint="Name another one.", subject=str(folder)
        ) from error
    plain = name if Path(name).suffix else "translation.txt"
    for path in save([(plain, made.text.encode("utf-8"))], folder):
        io.note(f"Written: {path}")


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
                    f"{path} can't be written: {error.strerror}.", hint="Name another folder."
                ) from error
            written.append(path)
            break
    return written
