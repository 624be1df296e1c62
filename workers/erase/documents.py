"""Documents that are meant: found, and deleted while no ingest writes to their collection."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import Any

from agents.errors import Interrupted
from knowledge.errors import PhiqError
from knowledge.keep import Keep, Kept
from workers.collection_lock import collection_lock
from workers.erase.find import Sources
from workers.erase.scope import Scope
from workers.ledger.scripts import redis_errors

_PATIENCE = 30.0
"""Seconds to wait for an ingest to leave a collection."""


@dataclass
class Meant:
    """The passages of one collection that go; ``whole``: the collection itself."""

    kept: Kept
    ids: list[str]
    whole: bool = False
    sources: set[str] = field(default_factory=set)


def find(keep: Keep, scope: Scope, sources: Sources = frozenset()) -> list[Meant]:
    """What of the tenant's documents is meant.

    Args:
        keep: The collections.
        scope: What is meant.
        sources: For a job: the documents it brought in.
    """
    found = []
    for kept in keep.collections(scope.tenant):
        if scope.collection not in (None, kept.collection):
            continue
        if scope.whole or (scope.collection is not None and scope.source is None):
            found.append(Meant(kept, keep.ids(kept), whole=True))
            continue
        wanted = {name for collection, name in sources if collection == kept.collection}
        if scope.source is not None:
            wanted.add(scope.source)
        ids = [one for name in sorted(wanted) for one in keep.ids(kept, {"source": name})]
        if scope.subject is not None:
            about = keep.sources(kept, {"subject": scope.subject})
            ids += list(about)
            wanted = set(about.values())
        if ids:
            found.append(Meant(kept, ids, sources=wanted))
    return found


def delete(keep: Keep, client: Any, prefix: str, meant: Meant) -> str:
    """Delete them; returns what kept it from being done, in words."""
    kept = meant.kept
    waiting = threading.Event()
    timer = threading.Timer(_PATIENCE, waiting.set)
    timer.daemon = True
    timer.start()
    try:
        with redis_errors(), contextlib.ExitStack() as stack:
            key = f"{prefix}:writer:{kept.tenant}:{kept.collection}"
            stack.enter_context(collection_lock(client, key, waiting))
            if meant.whole:
                keep.drop(kept)
            else:
                keep.remove(kept, meant.ids)
    except Interrupted:
        return f"collection {kept.collection}: an ingest writes to it; repeat the command when it is done"
    except PhiqError as error:
        return f"collection {kept.collection}: {error.message}"
    finally:
        timer.cancel()
    return ""
