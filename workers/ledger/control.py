"""What operators set: pauses and limits; and who does what is to be done once."""

from __future__ import annotations

import re
import uuid
from itertools import product

from workers.errors import QueueUnknown
from workers.jobs import Capability, Lane
from workers.ledger import names
from workers.ledger.overview import Limits
from workers.ledger.scripts import Scripts, redis_errors

TENANT = "tenant:"
_TENANT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
QUEUES = tuple(names.queue(capability, lane) for capability, lane in product(Capability, Lane))


def hold(scripts: Scripts, held: bool, queue: str | None, tenant: str | None) -> None:
    """Pause or resume a queue, a tenant or both.

    Raises:
        QueueUnknown: none is named, or one that can't be.
    """
    marks = []
    if queue is not None:
        if queue not in QUEUES:
            raise QueueUnknown(
                f"There is no queue '{queue[:64]}'.", hint=f"Queues: {', '.join(QUEUES)}", subject=queue[:64]
            )
        marks.append(queue)
    if tenant is not None:
        marks.append(TENANT + checked(tenant))
    if not marks:
        raise QueueUnknown("Neither a queue nor a tenant is named.", hint=f"Queues: {', '.join(QUEUES)}")
    scripts.run("pause", int(held), *marks)


def paused(scripts: Scripts) -> list[str]:
    """What is held back: queues, and ``tenant:NAME``."""
    with redis_errors():
        return sorted(str(name) for name in scripts.client.smembers(scripts.key("paused")))


def set_limits(scripts: Scripts, tenant: str, limits: Limits) -> None:
    """Give a tenant limits and a share of its own; all None takes them away.

    Raises:
        QueueUnknown: the tenant's name can't be one.
    """
    given = limits.model_dump(exclude_none=True)
    scripts.run("quota", checked(tenant), *(part for pair in given.items() for part in pair))


def once(scripts: Scripts, name: str, instant: str, ttl: float) -> bool:
    """True for one caller alone for each name and instant, within ``ttl`` seconds."""
    return bool(scripts.run("once", f"{name}:{instant}", uuid.uuid4().hex, max(1, round(ttl * 1000))))


def checked(tenant: str) -> str:
    """A tenant's name.

    Raises:
        QueueUnknown: it can't be one.
    """
    if not _TENANT_NAME.fullmatch(tenant):
        raise QueueUnknown(
            f"'{tenant[:64]}' can't be a tenant's name.",
            hint="Up to 64 letters, digits and . _ @ -, the first a letter or digit.",
            subject=tenant[:64],
        )
    return tenant
