"""A collection's word index as its store sees it: kept in step, and never the reason that a write or search fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from knowledge.errors import PhiqError, WordsUnavailable
from knowledge.types import Filters
from knowledge.words.client import Words
from knowledge.words.index import Entry
from knowledge.words.reconcile import reconcile

_log = logging.getLogger(__name__)
_REST = 5.0
"""Seconds for which a server that did not answer is left alone."""
_LOOK_EVERY = 30.0
_PATIENCE = 10.0


class Mirror:
    """What is written to Chroma is written here too, after it; whatever was missed is found by comparing.

    Args:
        words: The server.
        name: The collection's name in Chroma.
        there: Gets the ids that Chroma holds.
        fetch: Gets passages from Chroma by ids.
        count: Gets how many passages Chroma holds.
    """

    def __init__(
        self,
        words: Words,
        name: str,
        there: Callable[[], list[str]],
        fetch: Callable[[Sequence[str]], list[Entry]],
        count: Callable[[], int],
    ) -> None:
        self._words = words
        self._name = name
        self._there = there
        self._fetch = fetch
        self._count = count
        self._lock = threading.Lock()
        self._rests_until = 0.0
        self._looked_at = 0.0
        self._missed = False
        self._comparing: threading.Thread | None = None
        self._closed = False

    def put(self, entries: Sequence[Entry]) -> None:
        """Write passages that Chroma has."""
        self._try(lambda: self._words.put(self._name, entries))

    def remove(self, ids: Sequence[str]) -> None:
        """Take out passages that Chroma has no more."""
        self._try(lambda: self._words.remove(self._name, ids))

    def search(self, query: str, top_k: int, filters: Filters | None = None) -> list[str] | None:
        """The ids of the passages that hold the query's words, best first; None when the server does not answer."""
        if self._resting():
            return None
        try:
            found = self._words.search(self._name, query, top_k, filters)
        except WordsUnavailable as error:
            self._rest(error)
            return None
        if not found.checked or self._differs(found.count):
            self._compare_aside()
        return found.ids

    def sources(self, under: Sequence[str]) -> list[str] | None:
        """The sources that begin with one of these; None when the server does not answer, or may not know them all."""
        if self._resting():
            return None
        try:
            found = self._words.sources(self._name, under)
        except WordsUnavailable as error:
            self._rest(error)
            return None
        return found.sources if found.checked and found.count == self._count() else None

    def close(self) -> None:
        """Wait for a comparison that runs; its connections must not be closed under it, or opened again after that."""
        with self._lock:
            self._closed = True
            comparing = self._comparing
        if comparing is not None:
            comparing.join(_PATIENCE)

    def _compare_aside(self) -> None:
        with self._lock:
            if self._closed or (self._comparing is not None and self._comparing.is_alive()):
                return
            self._comparing = threading.Thread(target=self.compare, name="phiq-words", daemon=True)
            self._comparing.start()

    def compare(self) -> None:
        """Bring the index in step with Chroma, unless another does."""
        try:
            if self._words.claim(self._name):
                changed = reconcile(self._words, self._name, self._there, self._fetch)
                if changed:
                    _log.info("the word index %s was brought up to date: %d passages", self._name, changed)
        except PhiqError as error:
            _log.warning("the word index %s could not be compared with Chroma: %s", self._name, error.message)

    def _try(self, write: Callable[[], None]) -> None:
        # A server that rests is tried again by searches; a write that is left out is found by comparing.
        if self._resting():
            self._missed = True
            return
        try:
            if self._missed:
                self._words.mark(self._name, checked=False)
                self._missed = False
            write()
        except WordsUnavailable as error:
            self._missed = True
            self._rest(error)

    def _differs(self, count: int) -> bool:
        with self._lock:
            if time.monotonic() - self._looked_at < _LOOK_EVERY:
                return False
            self._looked_at = time.monotonic()
        return self._count() != count

    def _resting(self) -> bool:
        return time.monotonic() < self._rests_until

    def _rest(self, error: WordsUnavailable) -> None:
        if not self._resting():
            _log.warning("searches go on without the word index: %s", error.message)
        self._rests_until = time.monotonic() + _REST
