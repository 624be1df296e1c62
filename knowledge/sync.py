"""Bring a collection up to date with files: only what changed is embedded."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Collection as Names
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from knowledge.collection import PENDING
from knowledge.errors import CollectionNotFound, DocumentEmpty, UserError
from knowledge.load.content import Helpers, LoadStopped
from knowledge.load.limits import LoadLimits
from knowledge.load.load import LOADER_VERSION, load
from knowledge.split import SPLITTER_VERSION, Split, split

if TYPE_CHECKING:
    from knowledge.collection import Collection
    from knowledge.embed.base import Embedder
    from knowledge.store import Store

_log = logging.getLogger(__name__)

# New passages that are embedded and written together: enough to fill the embedder's batches, and the step at which
# progress is told and a stop is heard.
_FLUSH = 128


@dataclass(frozen=True)
class LoadedFile:
    """A file to ingest.

    Attributes:
        source: Its identity in the collection (path or address).
        name: What it is called; the ending chooses the loader.
        data: Its bytes, or a function that gets them when their turn comes.
        about: What to write beside its passages, such as the mark by which a server knows the version of a page.
    """

    source: str
    name: str
    data: bytes | Callable[[], bytes] = field(repr=False)
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceReport:
    """What became of a source; ``error`` only where it failed (then an older version stays as it was)."""

    source: str
    status: Literal["added", "replaced", "unchanged", "deleted", "failed"]
    passages: int = 0
    error: UserError | None = None


@dataclass(frozen=True)
class Step:
    """A long document is being written: ``done`` of its ``total`` passages are."""

    source: str
    done: int
    total: int


@dataclass
class _Work:
    """A document that is not in the collection in this version."""

    source: str
    key: str
    splits: list[Split]
    stored: frozenset[str]
    reusable: frozenset[str]
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def new(self) -> list[Split]:
        return [part for part in self.splits if part.passage.id not in self.reusable]


def ingest(
    store: Store,
    collection: str,
    files: Iterable[LoadedFile],
    *,
    limits: LoadLimits | None = None,
    prune_under: str | None = None,
    keep: Names[str] = (),
    should_stop: Callable[[], bool] | None = None,
) -> Iterator[SourceReport]:
    """What :func:`ingest_steps` does, without the steps inside a document."""
    steps = ingest_steps(
        store, collection, files, limits=limits, prune_under=prune_under, keep=keep, should_stop=should_stop
    )
    for step in steps:
        if isinstance(step, SourceReport):
            yield step


def ingest_steps(
    store: Store,
    collection: str,
    files: Iterable[LoadedFile],
    *,
    limits: LoadLimits | None = None,
    prune_under: str | None = None,
    keep: Names[str] = (),
    should_stop: Callable[[], bool] | None = None,
    subject: str = "",
    helpers: Helpers | None = None,
) -> Iterator[Step | SourceReport]:
    """Load files into a collection, one report a file as it is done, and steps while a long one is written.

    A file that can't be loaded is reported and does not stop the others. A changed document's new passages are
    shown when all are written, and only then are its old ones deleted: a run that breaks off leaves the old version
    served, and is made whole by the next one.

    Args:
        store: Where to.
        collection: Made when the first document is written.
        files: Looked at one after the other, so they may be made on the way.
        limits: How much of a file is taken.
        prune_under: A folder or address (empty: all): stored sources below it which are neither in ``files`` nor
            in ``keep`` are deleted. Failed files count as there.
        keep: Sources that still exist.
        should_stop: When it says so, the run ends after what is being written; nothing is pruned.
        subject: Whose words the files hold; written beside each passage, so that they can be erased.
        helpers: What reads pictures of pages and tells languages.

    Raises:
        CollectionInvalid: when the name can't be used or another embedding model made the collection.
        StoreUnavailable: when Chroma's server fails; what was reported is written.
    """
    run = _Run(store, collection, limits or LoadLimits(), should_stop or (lambda: False), subject, helpers)
    seen: set[str] = set()
    for file in files:
        if run.stopped():
            break
        seen.add(file.source)
        yield from run.take(file)
    # A stop may mean that another writer has the collection now: what waits is left to the next run.
    if run.stopped():
        return
    yield from run.flush()
    if prune_under is not None and not run.stopped():
        yield from run.prune(prune_under, seen.union(keep))


class _Run:
    """The state of one ingest: the open collection, and documents waiting to be embedded together."""

    def __init__(
        self,
        store: Store,
        name: str,
        limits: LoadLimits,
        stopped: Callable[[], bool],
        subject: str = "",
        helpers: Helpers | None = None,
    ) -> None:
        self._store = store
        self._subject = subject
        self._name = name
        self._limits = limits
        self._helpers = replace(helpers or Helpers(), stopped=stopped)
        self.stopped = stopped
        self._waiting: list[_Work] = []
        self._collection: Collection | None
        try:
            self._collection = store.open(name)
        except CollectionNotFound:
            self._collection = None

    @property
    def _embedder(self) -> Embedder:
        """The collection's own; until there is one, that of new collections."""
        return self._collection.embedder if self._collection is not None else self._store.embedder

    def take(self, file: LoadedFile) -> Iterator[Step | SourceReport]:
        """Load a file; embed and write when enough has gathered. A source that comes twice counts as its last."""
        if any(work.source == file.source for work in self._waiting):
            yield from self.flush()
        try:
            work = self._prepare(file)
        except LoadStopped:
            return  # the run ends; the file is looked at anew by the next one
        except UserError as error:
            _log.info("not ingested: %s", error.code)
            yield SourceReport(file.source, "failed", error=error)
            return
        if isinstance(work, SourceReport):
            yield work
            return
        self._waiting.append(work)
        if sum(len(waiting.new) for waiting in self._waiting) >= _FLUSH:
            yield from self.flush()

    def flush(self) -> Iterator[Step | SourceReport]:
        """Write the documents that wait."""
        if not self._waiting:
            return
        self._collection = self._collection or self._store.create(self._name)
        waiting, self._waiting = self._waiting, []
        small = [work for work in waiting if len(work.new) <= _FLUSH]
        together = [part for work in small for part in work.new]
        vectors = self._embedder.embed_array([part.embed_text for part in together])
        at = 0
        for work in waiting:
            common = {
                "document": work.key,
                "passages": len(work.splits),
                "vectors": self._embedder.version,
                "subject": self._subject,
                "written": time.time(),
                PENDING: False,
                **work.about,
            }
            if len(work.new) <= _FLUSH:
                self._collection.put(work.new, vectors[at : at + len(work.new)], common)
                at += len(work.new)
            else:
                yield from self._write_long(self._collection, work, common)
                if self.stopped():
                    return
            late = work.new if len(work.new) > _FLUSH else []
            kept = [part for part in work.splits if part.passage.id in work.reusable]
            # The switch: what was written aside is shown from here on.
            self._collection.describe([*late, *kept], common)
            # A crash before this leaves the old version too; searches show the newer, and the next run mends it.
            self._collection.remove(sorted(work.stored - {part.passage.id for part in work.splits}))
            yield SourceReport(work.source, "replaced" if work.stored else "added", len(work.splits))

    def prune(self, under: str, keep: set[str]) -> Iterator[SourceReport]:
        """Delete stored sources below a folder or address that are gone."""
        if self._collection is None:
            return
        folder = under if under.endswith("/") or not under else f"{under}/"
        for source in sorted(self._collection.sources() - keep):
            if source == under or source.startswith(folder):
                ids = sorted(self._collection.passages_of(source))
                self._collection.remove(ids)
                yield SourceReport(source, "deleted", len(ids))

    def _prepare(self, file: LoadedFile) -> _Work | SourceReport:
        data = file.data if isinstance(file.data, bytes) else file.data()
        embedder = self._embedder
        key = _document_key(data, file.name, embedder)
        stored = self._collection.passages_of(file.source) if self._collection else {}
        if stored and all(
            about.get("document") == key
            and about.get("passages") == len(stored)
            and about.get("subject", "") == self._subject
            and not about.get(PENDING)
            for about in stored.values()
        ):
            return SourceReport(file.source, "unchanged", len(stored))
        document = load(data, file.name, file.source, self._limits, self._helpers)
        splits = split(document, embedder.count_tokens, embedder.max_tokens)
        if not splits:
            raise DocumentEmpty(f"{file.name} holds no words.", hint="Leave it out, or fill it.", subject=file.name)
        # An id says what was embedded; which embedder did it is written beside.
        same = {id_ for id_, about in stored.items() if about.get("vectors") == embedder.version}
        return _Work(
            file.source,
            key,
            splits,
            frozenset(stored),
            frozenset(same.intersection(part.passage.id for part in splits)),
            file.about,
        )

    def _write_long(self, collection: Collection, work: _Work, common: dict[str, object]) -> Iterator[Step]:
        """Write a document of many passages in steps, aside: until the last is written nobody finds any of them.

        It ends between two steps when it is stopped; what is there by then is taken over by the next run.
        """
        new, common = work.new, common | {PENDING: True}
        for at in range(0, len(new), _FLUSH):
            if self.stopped():
                return
            some = new[at : at + _FLUSH]
            collection.put(some, self._embedder.embed_array([part.embed_text for part in some]), common)
            yield Step(work.source, len(work.splits) - len(new) + at + len(some), len(work.splits))


def made_by(embedder: Embedder) -> str:
    """Changes whenever the same bytes would become other passages or vectors."""
    return f"{LOADER_VERSION}/{SPLITTER_VERSION}/{embedder.version}"


def _document_key(data: bytes, name: str, embedder: Embedder) -> str:
    """Changes whenever a document's passages or their vectors would."""
    parts = (hashlib.sha256(data).hexdigest(), name, LOADER_VERSION, SPLITTER_VERSION, embedder.version)
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
