"""What batches and files refer to in the content store; none of it may be swept away while they are there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from workers.ledger.scripts import Scripts, redis_errors

if TYPE_CHECKING:
    from workers.batches.store import Batches

_AT_ONCE = 500


def batch_refs(scripts: Scripts, beside: frozenset[str] = frozenset()) -> set[str]:
    """The references of all files, of inputs being read, of parts that were written, and of lines not submitted yet.

    Args:
        scripts: The ledger's.
        beside: Ids of batches and files to leave out.
    """
    client: Any = scripts.client
    found: set[str] = set()
    with redis_errors():
        for key in _keys(scripts, "HASH"):
            name = key.removeprefix(scripts.key("batch", ""))
            if name.rpartition(":")[2] in beside:
                continue
            if name.startswith("parts:"):
                for _, text in client.hscan_iter(key, count=_AT_ONCE):
                    part = json.loads(text)
                    found |= {part["output"], part["errors"]}
            elif not name.startswith("chunks:"):
                found |= {ref for ref in client.hmget(key, ["ref", "input_ref"]) if ref}
        for key in _keys(scripts, "SET"):
            if key.startswith(scripts.key("batch", "refs", "")) and key.rpartition(":")[2] not in beside:
                found |= set(client.sscan_iter(key, count=_AT_ONCE))
    return found - {""}


def refs_of(batches: Batches, batch_id: str) -> set[str]:
    """The references of one batch, without those of its files."""
    client: Any = batches.ledger.scripts.client
    with redis_errors():
        found = {client.hget(batches.key(batch_id), "input_ref") or ""}
        for text in client.hvals(batches.key("parts", batch_id)):
            part = json.loads(text)
            found |= {part["output"], part["errors"]}
        found |= set(client.smembers(batches.key("refs", batch_id)))
    return found - {""}


def _keys(scripts: Scripts, kind: str) -> Iterator[str]:
    yield from scripts.client.scan_iter(match=scripts.key("batch", "*"), count=_AT_ONCE, _type=kind)
