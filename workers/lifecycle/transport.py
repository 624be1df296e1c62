"""Kombu's Redis transports, for workers: what is no message of ours is dropped, with a line in the log.

Whoever reaches the broker can put anything there. Left alone, one entry that can't be read ends Celery's consumer and
the worker with it, and its successor, which is given the same entry, ends as well. Nothing is lost by dropping: a
message is a hint, the ledger sends another when a job was meant.
"""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

from kombu.transport import redis

log = logging.getLogger(__name__)

_NOT_A_MESSAGE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


class _Channel:
    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # of the channel it is mixed into
        # Those of JSON only: what happens once a message was delivered is not to be hidden.
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            _dropped("?", error)
            return None

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        # Celery acknowledges also what is consumed without (the ledger's messages), and kombu would go to Redis for it.
        if delivery_tag in self.qos._delivered:  # type: ignore[attr-defined]  # noqa: SLF001 - kombu has no other list
            super().basic_ack(delivery_tag, multiple)  # type: ignore[misc]  # of the channel it is mixed into


class _Transport:
    def _deliver(self, message: Any, queue: str) -> None:
        try:
            plain = _plain(message)
        except _NOT_A_MESSAGE as error:
            _dropped(queue, error)
            return
        super()._deliver(plain, queue)  # type: ignore[misc]  # of the transport it is mixed into


class Channel(_Channel, redis.Channel):
    """To a Redis."""


class Transport(_Transport, redis.Transport):  # type: ignore[misc]  # as above
    """To a Redis."""

    Channel = Channel


class SentinelChannel(_Channel, redis.SentinelChannel):
    """To the Redis that Sentinels name."""


class SentinelTransport(_Transport, redis.SentinelTransport):  # type: ignore[misc]  # as above
    """To the Redis that Sentinels name."""

    Channel = SentinelChannel


def _plain(message: Any) -> dict[str, Any]:
    """The message made anew from its task, id and arguments; all else that Celery knows is of no use to us.

    An instant far away, a chain or a chord would hold one of the slots for ever. Raises one of `_NOT_A_MESSAGE`.
    """
    from workers.app import app

    properties, headers, raw = message["properties"], message["headers"], message["body"]
    delivery, encoding = properties["delivery_info"], properties.get("body_encoding")
    for text in (properties["delivery_tag"], delivery["exchange"], delivery["routing_key"], raw):
        if not isinstance(text, str):
            raise TypeError("a part of it is no text")
    if message["content-type"] != "application/json" or headers.get("compression"):
        raise ValueError(f"it is not plain JSON but {message['content-type']!r:.60}")
    body = json.loads(base64.b64decode(raw, validate=True) if encoding == "base64" else raw)
    if "task" in headers:
        (args, kwargs, _), name, number = body, headers["task"], headers["id"]
    else:
        args, kwargs, name, number = body.get("args", []), body.get("kwargs", {}), body["task"], body["id"]
    if not (isinstance(args, list) and isinstance(kwargs, dict) and isinstance(number, str)):
        raise TypeError("its arguments have not the form of a task's")
    if not isinstance(name, str) or name not in app.tasks:
        raise LookupError(f"there is no task {name!r:.80}")
    app.tasks[name].__header__(*args, **kwargs)  # type: ignore[attr-defined]  # how Celery sees if arguments fit
    return {
        "body": json.dumps([args, kwargs, {}]),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": name, "id": number, "root_id": number, "argsrepr": "", "kwargsrepr": ""},
        "properties": {
            "correlation_id": number,
            "delivery_tag": properties["delivery_tag"],
            "delivery_info": {"exchange": delivery["exchange"], "routing_key": delivery["routing_key"]},
        },
    }


def _dropped(queue: str, error: Exception) -> None:
    # Errors of JSON name a place, ours a part: neither quotes the contents.
    log.warning("a message in the queue %s can't be used and is dropped: %s: %s", queue, type(error).__name__, error)
