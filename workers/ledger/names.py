"""The names of queues, in the ledger and on the broker."""

from __future__ import annotations

from workers.jobs import Capability, Lane


def queue(capability: Capability, lane: Lane) -> str:
    """The ledger's name of a queue: ``core.interactive``."""
    return f"{capability.value}.{lane.value}"


def split(name: str) -> tuple[Capability, Lane]:
    """Capability and lane of a queue's name."""
    capability, lane = name.split(".")
    return Capability(capability), Lane(lane)


def celery_queue(name: str) -> str:
    """The queue's name for Celery: ``phiq.core.interactive``."""
    return f"phiq.{name}"


def worker_queue(worker: str) -> str:
    """The Celery queue that only one worker reads: ``phiq.worker.NAME``."""
    return f"phiq.worker.{worker}"


def serving_order(capabilities: list[Capability]) -> list[str]:
    """The queues of some capabilities, every interactive one before any batch one."""
    return [queue(capability, lane) for lane in (Lane.INTERACTIVE, Lane.BATCH) for capability in capabilities]


def broker_prefix(prefix: str) -> str:
    """Put by Celery before its own keys, so that they lie beside the ledger's under one prefix."""
    return f"{prefix}:broker:"
