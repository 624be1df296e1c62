"""Taking deleted words out of Chroma's file: its server deletes rows, but what stood in them stays on the disk."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from knowledge.errors import StoreUnavailable

_FILE = "chroma.sqlite3"
_PATIENCE = 60.0
"""Seconds to wait for the server to leave the file alone."""

# The queue in which Chroma writes before its index holds each passage's words until the index was written out, which
# for a small collection is never. Entries of passages that were deleted later are of no use to anybody; the entries
# that delete them stay (they hold no words), in case the index on the disk still has the passage's vector.
_DELETE = 3
_FORGET = (
    "DELETE FROM embeddings_queue WHERE operation != ? AND EXISTS (SELECT 1 FROM embeddings_queue AS later WHERE "
    "later.topic = embeddings_queue.topic AND later.id = embeddings_queue.id AND later.operation = ? "
    "AND later.seq_id > embeddings_queue.seq_id)"
)
_ORPHANS = (
    "DELETE FROM embeddings_queue WHERE NOT EXISTS "
    "(SELECT 1 FROM collections WHERE embeddings_queue.topic LIKE '%/' || collections.id)"
)
_MERGE = "INSERT INTO embedding_fulltext_search(embedding_fulltext_search) VALUES ('optimize')"


def compact(folder: Path) -> int:
    """Write Chroma's file anew without what was deleted, also while its server runs; returns the bytes it shrank by.

    Args:
        folder: The server's data folder.

    Raises:
        StoreUnavailable: the file can't be opened, is in use for too long, or there is no room for the new one.
    """
    path = folder / _FILE
    if not path.is_file():
        return 0
    before = path.stat().st_size
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)) as database:
            # What is deleted is overwritten, so that the disk's own free blocks do not keep it either.
            database.execute("PRAGMA secure_delete = ON")
            database.execute(_FORGET, (_DELETE, _DELETE))
            database.execute(_ORPHANS)
            database.execute(_MERGE)
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"Chroma's file {path} can't be written anew: {error}.",
            hint="Repeat the command when no document is being ingested; it needs as much free disk as the file has.",
            subject=str(path),
        ) from error
    return max(0, before - path.stat().st_size)


if __name__ == "__main__":
    import sys

    sys.stdout.write(f"{compact(Path(sys.argv[1])):,} bytes smaller\n")
