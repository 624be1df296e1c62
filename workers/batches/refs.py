"""What batches and files refer to in the content store; none of it may be swept away while they are there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from workers.ledger.scripts import Scripts, redis_errors

_AT_ONCE = 500


def batch_refs(scripts: Scripts) -> set[str]:
    """The references of all files, of inputs being read, of parts that were written, and of lines not submitted yet."""
    client: Any = scripts.client
    found: set[str] = set()
    with redis_errors():
        for key in _keys(scripts, "HASH"):
            name = key.removeprefix(scripts.key("batch", ""))
            if name.startswith("parts:"):
                for _, text in client.hscan_iter(key, count=_AT_ONCE):
                    part = json.loads(text)
                    found |= {part["output"], part["errors"]}
            elif not name.startswith("chunks:"):
                found |= {ref for ref in client.hmget(key, ["ref", "input_ref"]) if ref}
        for key in _keys(scripts, "SET"):
            if key.startswith(scripts.key("batch", "refs", "")):
                found |= set(client.sscan_iter(key, count=_AT_ONCE))
    return found - {""}


def _keys(scripts: Scripts, kind: str) -> Iterator[str]:
    yield from scripts.client.scan_iter(match=scripts.key("batch", "*"), count=_AT_ONCE, _type=kind)
