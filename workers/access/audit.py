"""Who did what, on what, when, and how it ended: a bounded stream in Redis, and a line in the log. Never contents.

What was refused has a stream of its own: whoever knocks a million times must not push out who made which key.
"""

from __future__ import annotations

import getpass
import logging
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from knowledge.errors import PhiqError
from workers.access.stamp import asking
from workers.ledger.scripts import redis_errors

if TYPE_CHECKING:
    import redis

log = logging.getLogger("phiq.audit")
_KEPT, _KEPT_DENIED = 20_000, 5_000
_ONCE = 60.0
"""Seconds for which the same refusal is written once; the next entry says how many there were."""

Action = Literal[
    "key.create",
    "key.rotate",
    "key.revoke",
    "job.cancel",
    "job.drop",
    "job.replay",
    "schedule.add",
    "schedule.change",
    "schedule.pause",
    "schedule.resume",
    "schedule.run",
    "schedule.remove",
    "tenant.limit",
    "pause",
    "resume",
    "erase",
    "backup",
    "restore",
    "denied",
]


class AuditEntry(BaseModel):
    """One thing that somebody did or was refused."""

    model_config = ConfigDict(extra="ignore")
    id: str
    at: datetime
    who: str
    """``key ID``, or ``user NAME`` for somebody at a machine that reaches Redis."""
    tenant: str = ""
    action: str
    subject: str = ""
    outcome: str = "done"
    count: int = 1


class Audit:
    """The log of one installation. Safe between threads.

    Args:
        client: Decodes replies to ``str``.
        prefix: Of the installation's keys, without the colon.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._client = client
        self._key = f"{prefix}:audit"
        self._lock = threading.Lock()
        self._refused: dict[tuple[str, ...], tuple[float, int]] = {}

    def did(self, action: Action, subject: str = "", *, tenant: str = "", outcome: str = "done") -> None:
        """Write down what was done. What was done is not undone because this can't be written: the log line stays."""
        self._write(self._key, _KEPT, who(), tenant, action, subject, outcome, 1)

    def denied(self, by: str, subject: str, code: str, tenant: str = "") -> None:
        """Write down a refusal; the same one again within a minute is only counted."""
        mark = (by, subject, code, tenant)
        now = time.monotonic()
        with self._lock:
            since, count = self._refused.get(mark, (0.0, 0))
            if since and now - since < _ONCE:
                self._refused[mark] = (since, count + 1)
                return
            if len(self._refused) > 10_000:
                self._refused.clear()
            self._refused[mark] = (now, 0)
        self._write(f"{self._key}:denied", _KEPT_DENIED, by, tenant, "denied", subject, code, count + 1)

    def read(self, limit: int = 50, *, denied: bool = False, tenant: str | None = None) -> list[AuditEntry]:
        """The latest entries, the newest first.

        Args:
            limit: At most this many.
            denied: What was refused, instead of what was done.
            tenant: Only what this tenant's keys did, or what was done to it.

        Raises:
            RedisUnavailable: Redis does not answer.
        """
        key = f"{self._key}:denied" if denied else self._key
        found: list[AuditEntry] = []
        before = "+"
        while len(found) < limit:
            with redis_errors():
                entries: Any = self._client.xrevrange(key, max=before, count=500)
            for entry_id, fields in entries:
                if tenant is None or fields.get("tenant") == tenant:
                    at = datetime.fromtimestamp(int(entry_id.split("-")[0]) / 1000, UTC)
                    found.append(AuditEntry.model_validate({**fields, "id": entry_id, "at": at}))
            if len(entries) < 500:
                break
            before = f"({entries[-1][0]}"
        return found[:limit]

    def _write(
        self, key: str, kept: int, by: str, tenant: str, action: str, subject: str, outcome: str, count: int
    ) -> None:
        fields: dict[Any, Any] = {
            "who": by[:200],
            "tenant": tenant,
            "action": action,
            "subject": subject[:200],
            "outcome": outcome,
            "count": count,
        }
        log.info("%s %s: %s (%s)", action, subject[:200], outcome, by[:200], extra={"about": {"audit": fields}})
        with suppress(PhiqError), redis_errors():
            self._client.xadd(key, fields, maxlen=kept, approximate=True)


def who() -> str:
    """Whoever acts now: the key behind a request, or the user of this machine."""
    principal = asking.get()
    if principal is not None and principal.key_id is not None:
        # Not the key's name: it may be a person's, and this log outlives an erase.
        return f"key {principal.key_id}"
    try:
        return f"user {getpass.getuser()}"
    except (KeyError, OSError):
        return "user ?"
