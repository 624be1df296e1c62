"""Tells webhooks how batches ended.

A batch that ends is noted as untold in the same step; whoever tells of it takes the note away. So an end is told also
when the worker dies in between, and what is said twice is told once (`workers.webhooks.emit`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workers.batches.records import BatchRecord, BatchState
from workers.ledger.scripts import redis_errors

if TYPE_CHECKING:
    from workers.batches.store import Batches


def tell_all(batches: Batches) -> int:
    """Tell of every batch that is untold; returns how many there were.

    Raises:
        RedisUnavailable, StorageFull: the rest is told the next time.
    """
    client: Any = batches.ledger.scripts.client
    untold = batches.key("untold")
    with redis_errors():
        found = client.smembers(untold)
    for batch_id in found:
        with redis_errors():
            tenant = client.hget(batches.key(batch_id), "tenant")
        if tenant is not None:
            _tell(batches, batches.get(batch_id, tenant))
        with redis_errors():
            client.srem(untold, batch_id)
    return len(found)


def _tell(batches: Batches, batch: BatchRecord) -> None:
    from workers.webhooks import emit

    if not batch.state.final:
        return  # Redis went back to an earlier state
    data: dict[str, Any] = {
        "id": batch.id,
        "state": batch.state.value,
        "name": batch.name,
        "counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "usage": batch.usage.model_dump(),
        "seconds": batch.seconds,
        "output_file_id": batch.output_file,
        "error_file_id": batch.error_file,
        "links": {"self": f"/v1/batches/{batch.id}"},
    }
    if batch.state is BatchState.FAILED and batch.errors:
        data["code"] = batch.errors[0].code
    origin = batch.origin or f"batch/{batch.id}"
    for only in {None, batch.webhook}:
        emit(batches.ledger, batch.tenant, f"batch.{batch.state}", batch.id, data, origin=origin, only=only)
