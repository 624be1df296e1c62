"""The end of a batch: its parts joined to a file of output and one of errors."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from workers.batches import scripts
from workers.batches.errors import BatchLineExpired
from workers.batches.records import BatchRecord, BatchState
from workers.content import ContentStore

if TYPE_CHECKING:
    from typing import IO

    from workers.batches.drive import Held


class Joined(io.RawIOBase):
    """Several contents as one stream, read in blocks; each is checked as it passes."""

    def __init__(self, store: ContentStore, refs: list[str]) -> None:
        self._blocks = (block for ref in refs for block in store.blocks(ref))
        self._left = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io gives is a memoryview
        """The next bytes."""
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._left = block
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def finish(held: Held) -> Iterator[bool]:
    """Join the parts, make the files, and end the batch.

    Raises:
        Lost: the lease is another's.
    """
    held.run(scripts.FINALIZE)
    batch = held.refresh()
    parts = [json.loads(text) for text in held.table("parts").values()]
    made: list[str] = []
    for kind in ("output", "errors"):
        refs = [part[kind] for part in parts if part[kind]]
        if refs:
            stream = cast("IO[bytes]", io.BufferedReader(Joined(held.batches.files.store, refs), 1 << 20))
            file_id = f"file-{hashlib.sha256(f'{batch.id}/{kind}'.encode()).hexdigest()[:32]}"
            name = f"{batch.id}_{'output' if kind == 'output' else 'error'}.jsonl"
            held.batches.files.put(stream, name, batch.tenant, purpose="batch_output", file_id=file_id)
            made += ["output_file" if kind == "output" else "error_file", file_id]
        yield True
    ttl = round(held.service.settings.batch_ttl * 1000)
    held.run(scripts.FINISH, _final(batch, held.field("closing")), ttl, *made)


def _final(batch: BatchRecord, closing: str) -> BatchState:
    if batch.state is BatchState.CANCELLING:
        return BatchState.CANCELLED
    return BatchState.EXPIRED if closing == BatchLineExpired.code else BatchState.COMPLETED
