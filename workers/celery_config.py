"""How Celery is set up: a carrier of job ids and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workers import redis_libraries
from workers.connections import redis_address
from workers.errors import SettingsInvalid
from workers.jobs import Capability
from workers.ledger import names
from workers.settings import Settings

if TYPE_CHECKING:
    from kombu import Queue

SUBMIT_QUEUE = "phiq.submit"
"""Where people who use Celery themselves send jobs."""


def served(settings: Settings) -> list[Capability]:
    """The capabilities a worker with these settings serves.

    Raises:
        SettingsInvalid: PHIQ_QUEUES names something else, or nothing.
    """
    wanted = [part.strip() for part in settings.queues.split(",") if part.strip()]
    known = [one.value for one in Capability]
    wrong = [part for part in wanted if part not in known]
    if wrong or not wanted:
        raise SettingsInvalid(
            f"PHIQ_QUEUES can't be used: {f'{wrong[0][:40]!r} is no queue' if wrong else 'it is empty'}.",
            hint=f"Name one or several of {', '.join(known)}, with commas between them.",
            subject="PHIQ_QUEUES",
        )
    return [Capability(part) for part in dict.fromkeys(wanted)]


def consumed(settings: Settings) -> list[str]:
    """The names of the Celery queues a worker's slots read, in its order of preference."""
    return [names.celery_queue(queue) for queue in names.serving_order(served(settings))]


def own_queue(worker: str) -> Queue:
    """The queue that only one worker reads; the broker forgets it an hour or two after its reader is gone."""
    from kombu import Exchange, Queue

    name = names.worker_queue(worker)
    # An exchange of its own: bindings are forgotten by exchange, and the others' must stay.
    return Queue(name, Exchange(name), routing_key=name, auto_delete=True, expires=600, no_ack=True)


def configuration(settings: Settings) -> dict[str, Any]:
    """Celery's configuration.

    Raises:
        NotRunning: no Redis is set and none runs here.
        SettingsInvalid: its address has not the form of one.
    """
    from kombu import Queue

    address = redis_address(settings)
    url, transport, tls = redis_libraries.broker(address)
    queues = [names.celery_queue(queue) for queue in names.serving_order(list(Capability))]
    return {
        # Both by name: else a CELERY_BROKER_URL in somebody's environment would win.
        "broker_read_url": url,
        "broker_write_url": url,
        "broker_url": url,
        "broker_use_ssl": tls,
        "broker_transport_options": {
            **transport,
            "global_keyprefix": names.broker_prefix(settings.key_prefix),
            "queue_order_strategy": "priority",
            # A message is unacknowledged for moments only; one that comes twice does no harm.
            "visibility_timeout": 60,
            "socket_connect_timeout": 3,
            **({} if address.path else {"socket_keepalive": True}),
            "health_check_interval": 10,
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A full Redis, or one that has become a replica, refuses what the consumer writes: else the worker would end.
        "broker_channel_error_retry": True,
        "task_queues": [
            Queue(SUBMIT_QUEUE, routing_key=SUBMIT_QUEUE),
            # A message that is lost with its reader is sent again by the ledger, so nobody keeps book of what was
            # read: that would be two more writes a job.
            *(Queue(name, routing_key=name, no_ack=True) for name in queues),
        ],
        "task_default_queue": SUBMIT_QUEUE,
        "task_create_missing_queues": False,
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_backend": None,
        "task_ignore_result": True,
        "result_expires": None,  # else beat would send a daily clean-up of results that there are none of
        "worker_pool": "workers.lifecycle.pool:TaskPool",
        "worker_consumer": "workers.lifecycle.consumer:Consumer",
        "worker_concurrency": settings.slots,
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 1,
        # Early: a message is a hint, the ledger knows what is unfinished.
        "task_acks_late": False,
        "worker_send_task_events": False,
        "worker_enable_remote_control": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "enable_utc": True,
        "timezone": "UTC",
        "beat_scheduler": "workers.lifecycle.beat:Scheduler",
        "beat_max_loop_interval": 5,
        **redis_libraries.redbeat(address),
        "redbeat_key_prefix": f"{settings.key_prefix}:beat:",
        "redbeat_lock_key": "lock",
        "redbeat_lock_timeout": 30,
    }
