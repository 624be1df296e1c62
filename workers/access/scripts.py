"""Runs the Lua scripts of keys and limits, with errors as ours."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from workers.ledger.scripts import redis_errors

if TYPE_CHECKING:
    import redis
    from redis.commands.core import Script


@cache
def _source(name: str) -> str:
    folder = resources.files("workers.access") / "lua"
    return "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in ("prelude", name))


class AccessScripts:
    """The scripts beside this module.

    Args:
        client: Decodes replies to ``str``; shared between threads.
        prefix: Before every key, without the colon.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self.client = client
        self.prefix = f"{prefix}:"
        self._scripts: dict[str, Script] = {}

    def run(self, name: str, *args: str | float) -> Any:
        """Run one.

        Raises:
            RedisUnavailable: no answer, after the client's own retries.
            StorageFull: Redis takes no more.
        """
        found = self._scripts.get(name)
        if found is None:
            found = self._scripts[name] = self.client.register_script(_source(name))
        with redis_errors():
            return found(keys=[self.prefix], args=list(args))

    def key(self, *parts: str) -> str:
        """A key of ours."""
        return self.prefix + ":".join(parts)

    def now(self) -> float:
        """Redis' clock, in milliseconds."""
        with redis_errors():
            at: Any = self.client.time()
        return float(at[0]) * 1000 + float(at[1]) / 1000
