"""Folders that work asked for over HTTP may read and write."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from knowledge.errors import UserError
from workers.settings import Settings

_SIGNS = "*?["


class FolderRefused(UserError):
    """Raised when a path is named over HTTP that doesn't lie below a folder which the settings open for it."""

    code = "folder_refused"


def check_roots(settings: Settings, paths: Iterable[str]) -> None:
    """Refuse paths that lead out of the folders in PHIQ_BATCH_ROOTS, through links too.

    Raises:
        FolderRefused: naming the first one. It does not say whether there is anything.
    """
    roots = [Path(root).resolve() for root in settings.batch_roots.split(os.pathsep) if root.strip()]
    for text in paths:
        if not roots:
            raise FolderRefused(
                f"Folders of this machine can't be named over HTTP ({text[:200]!r}).",
                hint="Set PHIQ_BATCH_ROOTS to the folders that may be, or use `phiq` on the machine itself.",
            )
        if not _inside(text, roots):
            raise FolderRefused(
                f"{text[:200]!r} is no path of a file or folder that may be used over HTTP.",
                hint="Give whole paths, without patterns, below a folder in PHIQ_BATCH_ROOTS.",
            )


def _inside(text: str, roots: list[Path]) -> bool:
    path = Path(text)
    if "\0" in text or not path.is_absolute() or any(sign in text for sign in _SIGNS):
        return False
    try:
        real = path.resolve()
    except (OSError, RuntimeError):  # too long; a circle of links
        return False
    return any(real.is_relative_to(root) for root in roots)
