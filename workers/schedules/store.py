"""Schedules and their firings in Redis; each change is one script.

PREFIX:schedule:record:TENANT:NAME    hash: the schedule
PREFIX:schedule:names:TENANT          set: a tenant's schedules
PREFIX:schedule:due                   sorted set: TENANT:NAME by the instant it is due next
PREFIX:schedule:firings:TENANT:NAME   hash: firings by key, as JSON
PREFIX:schedule:order:TENANT:NAME     sorted set: their keys by instant
PREFIX:schedule:open                  sorted set: TENANT:NAME:KEY by when something is to be done about it
PREFIX:schedule:ticked                string: when a scheduler ticked last; goes after a minute
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from workers.ledger.scripts import call, redis_errors
from workers.schedules.records import HISTORY, RECORD_VERSION, Firing, Schedule, millis, moment

if TYPE_CHECKING:
    import redis

MOST = 1000
"""Schedules of one tenant."""
_TICKED_SECONDS = 60


@cache
def _source(name: str) -> str:
    folder = resources.files("workers.schedules") / "lua"
    return "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in ("prelude", name))


class Store:
    """The schedules of one installation.

    All methods raise `RedisUnavailable` when Redis does not answer and `StorageFull` when it takes no more.

    Args:
        client: Decodes replies to ``str``; shared between threads.
        prefix: Before every key, without the colon.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._client: Any = client
        self._prefix = f"{prefix}:schedule:"
        self._scripts: dict[str, Any] = {}

    def put(self, schedule: Schedule, expected: int, nonce: str, refs: Sequence[str] = ()) -> str:
        """Write a schedule: a new one (``expected`` 0), or over the revision that was read.

        Returns:
            ``ok``, ``exists``, ``gone``, ``stale`` (it was changed meanwhile) or ``many``.
        """
        fields: dict[str, str | int] = {
            "version": RECORD_VERSION,
            "uid": schedule.uid,
            "spec": schedule.spec.model_dump_json(exclude_none=True),
            "paused": int(schedule.paused),
            "created": millis(schedule.created_at),
            "updated": millis(schedule.updated_at),
            "key": schedule.key or "",
            "remote": int(schedule.remote),
            "refs": ",".join(refs),
        }
        flat: list[str | int] = [part for pair in fields.items() for part in pair]
        due = "" if schedule.next_at is None else millis(schedule.next_at)
        return str(self._run("put", schedule.tenant, schedule.name, expected, nonce, MOST, due, *flat))

    def get(self, tenant: str, name: str) -> Schedule | None:
        """A schedule; None when there is none, or a newer version wrote it."""
        with redis_errors():
            fields = self._client.hgetall(self._key("record", tenant, name))
        return _schedule(tenant, name, fields)

    def all_of(self, tenant: str) -> list[Schedule]:
        """A tenant's schedules, by name."""
        with redis_errors():
            names = sorted(self._client.smembers(self._key("names", tenant)))
            pipe = self._client.pipeline(transaction=False)
            for name in names:
                pipe.hgetall(self._key("record", tenant, name))
            found = pipe.execute()
        made = (_schedule(tenant, name, fields) for name, fields in zip(names, found, strict=True))
        return [one for one in made if one is not None]

    def remove(self, tenant: str, name: str, uid: str = "") -> bool:
        """Delete a schedule and its history; whether it was there."""
        return bool(self._run("remove", tenant, name, uid))

    def advance(
        self, schedule: Schedule, due: datetime | None, firings: Iterable[Firing], now: datetime, keep: int = HISTORY
    ) -> bool:
        """Go on to the next instant and write down firings; False when another has done it, or it was changed."""
        flat: list[str | int] = []
        for one in firings:
            flat += [one.key, millis(one.due), one.model_dump_json(exclude_defaults=True), int(not one.state.final)]
        seen = "" if schedule.next_at is None else millis(schedule.next_at)
        new = "" if due is None else millis(due)
        where = (schedule.tenant, schedule.name, schedule.uid)
        return bool(self._run("advance", *where, seen, new, keep, millis(now), *flat))

    def add(self, schedule: Schedule, firing: Firing, now: datetime) -> bool:
        """Write down a firing that nobody's clock made; False when the schedule is gone."""
        text = firing.model_dump_json(exclude_defaults=True)
        where = (schedule.tenant, schedule.name, schedule.uid)
        return bool(self._run("add", *where, HISTORY, millis(now), firing.key, text))

    def step(self, tenant: str, name: str, seen: Firing, new: Firing, look: datetime | None) -> bool:
        """Change a firing from what was read; False when it is another meanwhile.

        Args:
            tenant: Whose schedule.
            name: Its name.
            seen: As it was read.
            new: As it is to be.
            look: When to do something about it next; None when it has ended.
        """
        texts = [one.model_dump_json(exclude_defaults=True) for one in (seen, new)]
        return bool(self._run("step", tenant, name, seen.key, *texts, "" if look is None else millis(look), HISTORY))

    def firings(self, tenant: str, name: str) -> list[Firing]:
        """All that are kept of a schedule, in the order they were due."""
        with redis_errors():
            pipe = self._client.pipeline(transaction=True)
            pipe.zrange(self._key("order", tenant, name), 0, -1)
            pipe.hgetall(self._key("firings", tenant, name))
            order, found = pipe.execute()
        return [Firing.model_validate_json(found[key]) for key in order if key in found]

    def firing(self, tenant: str, name: str, key: str) -> Firing | None:
        """One firing."""
        with redis_errors():
            text = self._client.hget(self._key("firings", tenant, name), key)
        return None if text is None else Firing.model_validate_json(text)

    def due(self, now: datetime, limit: int) -> list[tuple[str, str]]:
        """Tenant and name of schedules that are due, the longest due first."""
        with redis_errors():
            found = self._client.zrange(self._key("due"), "-inf", millis(now), byscore=True, offset=0, num=limit)
        return [(tenant, name) for tenant, _, name in (member.partition(":") for member in found)]

    def open(self, now: datetime, limit: int) -> list[tuple[str, str, str]]:
        """Tenant, name and key of firings about which something is to be done."""
        with redis_errors():
            found = self._client.zrange(self._key("open"), "-inf", millis(now), byscore=True, offset=0, num=limit)
        return [(tenant, name, key) for tenant, name, key in (member.split(":", 2) for member in found)]

    def earliest(self) -> datetime | None:
        """The next instant at which there is something to do."""
        with redis_errors():
            pipe = self._client.pipeline(transaction=False)
            for name in ("due", "open"):
                pipe.zrange(self._key(name), 0, 0, withscores=True)
            first = [found[0][1] for found in pipe.execute() if found]
        return moment(min(first)) if first else None

    def ticked(self, now: datetime) -> None:
        """Note that a scheduler ticks."""
        with redis_errors():
            self._client.set(self._key("ticked"), millis(now), ex=_TICKED_SECONDS)

    def last_tick(self) -> datetime | None:
        """When a scheduler ticked last; None when none has for a minute."""
        with redis_errors():
            found = self._client.get(self._key("ticked"))
        return None if found is None else moment(found)

    def now(self) -> datetime:
        """Redis' clock."""
        with redis_errors():
            seconds, micros = self._client.time()
        return moment(seconds * 1000 + micros // 1000)

    def _run(self, script: str, *args: str | float) -> Any:
        found = self._scripts.get(script)
        if found is None:
            found = self._scripts[script] = self._client.register_script(_source(script))
        return call(self._client, found, self._prefix, args)

    def _key(self, *parts: str) -> str:
        return self._prefix + ":".join(parts)


def _schedule(tenant: str, name: str, fields: dict[str, str]) -> Schedule | None:
    if not fields or int(fields.get("version", 0)) > RECORD_VERSION:
        return None
    return Schedule.model_validate(
        {
            "name": name,
            "tenant": tenant,
            "spec": json.loads(fields["spec"]),
            "paused": fields["paused"] == "1",
            "created_at": moment(fields["created"]),
            "updated_at": moment(fields["updated"]),
            "next_at": moment(fields["next"]) if fields["next"] else None,
            "uid": fields["uid"],
            "revision": int(fields["revision"]),
            "key": fields["key"] or None,
            "remote": fields.get("remote") == "1",
        }
    )
