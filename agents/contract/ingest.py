"""Documents on their way into a collection."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from agents.contract.base import Attachment, Input, Result, Text
from knowledge.types import Frozen


class IngestFile(Attachment):
    """A file to ingest; ``source`` is its identity in the collection (its path or address)."""

    source: Text


class IngestInput(Input):
    """Load files into a collection; with ``prune_under`` delete what is gone.

    ``keep`` lists every source that still exists under ``prune_under`` (those in ``files`` need not be repeated).
    """

    files: list[IngestFile] = Field(default_factory=list)
    collection: str = "default"
    prune_under: str | None = Field(default=None, description="source prefix: stored sources below it not kept go")
    keep: list[str] = Field(default_factory=list)


class FileReport(Frozen):
    """What became of one file."""

    source: str
    status: Literal["added", "replaced", "unchanged", "deleted", "failed"]
    passages: int = 0
    error: dict[str, Any] | None = None


class IngestResult(Result):
    """What became of each file."""

    collection: str = "default"
    files: list[FileReport] = Field(default_factory=list)
