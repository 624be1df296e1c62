"""Handing jobs to the broker: a bounded window per queue, interactive first, tenants in turn.

The backlog stays in the ledger, where it can be ordered, counted and explained. A message is only an id; sending
one twice is harmless, since a second claim is refused.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from workers.jobs import Capability
from workers.ledger import names, registry
from workers.ledger.config import LedgerConfig
from workers.ledger.registry import WorkerInfo
from workers.ledger.scripts import Scripts

Send = Callable[[str, str], None]
"""Takes the ledger's queue name and a job's id, and puts a message on the broker."""


def dispatch(scripts: Scripts, config: LedgerConfig, workers: list[WorkerInfo], send: Send) -> int:
    """Fill the windows of all queues that somebody serves; returns how many messages were sent.

    A message that could not be sent (the broker's exception passes through) is sent again after ``resend_after``.
    """
    capabilities = [one for one in Capability if registry.slots(workers, one)]
    if not capabilities:
        return 0
    args: list[str | int] = []
    for queue in names.serving_order(capabilities):
        window = 2 * registry.slots(workers, names.split(queue)[0])
        args += [queue, window, names.broker_prefix(config.prefix) + names.celery_queue(queue)]
    out = scripts.run("dispatch", uuid.uuid4().hex, round(config.resend_after * 1000), *args)
    for queue, job_id in zip(out[::2], out[1::2], strict=True):
        send(queue, job_id)
    return len(out) // 2
