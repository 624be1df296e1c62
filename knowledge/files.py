"""The files that paths, folders and patterns stand for."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from knowledge.errors import DocumentUnreadable


def expand(arguments: Iterable[str], suffixes: Iterable[str]) -> tuple[list[Path], list[Path]]:
    """The files that paths, folders and patterns stand for, and the folders among them.

    From folders and patterns only kinds with one of ``suffixes`` are taken, hidden ones never; a file named by
    itself is always taken, so that its error is told.

    Raises:
        DocumentUnreadable: when an argument stands for nothing.
    """
    known = {suffix.lower() for suffix in suffixes}
    files: dict[Path, None] = {}
    folders: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            folders.append(path.resolve())
            found = [file for file in sorted(path.rglob("*")) if _wanted(file, path, known)]
        elif path.exists():
            found = [path]
        else:
            matches = (Path(match) for match in sorted(glob.glob(argument, recursive=True)))  # noqa: PTH207 - any root
            found = [file for file in matches if file.is_file() and file.suffix.lower() in known]
            if not found:
                raise DocumentUnreadable(f"There is no file or folder {argument}.", hint="ls", subject=argument)
        files.update(dict.fromkeys(file.resolve() for file in found))
    return list(files), folders


def _wanted(file: Path, root: Path, known: set[str]) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
    return not hidden and file.suffix.lower() in known and file.is_file()
