"""Jobs that were sent with Celery and that no worker has taken yet: messages on the broker and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from workers.celery_config import SUBMIT_QUEUE
from workers.erase.scope import Scope
from workers.ledger import names
from workers.ledger.scripts import redis_errors


def erase_messages(client: Any, prefix: str, scope: Scope, default_tenant: str, dry_run: bool) -> int:
    """Delete the messages that are meant; returns how many there were.

    Args:
        client: Redis, decoding.
        prefix: The ledger's.
        scope: What is meant.
        default_tenant: Whose a job is that names no tenant.
        dry_run: Only count.
    """
    broker = names.broker_prefix(prefix)
    found = 0
    with redis_errors():
        # Kombu keeps a list for each priority: the queue's name, with an ending where it is not the usual one.
        for key in client.scan_iter(match=f"{broker}{SUBMIT_QUEUE}*", count=1000, _type="LIST"):
            for message in client.lrange(key, 0, -1):
                if _meant(message, scope, default_tenant):
                    found += 1
                    if not dry_run:
                        client.lrem(key, 0, message)
        for tag, delivered in client.hscan_iter(f"{broker}unacked"):
            if _meant(_inner(delivered), scope, default_tenant):
                found += 1
                if not dry_run:
                    client.hdel(f"{broker}unacked", tag)
                    client.zrem(f"{broker}unacked_index", tag)
    return found


def _inner(delivered: str) -> str:
    """The message in what kombu keeps of one that a worker has and has not acknowledged."""
    try:
        return json.dumps(json.loads(delivered)[0])
    except (ValueError, TypeError, LookupError):
        return ""


def _meant(message: str, scope: Scope, default_tenant: str) -> bool:
    return any(scope.submits(job, job_id, default_tenant) for job_id, job in _jobs(message))


def _jobs(message: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The job in a message and the id it will have; nothing when it is no message of ours."""
    try:
        outer = json.loads(message)
        raw, encoding = outer["body"], outer.get("properties", {}).get("body_encoding")
        body = json.loads(base64.b64decode(raw) if encoding == "base64" else raw)
        # Celery's second protocol, and its first.
        args, kwargs, number = (
            (body[0], body[1], outer["headers"]["id"])
            if isinstance(body, list)
            else (body.get("args", []), body.get("kwargs", {}), body["id"])
        )
        job = args[0] if args else kwargs["job"]
        job = json.loads(job) if isinstance(job, str) else job
        task_id = str(number).replace("-", "").lower()
    except (ValueError, TypeError, LookupError, AttributeError):
        return
    if isinstance(job, dict):
        yield task_id, job
