"""Takes out of the content store what no record refers to any more."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from workers.ledger.refs import installation, marked
from workers.ledger.scripts import Scripts
from workers.payloads import Payloads

log = logging.getLogger(__name__)

GRACE = 86400.0
"""Seconds that a file may lie there without a job: attaching comes before submitting."""


@dataclass(frozen=True)
class Swept:
    """What one sweep did. ``shared``: other installations use the store, so nothing was deleted."""

    files: int = 0
    bytes: int = 0
    unfinished: int = 0
    shared: tuple[str, ...] = ()


def sweep(scripts: Scripts, payloads: Payloads, older_than: float = GRACE) -> Swept:
    """Delete what was put more than ``older_than`` seconds ago and no record refers to.

    A waiting, delayed or running job, and a dead letter, are records like any other: what they need stays. A file
    that is put again meanwhile stays too, since its time is looked at once more before it goes. Whoever calls this
    holds the `keeping_lock`: a backup or an erase relies on what is there.

    Raises:
        RedisUnavailable, ContentUnavailable: nothing more is deleted; the next sweep goes on.
    """
    store = payloads.store
    others = store.owners(installation(scripts))
    if others:
        # Their jobs can't be seen from here: what looks forgotten may be theirs.
        log.warning(
            "the content store %s is not swept: %d other installations use it. When they are gone, delete their "
            "files in its folder owners: %s",
            store.url,
            len(others),
            ", ".join(others[:5]),
        )
        return Swept(shared=tuple(others))
    limit = time.time() - older_than
    # First the files, then the records: what is attached to a new job in between is not among these files.
    old = {found.ref: found.size for found in store.stored() if found.modified < limit}
    unfinished = store.clear_unfinished(max(older_than, 60.0))
    if not old:
        return Swept(unfinished=unfinished)
    used = marked(scripts, payloads)
    gone = [ref for ref in old if ref not in used and store.delete(ref, put_before=limit)]
    if gone:
        log.info("content store: %d files that no job needs are gone", len(gone))
    return Swept(len(gone), sum(old[ref] for ref in gone), unfinished)
