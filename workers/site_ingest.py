"""Brings a collection up to date with a website: the visit on one side, the collection's writer on the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from agents.contract import Chunk, FileReport, IngestResult, Progress
from knowledge.errors import CollectionNotFound

if TYPE_CHECKING:
    from agents.contract import Site
    from knowledge.load.limits import LoadLimits
    from knowledge.site import Found, Known
    from knowledge.site.urls import Scope
    from knowledge.store import Store
    from workers.settings import Settings

_PAGES = 16
_BYTES = 8_000_000
"""Pages that are written together, and of how many bytes: what is read is safe soon, and the lock is held briefly."""

Lock = Callable[[], AbstractContextManager[threading.Event]]


class SiteIngest:
    """One visit to a site.

    Args:
        settings: Bounds, and which addresses are allowed.
        store: The tenant's.
        collection: Where to.
        site: What was asked.
        lock: Takes the collection for writing; its event says when it was lost.
        stop: Ends the visit.
        subject: Whose words the pages hold.
        limits: How much of a page is taken.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        collection: str,
        site: Site,
        *,
        lock: Lock,
        stop: threading.Event,
        subject: str,
        limits: LoadLimits,
    ) -> None:
        self._settings = settings
        self._store = store
        self._collection = collection
        self._site = site
        self._lock = lock
        self._stop = stop
        self._subject = subject
        self._limits = limits
        self._reports: list[FileReport] = []
        self._there: set[str] = set()

    def run(self) -> Iterator[Chunk]:
        """Progress a page, then the result.

        Raises:
            SiteRefused, SiteUnreachable, AddressRefused: as `knowledge.site.crawl`.
        """
        from knowledge.addresses import Rules
        from knowledge.site import Found, Missed, Same, SiteLimits, Skipped, Tried, crawl
        from knowledge.site.crawl import Visit
        from knowledge.site.urls import Scope

        settings, asked = self._settings, self._site
        scope = Scope.of(asked.url)
        known = self._known(scope)
        visit, skipped = Visit(), 0
        limits = SiteLimits(
            pages=asked.max_pages,
            depth=asked.depth,
            page_bytes=min(settings.site_page_bytes, settings.max_file_bytes),
            total_bytes=settings.site_bytes,
            seconds=settings.site_seconds,
            delay=settings.site_delay,
        )
        waiting: list[Found] = []
        yield Chunk(progress=Progress(done=0, note=f"looking for the pages of {asked.url}"))
        for seen in crawl(
            asked.url,
            rules=Rules.parse(settings.site_allow, plain=True, setting="PHIQ_SITE_ALLOW"),
            visit=visit,
            limits=limits,
            known=known,
            should_stop=self._stop.is_set,
        ):
            match seen:
                case Found():
                    self._there.add(seen.source)
                    waiting.append(seen)
                    if len(waiting) >= _PAGES or sum(len(page.data) for page in waiting) >= _BYTES:
                        yield from self._write(waiting, scope)
                        waiting = []
                case Same():
                    self._there.add(seen.source)
                    self._reports.append(FileReport(source=seen.source, status="unchanged"))
                case Missed():
                    self._there |= set() if seen.gone else {seen.source}
                    self._reports.append(FileReport(source=seen.source, status="failed", error=seen.error.to_dict()))
                case Skipped():
                    skipped += 1
                case Tried():
                    yield Chunk(progress=Progress(done=seen.done, total=seen.total, note=seen.url))
        yield from self._write(waiting, scope)
        if asked.prune and visit.whole and not self._stop.is_set():
            self._prune(scope)
        notes = [*visit.notes]
        if skipped:
            notes.append(f"{skipped} addresses were left out: shut by the site, doubles, or no documents.")
        if asked.prune and not visit.whole:
            notes.append("Not all pages were looked at, so no stored page was forgotten.")
        yield Chunk(result=IngestResult(collection=self._collection, files=self._reports, notes=notes))

    def _known(self, scope: Scope) -> dict[str, Known]:
        """What is stored of the site, by the address it was asked at; only what is whole and would become the same."""
        from knowledge.site import Known
        from knowledge.sync import made_by

        try:
            collection = self._store.open(self._collection)
        except CollectionNotFound:
            return {}
        maker = made_by(self._store.embedder)
        stored: dict[str, list[Mapping[str, Any]]] = {}
        for about in collection.about(site=_name(scope)):
            stored.setdefault(str(about["source"]), []).append(about)
        known = {}
        for source, parts in stored.items():
            first = parts[0]
            # A run that broke off may have left half a page, or two versions: those are asked for in whole.
            versions = {(part.get("document"), part.get("made_by"), part.get("subject", "")) for part in parts}
            if versions == {(first.get("document"), maker, self._subject)} and first.get("passages") == len(parts):
                etag, served = str(first.get("etag", "")), str(first.get("served", ""))
                known[str(first["asked"])] = Known(source=source, etag=etag, modified=served)
        return known

    def _write(self, pages: list[Found], scope: Scope) -> Iterator[Chunk]:
        from knowledge.sync import LoadedFile, Step, ingest_steps, made_by
        from workers.reading import helpers

        if not pages:
            return
        maker = made_by(self._store.embedder)
        files = [
            LoadedFile(
                page.source,
                page.name,
                page.data,
                {
                    "site": _name(scope),
                    "asked": page.asked,
                    "made_by": maker,
                    **({"etag": page.etag} if page.etag else {}),
                    **({"served": page.modified} if page.modified else {}),
                },
            )
            for page in pages
        ]
        with self._lock() as lost:
            for step in ingest_steps(
                self._store,
                self._collection,
                files,
                limits=self._limits,
                should_stop=lambda: self._stop.is_set() or lost.is_set(),
                subject=self._subject,
                helpers=helpers(),
            ):
                if isinstance(step, Step):
                    note = f"{step.source}: {step.done} of {step.total} passages"
                    yield Chunk(progress=Progress(done=len(self._there), note=note))
                else:
                    error = step.error.to_dict() if step.error else None
                    self._reports.append(
                        FileReport(source=step.source, status=step.status, passages=step.passages, error=error)
                    )

    def _prune(self, scope: Scope) -> None:
        """Forget stored pages of the site that were not there any more."""
        try:
            collection = self._store.open(self._collection)
        except CollectionNotFound:
            return
        with self._lock() as lost:
            stored = {str(about["source"]) for about in collection.about(site=_name(scope))}
            for source in sorted(stored - self._there):
                if lost.is_set() or self._stop.is_set():
                    return
                if scope.has(source):
                    ids = sorted(collection.passages_of(source))
                    collection.remove(ids)
                    self._reports.append(FileReport(source=source, status="deleted", passages=len(ids)))


def _name(scope: Scope) -> str:
    """What a site's passages are marked with: its host, so that a folder of it is part of it."""
    return scope.host
