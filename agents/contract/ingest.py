"""Documents on their way into a collection."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from agents.contract.base import Attachment, Input, Result, Since, Text, unused
from knowledge.types import Frozen


class IngestFile(Attachment):
    """A file to ingest; ``source`` is its identity in the collection (its path or address)."""

    source: Text


class Site(Input):
    """A website to ingest: by its sitemaps where it has any, else along its links.

    Pages below the folder of ``url`` are taken. What its robots.txt shuts is left, and its crawl-delay kept.
    """

    url: str = Field(min_length=1, max_length=2048, description="of the site, a folder of it, or a sitemap")
    max_pages: int = Field(default=1000, ge=1, le=100_000, description="pages taken at most")
    depth: int = Field(default=3, ge=0, le=20, description="links from the first page, where there is no sitemap")
    prune: bool = Field(default=True, description="forget stored pages that are gone, once all were looked at")


class IngestInput(Input):
    """Load files, or a site, into a collection; with ``prune_under`` delete what is gone.

    ``keep`` lists every source that still exists under ``prune_under`` (those in ``files`` need not be repeated).
    """

    files: list[IngestFile] = Field(default_factory=list)
    collection: str = "default"
    prune_under: str | None = Field(default=None, description="source prefix: stored sources below it not kept go")
    keep: list[str] = Field(default_factory=list)
    site: Annotated[Site | None, Since(4)] = Field(
        default=None, exclude_if=unused, description="a website, in place of files"
    )

    reembed: Annotated[bool, Since(4)] = Field(
        default=False,
        exclude_if=unused,
        description="in place of files: give what is in the collection vectors of the worker's embedding model",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> IngestInput:
        if self.reembed and (self.site or self.files or self.keep or self.prune_under is not None):
            raise ValueError("reembed comes without files, site, prune_under and keep")
        if self.site is not None and (self.files or self.keep or self.prune_under is not None):
            raise ValueError("a site comes without files, prune_under and keep")
        return self


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
