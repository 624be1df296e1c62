"""The yardstick of `bench_overhead`: a Celery task with a result, and nothing around it.

Celery's own defaults wherever they matter to speed (prefetch of four messages a slot, messages acknowledged as soon as
they are taken up, results in Redis that are announced by pub/sub), and the same as phiq's workers in the rest: threads,
as many slots, JSON, the same Redis, no gossip between workers. This configuration was written down before phiq's own
was tuned, and is not touched while it is.
"""

from __future__ import annotations

from celery import Celery

QUEUE = "bare"

app = Celery("bare", set_as_current=False)
app.conf.update(
    broker_transport_options={"global_keyprefix": "bare:"},
    result_backend_transport_options={"global_keyprefix": "bare:"},
    task_default_queue=QUEUE,
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    task_ignore_result=False,
    task_acks_late=False,
    worker_prefetch_multiplier=4,
    worker_disable_prefetch=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="bare.nothing")
def nothing(number: int) -> dict[str, int]:
    """Do nothing and say so."""
    return {"number": number}


def worker_argv(slots: int) -> list[str]:
    """What follows ``python -m celery`` and the addresses."""
    return [
        *("worker", "--pool", "threads", "--concurrency", str(slots), "--queues", QUEUE),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "warning"),
    ]
