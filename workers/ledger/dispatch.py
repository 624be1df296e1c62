"""Handing jobs to the broker: a bounded window per queue, interactive first, tenants in turn.

The backlog stays in the ledger, where it can be ordered, counted and explained. A message is only an id; sending
one twice is harmless, since a second claim is refused.

Workers look once a second. What they find out (who serves what, with how many slots) is left in the ledger as a plan,
by which `submit`, `claim` and `settle` hand out at once what there is room for, in their own step.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from workers.jobs import Capability, Lane
from workers.ledger import names, registry
from workers.ledger.config import LedgerConfig
from workers.ledger.registry import WorkerInfo
from workers.ledger.scripts import Scripts

Send = Callable[[str, str], None]
"""Takes the ledger's queue name and a job's id, and puts a message on the broker."""


def dispatch(scripts: Scripts, config: LedgerConfig, workers: list[WorkerInfo], send: Send | None = None) -> int:
    """Fill the windows of all queues that somebody serves; returns how many messages were sent.

    Args:
        scripts: Where the jobs are.
        config: The ledger's.
        workers: Those alive.
        send: Sends a message. Without it the script puts it into the broker's list, which is in the same Redis. One
            that could not be sent (the exception passes through) is sent again after ``resend_after``.
    """
    capabilities = [one for one in Capability if registry.slots(workers, one)]
    if not capabilities:
        return 0
    args: list[str | int] = []
    for queue in names.serving_order(capabilities):
        capability, lane = names.split(queue)
        window = 2 * registry.slots(workers, capability)
        most, counted = _batch(config, workers, capability) if lane is Lane.BATCH else ("", "")
        args += [queue, window, names.broker_prefix(config.prefix) + names.celery_queue(queue), most, counted]
    resend, holds = round(config.resend_after * 1000), "" if send else round(config.worker_ttl * 1000)
    out = scripts.run("dispatch", uuid.uuid4().hex, resend, config.tenant_running, holds, *args)
    if send is not None:
        for queue, job_id in zip(out[::2], out[1::2], strict=True):
            send(queue, job_id)
    return len(out) // 2


def _batch(config: LedgerConfig, workers: list[WorkerInfo], capability: Capability) -> tuple[int | str, str]:
    """How many batch jobs may be out, and the queues that this counts: all that share a worker with this one.

    A slot of a worker is every capability's that it serves, so another capability's batch jobs take it as well.
    """
    slots = registry.slots(workers, capability)
    kept = min(config.interactive_slots, slots - 1)
    if kept <= 0:
        return "", ""
    beside = {other for info in workers if capability in info.serves and not info.draining for other in info.serves}
    return slots - kept, ",".join(names.queue(other, Lane.BATCH) for other in sorted(beside))
