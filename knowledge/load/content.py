"""What a loader takes and gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from knowledge.types import Section

if TYPE_CHECKING:
    from PIL.Image import Image


class Content(NamedTuple):
    """What a loader finds; ``language`` and ``modified`` only as the file itself says them."""

    title: str
    sections: tuple[Section, ...]
    language: str = ""
    modified: datetime | None = None


@dataclass(frozen=True)
class Helpers:
    """What loaders use and this layer does not have.

    Attributes:
        read_page: The text in the picture (RGB) of a page; without it such pages are refused.
        detect: The language (ISO 639-1) of a text, empty where it can't be told for sure.
        stopped: Asked before each page that is read; when it says so, loading ends with :class:`LoadStopped`.
        depth: How many documents the one that is loaded lies in (an attachment of a mail: 1).
    """

    read_page: Callable[[Image], str] | None = None
    detect: Callable[[str], str] | None = None
    stopped: Callable[[], bool] = lambda: False
    depth: int = 0


class LoadStopped(Exception):
    """Raised when loading was stopped on the way.

    A signal, not an error: the file is as good as it was, and nothing is said of it.
    """
