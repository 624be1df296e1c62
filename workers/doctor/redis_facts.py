"""What a Redis tells of itself: the facts from which its promises follow."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import redis

_ASKED = ("appendfsync", "min-replicas-to-write", "stop-writes-on-bgsave-error", "dir")


@dataclass(frozen=True)
class Facts:
    """One look.

    Args:
        info: Redis' INFO.
        config: What CONFIG GET told of `_ASKED`.
        forbidden: CONFIG is not for us.
        skew: Seconds by which its clock is ahead of ours, as far as the look can tell.
    """

    info: dict[str, Any]
    config: dict[str, str] = field(default_factory=dict)
    forbidden: bool = False
    skew: float = 0.0

    @property
    def version(self) -> str:
        """As Redis writes it; Valkey gives the one of Redis that it is like."""
        return str(self.info.get("redis_version", "0"))

    def number(self, name: str) -> int:
        """One of INFO's numbers; 0 when it is not told."""
        return int(self.info.get(name) or 0)

    def word(self, name: str, default: str = "") -> str:
        """One of INFO's words."""
        return str(self.info.get(name, default))


def ask(client: redis.Redis) -> Facts:
    """Look once; a few commands that change nothing.

    Raises:
        redis.RedisError: it does not answer, or does not let us use INFO.
    """
    import redis

    info: Any = client.info()
    config: dict[str, str] = {}
    forbidden = False
    for name in _ASKED:
        # One by one: before Redis 7 CONFIG GET takes one name.
        try:
            found: Any = client.config_get(name)
        except redis.ResponseError:  # a managed Redis, or an access list, may forbid CONFIG
            forbidden = True
            break
        config |= found
    return Facts(info, config, forbidden, _skew(client))


def _skew(client: redis.Redis) -> float:
    before = time.time()
    answer: Any = client.time()
    after = time.time()
    told = float(answer[0]) + float(answer[1]) / 1e6
    # Not told apart from the time the answer took.
    return told - after if told > after else min(0.0, told - before)
