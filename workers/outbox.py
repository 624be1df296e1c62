"""Reads what the ledger tells of ended jobs: a stream that is written in the same step as the end.

Only jobs that somebody outside waits for are in it: those with a webhook, an origin or a key, and those of tenants
whose webhooks listen to all. Each reader (webhooks, batches, schedules, usage) has a group of its own and gets each
entry at least once, by whichever worker is free. The stream is bounded in number and age, and a Redis that was rolled
back may have lost some: a reader must bear an entry twice, and look at the records now and then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from knowledge.errors import PhiqError
from workers.jobs import State
from workers.ledger.scripts import redis_errors

if TYPE_CHECKING:
    from workers.ledger import Ledger

log = logging.getLogger(__name__)

_AT_ONCE = 200
_BLOCK = 2.0
_AGAIN = 30.0
"""Seconds after which what somebody took and did not finish is taken again."""
_TRIES = 8
_KEPT = 600.0
"""Seconds for which an entry stays though all have read it, for a reader that is only just beginning."""
_CONSUMER = "any"
"""One name for all processes: which of them holds an entry matters to nobody, and no name is left behind."""


@dataclass(frozen=True)
class Ended:
    """The end of a job.

    Attributes:
        id: The job's.
        tenant: Whose.
        state: How it ended.
        kind: Of job.
        model: The engine URI it ran on.
        origin: What submitted it, or empty.
        webhook: The endpoint it names, or empty.
        key: The id of the API key it came with, or empty.
        prompt_tokens: As the engine counted them; 0 unless it succeeded.
        completion_tokens: Likewise.
        seconds: How long its attempts ran, since it was submitted or replayed.
        at: When it ended, in ms of Redis' clock. With ``id`` it names this end: a replayed job ends again.
    """

    id: str
    tenant: str
    state: State
    kind: str
    model: str
    origin: str
    webhook: str
    key: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    at: int


Handler = Callable[[list[Ended]], None]


class Outbox:
    """The ends of jobs, for readers that work on their own.

    Args:
        ledger: Whose.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._client: Any = ledger.scripts.client
        self._key = ledger.scripts.key("outbox")
        self._trimmed = 0.0
        self._claimed = 0.0

    def read(self, reader: str, handler: Handler, stop: threading.Event) -> None:
        """Hand over entries until ``stop``, the oldest first; waits out a Redis that is away.

        Args:
            reader: The name of the group.
            handler: Takes some entries. What it returns from is done; when it raises, they come again half a minute
                later, one by one, a few times. It must bear an entry twice.
            stop: Ends it, within two seconds.
        """
        while not stop.is_set():
            try:
                self.once(reader, handler, _BLOCK)
            except PhiqError as error:
                log.warning("outbox (%s): %s", reader, error.message)
                stop.wait(_BLOCK)
            except Exception:
                log.exception("outbox (%s) failed; trying again", reader)
                stop.wait(_BLOCK)

    def once(self, reader: str, handler: Handler, block: float = 0.0) -> int:
        """Hand over what is there, up to 200 entries; returns how many were done.

        Args:
            reader: The name of the group.
            handler: As above.
            block: Seconds to wait for something.

        Raises:
            RedisUnavailable: no answer.
        """
        entries, again = self._stuck(reader), True
        if not entries:
            entries, again = self._new(reader, block), False
        done = self._hand_over(reader, handler, entries, again) if entries else 0
        self._trim()
        return done

    def _new(self, reader: str, block: float) -> list[tuple[str, dict[str, str]]]:
        import redis

        wait = max(1, round(block * 1000)) if block else None
        with redis_errors():
            try:
                reply = self._client.xreadgroup(reader, _CONSUMER, {self._key: ">"}, count=_AT_ONCE, block=wait)
            except redis.ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                self._begin(reader)
                return []
        return _entries(reply)

    def _begin(self, reader: str) -> None:
        """Make the group, from the oldest entry that is left."""
        import redis

        try:
            self._client.xgroup_create(self._key, reader, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _stuck(self, reader: str) -> list[tuple[str, dict[str, str]]]:
        """What was taken long ago and never finished: its reader died, or failed."""
        import redis

        if time.monotonic() < self._claimed + _AGAIN / 3:
            return []
        self._claimed = time.monotonic()
        with redis_errors():
            try:
                reply = self._client.xautoclaim(
                    self._key, reader, _CONSUMER, min_idle_time=round(_AGAIN * 1000), count=_AT_ONCE
                )
            except redis.ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                return []
        # Redis 6.2 shows one that was trimmed meanwhile as nothing.
        found = [(entry, fields) for entry, fields in reply[1] if fields]
        if len(found) == _AT_ONCE:
            self._claimed = 0.0
        return found

    def _hand_over(self, reader: str, handler: Handler, entries: list[tuple[str, dict[str, str]]], again: bool) -> int:
        done: list[str] = []
        try:
            # What failed before may fail for one of them: the others need not suffer.
            for some in [[entry] for entry in entries] if again else [entries]:
                try:
                    handler([_ended(fields) for _, fields in some])
                except Exception as error:
                    if not again:
                        raise
                    if self._hopeless(reader, some[0][0]):
                        log.exception("outbox (%s): job %s is given up", reader, some[0][1].get("id"))
                    else:
                        log.warning("outbox (%s): job %s failed again: %s", reader, some[0][1].get("id"), error)
                        continue
                done += [entry for entry, _ in some]
        finally:
            if done:
                with redis_errors():
                    self._client.xack(self._key, reader, *done)
        return len(done)

    def _hopeless(self, reader: str, entry: str) -> bool:
        with redis_errors():
            pending = self._client.xpending_range(self._key, reader, entry, entry, 1)
        return bool(pending) and int(pending[0]["times_delivered"]) >= _TRIES

    def _trim(self) -> None:
        """Let go what all readers have done."""
        if time.monotonic() < self._trimmed + _AGAIN:
            return
        self._trimmed = time.monotonic()
        with redis_errors():
            if not self._client.exists(self._key):
                return
            now = self._client.time()
            floor = (round((now[0] - _KEPT) * 1000), 0)
            for group in self._client.xinfo_groups(self._key):
                floor = min(floor, _number(group["last-delivered-id"]))
                if group["pending"]:
                    floor = min(floor, _number(self._client.xpending(self._key, group["name"])["min"] or "0-0"))
            self._client.xtrim(self._key, minid=f"{max(0, floor[0])}-{floor[1]}", approximate=True)


def _number(entry: str) -> tuple[int, int]:
    milliseconds, _, sequence = str(entry).partition("-")
    return int(milliseconds), int(sequence or 0)


def _ended(fields: dict[str, str]) -> Ended:
    prompt, _, completion = fields.get("tokens", "").partition(" ")
    return Ended(
        id=fields["id"],
        tenant=fields["tenant"],
        state=State(fields["state"]),
        kind=fields["kind"],
        model=fields["model"],
        origin=fields["origin"],
        webhook=fields["webhook"],
        key=fields["key"],
        prompt_tokens=int(prompt or 0),
        completion_tokens=int(completion or 0),
        seconds=int(fields["spent"]) / 1000,
        at=int(fields["at"]),
    )


def _entries(reply: Any) -> list[tuple[str, dict[str, str]]]:
    # redis-py answers a list of pairs on the old protocol and a mapping on the new one.
    if not reply:
        return []
    found = next(iter(reply.values())) if isinstance(reply, dict) else reply[0][1]
    return list(found[0] if found and isinstance(found[0], list) else found)
