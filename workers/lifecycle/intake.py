"""Takes `phiq.submit` messages in a thread of its own, so that they need no slot.

Celery's consumer reads nothing while all slots are busy. A job that waits on the broker has no record: nobody could
see it, cancel it or be told why it waits.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery.exceptions import Reject

from workers.celery_config import SUBMIT_QUEUE

log = logging.getLogger(__name__)

_PAUSE = 1.0


def intake(stop: threading.Event) -> None:
    """Take messages until ``stop``; an outage of the broker is waited out."""
    from workers.app import app

    while not stop.is_set():
        try:
            with (
                app.connection_for_read() as connection,
                connection.Consumer([app.amqp.queues[SUBMIT_QUEUE]], on_message=_take, prefetch_count=1),
            ):
                while not stop.is_set():
                    try:
                        connection.drain_events(timeout=_PAUSE)
                    except TimeoutError:
                        continue
        except Exception as error:  # noqa: BLE001 - this thread must outlive whatever the broker or a message does
            log.warning("messages of phiq.submit are not read (%s: %s); trying again", type(error).__name__, error)
            stop.wait(_PAUSE)


def _take(message: Any) -> None:
    from workers.tasks import take

    try:
        name, task_id, args, kwargs = _read(message)
        job = args[0] if args else kwargs.get("job")
    except Exception as error:  # noqa: BLE001 - whatever strangers put there
        log.warning("a message in the queue %s can't be read (%s); dropped", SUBMIT_QUEUE, type(error).__name__)
        message.reject()
        return
    if name != "phiq.submit":
        log.warning("the queue %s takes phiq.submit only; a message for %s is dropped", SUBMIT_QUEUE, name[:64])
        message.reject()
        return
    try:
        take(job, task_id)
    except Reject:
        message.requeue()
    else:
        message.ack()


def _read(message: Any) -> tuple[str, str, Any, Any]:
    """Name, id and arguments of a Celery message, in either form of its protocol."""
    body = message.decode()
    if "task" in message.headers:
        args, kwargs, _ = body
        return str(message.headers["task"]), str(message.headers["id"]), args, kwargs
    return str(body["task"]), str(body["id"]), body.get("args", ()), body.get("kwargs", {})
