"""What tenants and keys have used, by day and month of UTC; counted by the ledger in the step that ends a job."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from workers.ledger.scripts import redis_errors

if TYPE_CHECKING:
    import redis

_FIELDS = ("jobs", "prompt", "completion", "ms")


class Used(BaseModel):
    """What was used in a span of time."""

    jobs: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = Field(default=0.0, description="that attempts ran")


class Usage(BaseModel):
    """A tenant's or a key's use. Of a tenant that has no such quota, only jobs with a key are counted."""

    month: str = Field(description="such as 2026-11, UTC")
    day: str = Field(description="such as 2026-11-23, UTC")
    of_month: Used
    of_day: Used


def read(client: redis.Redis, prefix: str, *, tenant: str = "", key: str = "", month: str = "") -> Usage:
    """The use of a tenant or of a key.

    Args:
        client: Decodes replies to ``str``.
        prefix: Of the installation's keys, without the colon.
        tenant: Whose; or:
        key: A key's id.
        month: Such as ``2026-10``; left out: this one, by Redis' clock.

    Raises:
        RedisUnavailable: Redis does not answer.
    """
    with redis_errors():
        clock: Any = client.time()
        now = datetime.fromtimestamp(clock[0], UTC)
        month = month or f"{now:%Y-%m}"
        place = f"{prefix}:usage:key:{key}" if key else f"{prefix}:usage:tenant:{tenant}"
        fields: Any = client.hgetall(f"{place}:{month}")
    return Usage(month=month, day=f"{now:%Y-%m-%d}", of_month=_used(fields, ""), of_day=_used(fields, f"{now:%d}:"))


def forget(client: redis.Redis, prefix: str, tenant: str, keys: list[str]) -> None:
    """Delete what was counted of a tenant and its keys.

    Raises:
        RedisUnavailable: Redis does not answer.
    """
    places = [f"{prefix}:usage:tenant:{tenant}:*", *(f"{prefix}:usage:key:{key}:*" for key in keys)]
    with redis_errors():
        for place in places:
            found = list(client.scan_iter(match=place, count=1000))
            if found:
                client.delete(*found)


def _used(fields: dict[str, str], before: str) -> Used:
    jobs, prompt, completion, spent = (int(fields.get(before + name) or 0) for name in _FIELDS)
    return Used(jobs=jobs, prompt_tokens=prompt, completion_tokens=completion, seconds=spent / 1000)
