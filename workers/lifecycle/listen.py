"""Hears what is announced: new work, and jobs to cancel. Nothing depends on it, it only makes things fast."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from knowledge.errors import PhiqError
from workers.ledger.scripts import Scripts, redis_errors

if TYPE_CHECKING:
    import redis

log = logging.getLogger(__name__)


def listen(
    scripts: Scripts, closing: threading.Event, on_work: Callable[[], None], on_cancel: Callable[[str], None]
) -> None:
    """Listen until ``closing``; an outage of Redis is waited out."""
    while not closing.is_set():
        try:
            with redis_errors(), _channel(scripts) as channel:
                channel.subscribe(scripts.key("signals"))
                on_work()
                while not closing.is_set():
                    message = channel.get_message(timeout=1.0)
                    if message is None:
                        continue
                    what, _, job_id = str(message["data"]).partition(" ")
                    if what == "dispatch":
                        on_work()
                    elif what == "cancel":
                        on_cancel(job_id)
        except PhiqError as error:
            log.warning("announcements not heard: %s", error.message)
            closing.wait(1.0)


def _channel(scripts: Scripts) -> redis.client.PubSub:
    channel: redis.client.PubSub = scripts.client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    return channel
