"""One collection's word index: a SQLite file with an FTS5 table, owned by one process."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from knowledge.types import Filters
from knowledge.words.terms import TERMS_VERSION, query_terms, terms

_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS passages (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, source TEXT NOT NULL, language TEXT NOT NULL, modified REAL
);
CREATE INDEX IF NOT EXISTS passages_source ON passages (source);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(terms, tokenize = 'unicode61 remove_diacritics 0');
CREATE VIRTUAL TABLE IF NOT EXISTS vocabulary USING fts5vocab(words, row);
"""
_LARGE = 10_000
"""Passages from which on words that most of them hold are not looked up beside others."""
_LANGUAGES = 8
"""Whose endings a query is looked up with, the most frequent first."""


@dataclass(frozen=True)
class Entry:
    """A passage as it is indexed; ``modified`` in seconds since 1970."""

    id: str
    text: str
    source: str
    language: str = ""
    modified: float | None = None


@dataclass(frozen=True)
class Hits:
    """The ids found, best first; how many passages the index holds; and whether it was compared with Chroma lately."""

    ids: list[str]
    count: int
    checked: bool


@dataclass(frozen=True)
class Sources:
    """Sources found; the rest as in `Hits`."""

    sources: list[str]
    count: int
    checked: bool


class WordIndex:
    """Safe between the threads of one process; no other process may open the file.

    Args:
        path: The file, made when it is not there. One of another version or a damaged one is begun anew.
        fresh: Seconds for which a comparison with Chroma counts; one before this process started does not.
    """

    def __init__(self, path: Path, fresh: float = 86400.0) -> None:
        self.path = path
        self._fresh = fresh
        self._lock = threading.Lock()
        self._checked_at: float | None = None
        self._claimed_until = 0.0
        self._languages: tuple[str, ...] | None = None
        self._holders: dict[str, int] = {}
        self._holders_of = 0
        try:
            self._open()
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
            self._open()

    def put(self, entries: Sequence[Entry]) -> None:
        """Write passages, replacing those of the same ids."""
        prepared = [(entry, " ".join(terms(entry.text, entry.language or "en"))) for entry in entries]
        with self._lock, self._database:
            self._remove([entry.id for entry in entries])
            for entry, words in prepared:
                cursor = self._database.execute(
                    "INSERT INTO passages (id, source, language, modified) VALUES (?, ?, ?, ?)",
                    (entry.id, entry.source, entry.language, entry.modified),
                )
                self._database.execute("INSERT INTO words (rowid, terms) VALUES (?, ?)", (cursor.lastrowid, words))
            self._languages = None

    def remove(self, ids: Sequence[str]) -> None:
        """Take passages out; ids that are not here do no harm."""
        with self._lock, self._database:
            self._remove(ids)
            self._languages = None

    def search(self, query: str, top_k: int, filters: Filters | None = None) -> Hits:
        """The passages that hold the query's words, by BM25, best first."""
        where, values = _where(filters or Filters())
        with self._lock:
            count = int(self._database.execute("SELECT count(*) FROM passages").fetchone()[0])
            telling = self._telling(query_terms(query, self._spoken()), count)
            wanted = " OR ".join(f'"{term}"' for term in telling)
            rows = []
            if wanted:
                rows = self._database.execute(
                    f"SELECT id FROM words JOIN passages ON number = words.rowid WHERE words MATCH ?{where} "  # noqa: S608 - made of our own words
                    "ORDER BY rank LIMIT ?",
                    (wanted, *values, top_k),
                ).fetchall()
            return Hits([row[0] for row in rows], count, self._is_checked())

    def sources(self, under: Sequence[str]) -> Sources:
        """The sources that begin with one of these."""
        found: set[str] = set()
        with self._lock:
            count = int(self._database.execute("SELECT count(*) FROM passages").fetchone()[0])
            for prefix in under:
                # A range, answered without looking at any other source; no text goes on with this letter.
                rows = self._database.execute(
                    "SELECT DISTINCT source FROM passages WHERE source >= ? AND source < ?",
                    (prefix, f"{prefix}\U0010ffff"),
                )
                found.update(row[0] for row in rows)
            return Sources(sorted(found), count, self._is_checked())

    def ids(self) -> list[str]:
        """All ids, in no order."""
        with self._lock:
            return [row[0] for row in self._database.execute("SELECT id FROM passages")]

    def claim(self, seconds: float = 60.0) -> bool:
        """Whether the asker may compare the index with Chroma: one at a time, and again after ``seconds``."""
        with self._lock:
            if time.monotonic() < self._claimed_until:
                return False
            self._claimed_until = time.monotonic() + seconds
            return True

    def checked(self) -> None:
        """Note that the index holds what Chroma holds."""
        self._checked_at = time.monotonic()
        self._claimed_until = 0.0

    def unchecked(self) -> None:
        """Note that it may not."""
        self._checked_at = None

    def compact(self) -> None:
        """Write the file anew without what was taken out."""
        with self._lock:
            self._database.execute("PRAGMA secure_delete = ON")
            self._database.execute("INSERT INTO words (words) VALUES ('optimize')")
            self._database.commit()
            self._database.execute("VACUUM")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def delete(self) -> None:
        """Close the file and delete it."""
        self.close()
        for path in (self.path, *(self.path.with_name(f"{self.path.name}-{part}") for part in ("wal", "shm"))):
            path.unlink(missing_ok=True)

    def _open(self) -> None:
        # Serialised by our lock; the server's threads take turns.
        self._database = sqlite3.connect(self.path, check_same_thread=False, timeout=10.0)
        self._database.execute("PRAGMA journal_mode = WAL")
        # A lost write is found by comparing with Chroma, as a restart always does.
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_SCHEMA)
        known = self._database.execute("SELECT value FROM about WHERE name = 'terms'").fetchone()
        if known is not None and known[0] != TERMS_VERSION:
            self._database.executescript("DELETE FROM passages; DELETE FROM words;")
        self._database.execute("INSERT OR REPLACE INTO about VALUES ('terms', ?)", (TERMS_VERSION,))
        self._database.commit()

    def _remove(self, ids: Iterable[str]) -> None:
        for number in self._numbers(ids):
            self._database.execute("DELETE FROM words WHERE rowid = ?", (number,))
            self._database.execute("DELETE FROM passages WHERE number = ?", (number,))

    def _numbers(self, ids: Iterable[str]) -> Iterator[int]:
        for id_ in ids:
            row = self._database.execute("SELECT number FROM passages WHERE id = ?", (id_,)).fetchone()
            if row is not None:
                yield int(row[0])

    def _spoken(self) -> tuple[str, ...]:
        if self._languages is None:
            rows = self._database.execute(
                "SELECT language FROM passages GROUP BY language ORDER BY count(*) DESC LIMIT ?", (_LANGUAGES,)
            )
            self._languages = tuple(dict.fromkeys(row[0] or "en" for row in rows))
        return self._languages

    def _telling(self, found: list[str], count: int) -> list[str]:
        """Without the terms that more than half of a large index's passages hold.

        BM25 gives them no weight, and to rank all who hold them takes most of a search's time. What is known of how
        many that are is asked anew when the index has changed by a tenth.
        """
        if count < _LARGE:
            return found
        if abs(count - self._holders_of) > self._holders_of // 10:
            self._holders, self._holders_of = {}, count
        for term in found:
            if term not in self._holders:
                row = self._database.execute("SELECT doc FROM vocabulary WHERE term = ?", (term,)).fetchone()
                self._holders[term] = int(row[0]) if row else 0
        return [term for term in found if 2 * self._holders[term] <= count] or found

    def _is_checked(self) -> bool:
        return self._checked_at is not None and time.monotonic() - self._checked_at < self._fresh


def _where(filters: Filters) -> tuple[str, list[object]]:
    clauses: list[str] = []
    values: list[object] = []
    if filters.languages:
        clauses.append(f"language IN ({', '.join('?' * len(filters.languages))})")
        values += filters.languages
    if filters.under:
        # Not LIKE: % and _ are letters of sources.
        clauses.append("(" + " OR ".join(["substr(source, 1, ?) = ?"] * len(filters.under)) + ")")
        values += [part for prefix in filters.under for part in (len(prefix), prefix)]
    for moment, sign in ((filters.since, ">="), (filters.until, "<=")):
        if moment is not None:
            clauses.append(f"modified {sign} ?")
            values.append(moment.timestamp())
    return "".join(f" AND {clause}" for clause in clauses), values
