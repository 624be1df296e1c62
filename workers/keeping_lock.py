"""One of sweep, erase, backup and restore at a time: each would pull the ground from under the others."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from knowledge.errors import PhiqError, ServiceError
from workers.ledger.scripts import redis_errors

if TYPE_CHECKING:
    import redis

_TTL = 30_000
_RENEW, _POLL = 5.0, 0.25

# With a deletion before each write: a Redis at its memory limit takes these, and an erase makes room there.
_TAKE = "redis.call('DEL', KEYS[2]) return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0"
_RENEWED = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('PEXPIRE', KEYS[1], ARGV[2])"
_GIVE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 1"
_NOTE = "redis.call('DEL', KEYS[2]) return redis.call('SADD', KEYS[1], unpack(ARGV))"
_NOTED_AT_ONCE = 1000


class KeepingBusy(ServiceError):
    """Raised when another backup, restore, erase or sweep is under way."""

    code = "keeping_busy"
    transient = True


@contextlib.contextmanager
def keeping_lock(client: redis.Redis, prefix: str, patience: float = 30.0) -> Iterator[None]:
    """Hold the lock, also where Redis' memory is full.

    Raises:
        KeepingBusy: another holds it for longer than ``patience`` seconds.
    """
    connection: Any = client
    keys, mine = (f"{prefix}:keeping:lock", f"{prefix}:nothing"), secrets.token_hex(16)
    until = time.monotonic() + patience
    while not _run(connection, _TAKE, keys, mine, _TTL):
        if time.monotonic() > until:
            raise KeepingBusy(
                "Another backup, restore, erase or sweep is under way.", hint="Repeat the command when it is done."
            )
        time.sleep(_POLL)
    released = threading.Event()

    def renew() -> None:
        while not released.wait(_RENEW):
            # An outage shorter than the lock's time does no harm.
            with contextlib.suppress(PhiqError):
                _run(connection, _RENEWED, keys, mine, _TTL)

    renewer = threading.Thread(target=renew, name="phiq-keeping", daemon=True)
    renewer.start()
    try:
        yield
    finally:
        released.set()
        renewer.join()
        with contextlib.suppress(PhiqError):
            _run(connection, _GIVE, keys, mine)


def note(client: redis.Redis, prefix: str, key: str, values: list[str]) -> None:
    """Add to a set, also where Redis' memory is full."""
    for start in range(0, len(values), _NOTED_AT_ONCE):
        _run(client, _NOTE, (key, f"{prefix}:nothing"), *values[start : start + _NOTED_AT_ONCE])


def _run(client: Any, script: str, keys: tuple[str, str], *arguments: str | int) -> int:
    with redis_errors():
        return int(client.eval(script, 2, *keys, *arguments))
