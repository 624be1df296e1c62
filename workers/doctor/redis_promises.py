"""Whether a Redis keeps what it was given: every setting and state of it by which jobs could be lost or refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from workers.doctor.check import Check, fail, ok, warn
from workers.doctor.redis_facts import Facts
from workers.redis_address import RedisAddress
from workers.stack import binaries

_GB = 1e9
_NEARLY = 0.85
"""Of maxmemory: from here on it is said."""
_FULL = 0.97
_SKEW = 2.0
"""Seconds. The ledger uses Redis' clock alone; with more than this the ages that people see are odd."""
_ROOM, _LITTLE = 0.1 * _GB, 1 * _GB


def check(facts: Facts, address: RedisAddress) -> list[Check]:
    """All that is to be said of a Redis that answers; a single ``ok`` when all is well."""
    looks: tuple[Callable[[Facts, RedisAddress], Iterator[Check]], ...] = (_kind, _memory, _file, _disk, _copies, _rest)
    found = [finding for look in looks for finding in look(facts, address)]
    return [ok("redis", f"Redis {facts.version} answers at {address.shown}"), *found]


def _kind(facts: Facts, _address: RedisAddress) -> Iterator[Check]:
    numbers = tuple(int(part) for part in facts.version.split(".")[:2] if part.isdigit())
    if numbers < binaries.OLDEST_REDIS:
        oldest = ".".join(map(str, binaries.OLDEST_REDIS))
        yield fail(
            "redis", f"Redis {facts.version} is too old: {oldest} or newer is needed.", binaries.install_command()
        )
    if facts.word("redis_mode") == "cluster" or facts.number("cluster_enabled"):
        message = "It is a Redis Cluster, which spreads keys over machines; phiq's scripts need theirs on one."
        yield fail("redis", message, "Point PHIQ_REDIS_URL at a Redis without cluster mode; Sentinel gives it a spare.")
    if facts.word("role", "master") != "master":
        message = "It is a replica, which takes no writes."
        master = f"{facts.word('master_host')}:{facts.word('master_port')}"
        yield fail("redis", message, f"Point PHIQ_REDIS_URL at its master ({master}), or at Sentinel: sentinel://…")


def _memory(facts: Facts, _address: RedisAddress) -> Iterator[Check]:
    policy = facts.word("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        message = f"maxmemory-policy is {policy}: when memory is short, Redis throws jobs away."
        yield fail("redis", message, "redis-cli CONFIG SET maxmemory-policy noeviction, and in its redis.conf")
    limit, used = facts.number("maxmemory"), facts.number("used_memory")
    more = f"redis-cli CONFIG SET maxmemory {2 * limit} (phiq up: PHIQ_REDIS_MAXMEMORY) while there is memory"
    if not limit:
        message = "It has no maxmemory: it takes all memory of its machine, and is then killed by the system."
        yield warn("redis", message, "redis-cli CONFIG SET maxmemory 2gb, and in its redis.conf")
    elif limit == 1:
        message = "It is closed to new jobs (maxmemory 1): `phiq up` does that while its disk is nearly full."
        yield fail("redis", message, "Free some disk space; it opens by itself.")
    elif used >= _FULL * limit:
        message = f"It is full ({_mb(used)} of maxmemory {_mb(limit)}): it takes no new jobs; what it has is kept."
        yield fail("redis", message, f"{more}; or a shorter PHIQ_RESULT_TTL")
    elif used >= _NEARLY * limit:
        message = f"It is nearly full: {_mb(used)} of maxmemory {_mb(limit)}. Then it takes no new jobs."
        yield warn("redis", message, more)


def _file(facts: Facts, _address: RedisAddress) -> Iterator[Check]:
    sync = facts.config.get("appendfsync", "")
    if facts.forbidden:
        message = "Unknown whether it syncs every write (appendfsync): its access list or host forbids CONFIG."
        yield warn("redis", message, "Ask who runs it for appendfsync always; or allow it: ACL SETUSER … +config|get")
    if not facts.number("aof_enabled"):
        message = "The append-only file is off: a restart can lose accepted jobs."
        yield warn("redis", message, "redis-cli CONFIG SET appendonly yes, and in its redis.conf")
    elif sync and sync != "always":
        message = f"appendfsync is {sync}: a crash of its machine can lose the last accepted jobs."
        yield warn("redis", message, "redis-cli CONFIG SET appendfsync always, and in its redis.conf")


def _disk(facts: Facts, address: RedisAddress) -> Iterator[Check]:
    fix = "Free disk space where Redis keeps its data; it then goes on by itself."
    if facts.word("aof_last_write_status", "ok") != "ok":
        yield fail("redis", "Its last write to the append-only file failed: it takes no new jobs.", fix)
    elif facts.word("aof_last_bgrewrite_status", "ok") != "ok":
        yield warn("redis", "It could not rewrite its append-only file, which grows until it can.", fix)
    if facts.word("rdb_last_bgsave_status", "ok") != "ok":
        if facts.config.get("stop-writes-on-bgsave-error", "yes") == "yes":
            yield fail("redis", "Its last snapshot failed, so it takes no new jobs (stop-writes-on-bgsave-error).", fix)
        else:
            yield warn("redis", "Its last snapshot failed.", fix)
    folder = facts.config.get("dir", "")
    if address.local and folder and Path(folder).is_dir():
        free = shutil.disk_usage(folder).free
        if free < _LITTLE:
            say = fail if free < _ROOM else warn
            message = f"There are {_mb(free)} free in {folder}, where it keeps the jobs."
            yield say("redis", message, "Free some disk space there: without, no jobs are taken.")


def _copies(facts: Facts, address: RedisAddress) -> Iterator[Check]:
    waits = facts.config.get("min-replicas-to-write")
    if waits == "0" and (address.master or facts.number("connected_slaves")):
        message = "It takes jobs without any replica (min-replicas-to-write 0): a failover can lose accepted ones."
        yield warn("redis", message, "redis-cli CONFIG SET min-replicas-to-write 1; see Sentinel in docs/operations.md")


def _rest(facts: Facts, _address: RedisAddress) -> Iterator[Check]:
    if abs(facts.skew) > _SKEW:
        way = "ahead of" if facts.skew > 0 else "behind"
        message = f"Its clock is {abs(facts.skew):.0f} s {way} this machine's: times and ages will look odd."
        yield warn("redis", message, "Let both machines keep time by NTP: timedatectl set-ntp true")


def _mb(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"
