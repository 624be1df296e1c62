"""Reading a job's stream: from any event on, across short outages, with a snapshot where entries are gone."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from agents.contract import Progress
from workers.errors import JobInvalid, RedisUnavailable
from workers.jobs import Event, State
from workers.ledger.scripts import Scripts, redis_errors

Entries = list[tuple[str, dict[str, str]]]
"""Ids and fields of a stream's entries."""

_EVENT_ID = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")
_BLOCK_MS = 1000
LOOK_EVERY = 5.0
"""Seconds of silence after which the reader makes sure that the job still exists and its place still holds."""
OUTAGE = 30.0
"""Seconds without Redis that a reader waits out."""


class Place:
    """Where a reader is in a job's stream, and what it makes of what Redis answers; it asks nothing itself.

    Args:
        job_id: Whose stream.
        tenant: Whose job.
        after: The id of the last event seen.

    Attributes:
        cursor: The id to read on from.
        ended: Nothing more comes.

    Raises:
        JobInvalid: ``after`` is not an event's id.
    """

    def __init__(self, job_id: str, tenant: str, after: str) -> None:
        if not _EVENT_ID.fullmatch(after):
            raise JobInvalid(
                f"'{after[:40]}' is not the id of an event.",
                hint="Give the id of the last event you have, or 0-0 for the beginning.",
                subject=job_id,
            )
        self.id = job_id
        self.cursor = after
        self.ended = False
        self._tenant = tenant
        self._expected: int | None = None if after != "0-0" else 0
        self._began: str | None = None

    def question(self, torn: bool = False) -> tuple[str, str, str]:
        """What to ask the script ``peek``; with ``torn`` whether the stream is whole from its beginning."""
        return self.id, self._tenant, "0-0" if torn else self.cursor

    def looked(self, reply: Sequence[str], torn: bool = False) -> Event | None:
        """Whether the place still holds, by ``peek``'s reply; a snapshot (or word to start over) where it does not."""
        broken, state, attempt, text, go_on, last = reply
        if broken == "1":
            self.cursor = go_on
            self._expected, self._began = len(text), None
            return Event(id=go_on, type="snapshot", attempt=int(attempt), text=text, state=State(state))
        if torn:
            # The entries are whole from the beginning on, but not what this reader saw: read them again.
            self.cursor, self._expected, self._began = "0-0", None, None
            return Event(id="0-0", type="restarted", attempt=int(attempt))
        if State(state).final and last and self.cursor == last:
            self.ended = True
        return None

    def take(self, entry_id: str, fields: dict[str, str]) -> Event | None:
        """The event of the entry that follows; None when text is missing before it: look, with ``torn``."""
        event = _to_event(entry_id, fields)
        began = fields.get("b")
        if self._torn(event, began):
            return None
        self.cursor = entry_id
        if event.type == "delta":
            self._expected, self._began = event.offset + len(event.text), began
        elif event.type == "restarted":
            self._expected, self._began = 0, None
        self.ended = event.type == "end"
        return event

    def _torn(self, event: Event, began: str | None) -> bool:
        """Whether text is missing between what was seen and this event (trimmed, or rolled back with Redis).

        ``began`` is the attempt that began the text: later ones may go on from it, so it, not the event's own
        attempt, tells whether text of the right length is also the right text.
        """
        if event.type == "restarted" or self._expected is None:
            return False
        return event.offset != self._expected or (None not in (began, self._began) and began != self._began)


class Reader:
    """One reading of one job's stream."""

    def __init__(self, scripts: Scripts, job_id: str, tenant: str, after: str) -> None:
        self._scripts = scripts
        self._place = Place(job_id, tenant, after)

    def read(self, follow: bool, timeout: float | None, not_found: Exception) -> Iterator[Event]:
        """The events, ending after ``end``; without ``follow``, after those that are there."""
        until = None if timeout is None else time.monotonic() + timeout
        place = self._place
        yield from self._look(not_found)
        looked = time.monotonic()
        while not place.ended:
            wait = 0.0 if not follow else _BLOCK_MS / 1000
            if until is not None:
                wait = min(wait, until - time.monotonic())
            entries = self._entries(max(1, int(wait * 1000)) if follow and wait > 0 else None)
            for entry_id, fields in entries:
                event = place.take(entry_id, fields)
                if event is None:
                    yield from self._look(not_found, torn=True)
                    break
                yield event
                if event.type == "end":
                    return
            if not entries and not follow:
                return
            if until is not None and time.monotonic() >= until:
                return
            if entries:
                looked = time.monotonic()
            elif time.monotonic() - looked > LOOK_EVERY:
                yield from self._look(not_found)
                looked = time.monotonic()

    def _look(self, not_found: Exception, torn: bool = False) -> Iterator[Event]:
        """Check that the place still holds; a snapshot where it does not."""
        reply = self._patiently(lambda: self._scripts.run("peek", *self._place.question(torn)))
        if reply is None:
            raise not_found
        event = self._place.looked(reply, torn)
        if event is not None:
            yield event

    def _entries(self, block: int | None) -> Entries:
        key = self._scripts.key("events", self._place.id)

        def read() -> Any:
            with redis_errors():
                return self._scripts.client.xread({key: self._place.cursor}, count=500, block=block)

        return by_key(self._patiently(read)).get(key, [])

    def _patiently(self, call: Any) -> Any:
        until = time.monotonic() + OUTAGE
        while True:
            try:
                return call()
            except RedisUnavailable:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)


def by_key(reply: Any) -> dict[str, Entries]:
    """The entries of each stream in an answer to XREAD."""
    # redis-py answers a list of pairs on the old protocol and a mapping on the new one.
    pairs: Iterable[tuple[str, Any]] = reply.items() if isinstance(reply, dict) else reply or ()
    found: dict[str, Entries] = {}
    for key, entries in pairs:
        nested = entries and isinstance(entries[0], list) and entries[0] and isinstance(entries[0][0], tuple | list)
        found[key] = cast("Entries", entries[0] if nested else entries)
    return found


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
