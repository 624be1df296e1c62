"""Reading a job's stream: from any event on, across short outages, with a snapshot where entries are gone."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any, cast

from agents.contract import Progress
from workers.errors import JobInvalid, RedisUnavailable
from workers.jobs import Event, State
from workers.ledger.scripts import Scripts, redis_errors

_EVENT_ID = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")
_BLOCK_MS = 1000
_LOOK_EVERY = 5.0
"""Seconds of silence after which the reader makes sure that the job still exists and its place still holds."""
_OUTAGE = 30.0
"""Seconds without Redis that a reader waits out."""


class Reader:
    """One reading of one job's stream."""

    def __init__(self, scripts: Scripts, job_id: str, tenant: str, after: str) -> None:
        if not _EVENT_ID.fullmatch(after):
            raise JobInvalid(
                f"'{after[:40]}' is not the id of an event.",
                hint="Give the id of the last event you have, or 0-0 for the beginning.",
                subject=job_id,
            )
        self._scripts = scripts
        self._id = job_id
        self._tenant = tenant
        self._cursor = after
        self._expected: int | None = None if after != "0-0" else 0
        self._began: str | None = None
        self._ended = False

    def read(self, follow: bool, timeout: float | None, not_found: Exception) -> Iterator[Event]:
        """The events, ending after ``end``; without ``follow``, after those that are there."""
        until = None if timeout is None else time.monotonic() + timeout
        yield from self._look(not_found)
        looked = time.monotonic()
        while not self._ended:
            wait = 0.0 if not follow else _BLOCK_MS / 1000
            if until is not None:
                wait = min(wait, until - time.monotonic())
            entries = self._entries(max(1, int(wait * 1000)) if follow and wait > 0 else None)
            for entry_id, fields in entries:
                event = _to_event(entry_id, fields)
                if self._torn(event, fields.get("b")):
                    yield from self._look(not_found, torn=True)
                    break
                self._cursor = entry_id
                self._note(event, fields.get("b"))
                yield event
                if event.type == "end":
                    self._ended = True
                    break
            if self._ended:
                return
            if not entries and not follow:
                return
            if until is not None and time.monotonic() >= until:
                return
            if entries:
                looked = time.monotonic()
            elif time.monotonic() - looked > _LOOK_EVERY:
                yield from self._look(not_found)
                looked = time.monotonic()

    def _look(self, not_found: Exception, torn: bool = False) -> Iterator[Event]:
        """Check that the place still holds; a snapshot where it does not."""
        reply = self._patiently(
            lambda: self._scripts.run("peek", self._id, self._tenant, "0-0" if torn else self._cursor)
        )
        if reply is None:
            raise not_found
        broken, state, attempt, text, go_on, last = reply
        final = State(state).final
        if broken == "1" or torn:
            if torn and broken != "1":
                # The entries are whole from the beginning on, but not what this reader saw: read them again.
                self._cursor, self._expected, self._began = "0-0", None, None
                yield Event(id="0-0", type="restarted", attempt=int(attempt))
                return
            self._cursor = go_on
            self._expected, self._began = len(text), None
            yield Event(id=go_on, type="snapshot", attempt=int(attempt), text=text, state=State(state))
        elif final and last and self._cursor == last:
            self._ended = True

    def _entries(self, block: int | None) -> list[tuple[str, dict[str, str]]]:
        key = self._scripts.key("events", self._id)

        def read() -> Any:
            with redis_errors():
                return self._scripts.client.xread({key: self._cursor}, count=500, block=block)

        reply = self._patiently(read)
        if not reply:
            return []
        # redis-py answers a list of pairs on the old protocol and a mapping on the new one.
        found = next(iter(reply.values())) if isinstance(reply, dict) else reply[0][1]
        if found and isinstance(found[0], list) and found[0] and isinstance(found[0][0], tuple | list):
            found = found[0]
        return cast("list[tuple[str, dict[str, str]]]", found)

    def _patiently(self, call: Any) -> Any:
        until = time.monotonic() + _OUTAGE
        while True:
            try:
                return call()
            except RedisUnavailable:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def _torn(self, event: Event, began: str | None) -> bool:
        """Whether text is missing between what was seen and this event (trimmed, or rolled back with Redis).

        ``began`` is the attempt that began the text: later ones may go on from it, so it, not the event's own
        attempt, tells whether text of the right length is also the right text.
        """
        if event.type == "restarted" or self._expected is None:
            return False
        return event.offset != self._expected or (None not in (began, self._began) and began != self._began)

    def _note(self, event: Event, began: str | None) -> None:
        if event.type == "delta":
            self._expected, self._began = event.offset + len(event.text), began
        elif event.type == "restarted":
            self._expected, self._began = 0, None


def _to_event(entry_id: str, fields: dict[str, str]) -> Event:
    return Event(
        id=entry_id,
        type=fields["t"],
        attempt=int(fields.get("a", 0)),
        offset=int(fields.get("o", 0)),
        text=fields.get("x", ""),
        state=State(fields["s"]) if "s" in fields else None,
        progress=Progress.model_validate(json.loads(fields["p"])) if "p" in fields else None,
        message=fields.get("m", ""),
    )
