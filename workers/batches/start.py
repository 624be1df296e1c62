"""Starting a batch over documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.batches.records import BatchRecord
from workers.batches.spec import BatchSpec

if TYPE_CHECKING:
    from workers.service import Service


def start(service: Service, spec: BatchSpec, *, batch_id: str | None = None) -> BatchRecord:
    """Start a batch over documents; returns at once, workers do the rest.

    Args:
        service: Where.
        spec: What.
        batch_id: An id of the caller's own making (``batch_`` and 32 hex digits), with which asking twice is one batch.

    Raises:
        BatchInvalid: nothing to work on, or the task can't be done to documents.
        DocumentUnreadable: a path stands for nothing.
        RedisUnavailable, StorageFull, ContentUnavailable: nothing was accepted.
    """
    raise NotImplementedError
