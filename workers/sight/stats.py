"""What `phiq stats` shows: the last hours in numbers, and what is so now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from workers.ledger.scripts import redis_errors
from workers.sight import counts
from workers.sight.histogram import BOUNDS, quantile

if TYPE_CHECKING:
    from workers.ledger import Ledger


class Spread(BaseModel):
    """Times in seconds, about: they are kept in buckets."""

    count: int = 0
    p50: float | None = None
    p95: float | None = None


class KindStats(BaseModel):
    """One kind of job."""

    states: dict[str, int] = Field(default_factory=dict, description="how many jobs ended in each state")
    wait: Spread = Field(default=Spread(), description="from when it could start to its first start")
    run: Spread = Field(default=Spread(), description="of each attempt")
    first_text: Spread = Field(default=Spread(), description="from when it could start to its first text")


class Stats(BaseModel):
    """What happened since an instant, in whole hours, and what is so now. Of all tenants."""

    since: datetime
    kinds: dict[str, KindStats] = Field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cache_hits: dict[str, int] = Field(default_factory=dict, description="work that was spared, by what kept it")
    attempts: dict[str, int] = Field(default_factory=dict, description="how attempts ended; lost: with their worker")
    worker_starts: int = 0
    worker_deaths: int = Field(default=0, description="attempts whose worker died")
    host_starts: int = Field(default=0, description="processes of models that were started")
    host_losses: int = Field(default=0, description="and that died or hung")
    workers: int = 0
    slots: int = 0
    busy: int = 0
    waiting: int = 0
    oldest_age: float = Field(default=0.0, description="seconds that the oldest waiting job has waited")
    delayed: int = 0
    dead_letters: int = 0


def stats(ledger: Ledger, seconds: float) -> Stats:
    """The numbers of the last so many seconds (eight days at most) and of now.

    Args:
        ledger: Of the installation.
        seconds: How far back.
    """
    seen, begun = counts.since(ledger.scripts, seconds)
    made = Stats(since=datetime.fromtimestamp(begun, UTC), kinds=_kinds(seen), **now(ledger))
    for labels, amount in counts.matching(seen, "tokens"):
        if labels[0] == "in":
            made.prompt_tokens += amount
        else:
            made.completion_tokens += amount
    made.cache_hits = _summed(seen, "cache")
    made.attempts = _summed(seen, "attempts")
    made.worker_starts = _summed(seen, "workers").get("started", 0)
    made.worker_deaths = seen.get("deaths", 0)
    hosts = _summed(seen, "hosts")
    made.host_starts, made.host_losses = hosts.get("started", 0), hosts.get("lost", 0)
    return made


def now(ledger: Ledger) -> dict[str, Any]:
    """What is so now, by the fields of `Stats`."""
    workers = ledger.workers()
    queues = ledger.queues(workers)
    with redis_errors(), ledger.scripts.client.pipeline(transaction=False) as pipe:
        pipe.zcard(ledger.scripts.key("delayed"))
        pipe.zcard(ledger.scripts.key("dead"))
        delayed, dead = pipe.execute()
    return {
        "workers": sum(not one.alone for one in workers),
        "slots": sum(one.slots for one in workers),
        "busy": sum(len(one.running) for one in workers),
        "waiting": sum(one.waiting for one in queues),
        "oldest_age": max((one.oldest_age for one in queues if one.waiting), default=0.0),
        "delayed": delayed,
        "dead_letters": dead,
    }


def _kinds(seen: Mapping[str, int]) -> dict[str, KindStats]:
    found: dict[str, KindStats] = {}
    for (kind, state, *_), amount in counts.matching(seen, "jobs"):
        states = found.setdefault(kind, KindStats()).states
        states[state] = states.get(state, 0) + amount
    for name, field in (("wait", "wait"), ("run", "run"), ("first", "first_text")):
        buckets: dict[str, list[int]] = {}
        for labels, times in counts.times(seen, name).items():
            sums = buckets.setdefault(labels[0], [0] * (len(BOUNDS) + 1))
            sums[:] = map(sum, zip(sums, times.buckets, strict=True))
        for kind, sums in buckets.items():
            setattr(found.setdefault(kind, KindStats()), field, _spread(sums))
    return dict(sorted(found.items()))


def _spread(buckets: list[int]) -> Spread:
    return Spread(count=sum(buckets), p50=quantile(buckets, 0.5), p95=quantile(buckets, 0.95))


def _summed(seen: Mapping[str, int], name: str) -> dict[str, int]:
    """Amounts by the first label."""
    found: dict[str, int] = {}
    for labels, amount in counts.matching(seen, name):
        found[labels[0]] = found.get(labels[0], 0) + amount
    return dict(sorted(found.items()))
