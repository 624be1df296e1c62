"""The end of a batch: its parts joined to a file of output and one of errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from knowledge.errors import PhiqError
from workers.batches import scripts
from workers.batches.errors import BatchLineExpired
from workers.batches.plan import dump_problems
from workers.batches.records import BatchRecord, BatchState, LineProblem
from workers.batches.stream import as_stream

if TYPE_CHECKING:
    from workers.batches.drive import Held


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
            stream = as_stream(block for ref in refs for block in held.batches.files.store.blocks(ref))
            file_id = f"file-{hashlib.sha256(f'{batch.id}/{kind}'.encode()).hexdigest()[:32]}"
            name = f"{batch.id}_{'output' if kind == 'output' else 'error'}.jsonl"
            held.batches.files.put(stream, name, batch.tenant, purpose="batch_output", file_id=file_id)
            made += ["output_file" if kind == "output" else "error_file", file_id]
        yield True
    made += _deliver(held, batch, dict(zip(made[::2], made[1::2], strict=True)))
    ttl = round(held.service.settings.batch_ttl * 1000)
    held.run(scripts.FINISH, _final(batch, held.field("closing")), ttl, *made)


def _deliver(held: Held, batch: BatchRecord, made: dict[str, str]) -> list[str]:
    """Write the file of results where a worker is to; returns what the record must say about it."""
    task = batch.task or {}
    if not task.get("deliver"):
        return []
    from workers.batches.start import collect

    try:
        collect(held.batches, batch.model_copy(update=made))
    except PhiqError as error:
        if error.fault != "user":
            raise
        return ["errors", dump_problems([LineProblem(code="output_not_written", message=error.message)])]
    return []


def _final(batch: BatchRecord, closing: str) -> BatchState:
    if batch.state is BatchState.CANCELLING:
        return BatchState.CANCELLED
    return BatchState.EXPIRED if closing == BatchLineExpired.code else BatchState.COMPLETED
