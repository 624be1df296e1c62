"""Runs the Lua scripts beside this module, turning Redis' exceptions into ours.

A script is one step that nothing can come between, and Redis' clock is the only clock in it. redis-py sends a
command again when its reply was lost, so each script either changes nothing the second time or is given a nonce.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from knowledge.errors import PhiqError, ServiceError
from workers.errors import RedisUnavailable, StorageFull

if TYPE_CHECKING:
    import redis
    from redis.commands.core import Script

# Redis 6.2 wraps an error inside a script in words of its own, so these are looked for anywhere in it.
_NO_ROOM = ("OOM command not allowed", "MISCONF ")
_NOT_NOW = ("NOREPLICAS", "READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY ", "TRYAGAIN")
_HAND_OUT = {"submit", "claim", "settle", "dispatch"}
"""Scripts that may send messages."""


@cache
def source(name: str) -> str:
    """The text of a script, with what all scripts share before it."""
    folder = resources.files("workers.ledger") / "lua"
    parts = ("prelude", "handout", name) if name in _HAND_OUT else ("prelude", name)
    if name.startswith("webhook_"):
        parts = ("prelude", "webhook", name)
    return "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in parts)


class Scripts:
    """The scripts of one ledger.

    Args:
        client: Decodes replies to ``str``; shared between threads.
        prefix: Before every key, without the colon.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self.client = client
        self.prefix = f"{prefix}:"
        self._scripts: dict[str, Script] = {}

    def run(self, script: str, *args: str | float) -> Any:
        """Run a script.

        Raises:
            RedisUnavailable: no answer, after the client's own retries.
            StorageFull: Redis takes no more.
        """
        return call(self.client, self._script(script), self.prefix, args)

    def run_each(self, script: str, calls: Iterable[Sequence[str | float]]) -> list[Any]:
        """Run a script several times with one wait for Redis (and one write to its disk); each is a step of its own.

        Raises:
            RedisUnavailable, StorageFull: as `run`; some may have been run.
        """
        found = self._script(script)
        with redis_errors():
            pipe = self.client.pipeline(transaction=False)
            for args in calls:
                found(keys=[self.prefix], args=list(args), client=pipe)
            return list(pipe.execute())

    def key(self, *parts: str) -> str:
        """A key of ours."""
        return self.prefix + ":".join(parts)

    def _text(self, name: str) -> str:
        return source(name)

    def _script(self, name: str) -> Script:
        found = self._scripts.get(name)
        if found is None:
            found = self._scripts[name] = self.client.register_script(self._text(name))
        return found


def call(client: redis.Redis, script: Script, prefix: str, args: Sequence[str | float]) -> Any:
    """Run a script of ``client``'s, of whichever part of phiq.

    Raises:
        RedisUnavailable: no answer, after the client's own retries.
        StorageFull: Redis takes no more.
    """
    import redis

    with redis_errors():
        try:
            return script(keys=[prefix], args=list(args))
        except redis.ResponseError as error:
            if _refusal(error) == "READONLY":
                # The master became a replica, and its name or socket may lead to another by now.
                client.connection_pool.disconnect()
            raise


@contextlib.contextmanager
def redis_errors() -> Iterator[None]:
    """Turn what redis-py raises inside into our errors."""
    import redis

    try:
        yield
    except redis.RedisError as error:
        raise translated(error) from error


def translated(error: redis.RedisError) -> PhiqError:
    """What an exception of redis-py means for a user."""
    import redis

    text = str(error)
    if isinstance(error, redis.exceptions.OutOfMemoryError) or any(mark in text for mark in _NO_ROOM):
        return StorageFull(
            "Redis takes no more: its memory limit is reached or it can't write to its disk.",
            hint="Nothing was accepted and nothing lost. Free disk space or raise Redis' maxmemory, then try again.",
            subject="redis",
        )
    if isinstance(error, redis.exceptions.NoPermissionError) or "NOPERM" in text:
        return RedisUnavailable(
            "Redis' access list forbids a command that phiq needs.",
            hint="Give the user in PHIQ_REDIS_URL the rule in docs/operations.md (Access list).",
            subject="redis",
        )
    if isinstance(error, redis.AuthenticationError):
        return RedisUnavailable(
            "Redis refuses the user or password in PHIQ_REDIS_URL.",
            hint="Correct PHIQ_REDIS_URL; `phiq doctor` shows what is wrong.",
            subject="redis",
        )
    if isinstance(error, redis.exceptions.BusyLoadingError):
        return RedisUnavailable("Redis is still loading its data.", hint="Try again in a moment.", subject="redis")
    refusal = _refusal(error)
    if isinstance(error, redis.ResponseError) and not refusal:
        return ServiceError(
            f"Redis refused a command of ours: {text[:200]}",
            hint="Is PHIQ_KEY_PREFIX used by something else, or Redis older than 6.2? `phiq doctor` shows it.",
            subject="redis",
        )
    if refusal:
        return RedisUnavailable(
            f"Redis takes no writes for now ({refusal}).",
            hint="It is a replica, has too few replicas, or is busy; `phiq doctor` shows which.",
            subject="redis",
        )
    return RedisUnavailable(
        f"Redis does not answer ({type(error).__name__}).",
        hint="Start it with `phiq up`, or check PHIQ_REDIS_URL; `phiq doctor` shows what is wrong.",
        subject="redis",
    )


def _refusal(error: redis.RedisError) -> str:
    """Redis' word for why it does not do it now; empty when it is something else."""
    import redis

    # redis-py takes the word away where it has a class for it.
    known: dict[type[Exception], str] = {
        redis.exceptions.ReadOnlyError: "READONLY",
        redis.exceptions.MasterDownError: "MASTERDOWN",
        redis.exceptions.ClusterDownError: "CLUSTERDOWN",
        redis.exceptions.TryAgainError: "TRYAGAIN",
    }
    by_class = next((word for kind, word in known.items() if isinstance(error, kind)), "")
    return by_class or next((mark.strip() for mark in _NOT_NOW if mark in str(error)), "")
